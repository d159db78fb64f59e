"""The page and the JSON say what was measured, fetch nothing, and survive hostile names and empty parts."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.data.evaluations import result_at, shop, two_folds
from tests.data.scores import DAY_S
from training.evaluation.calibration import Calibration, JudgedPairs, judge, judge_window
from training.evaluation.comparison import Evaluation, summarise
from training.evaluation.contribution import Contribution, count_sources, pool_sources
from training.evaluation.folds import Fold, split
from training.evaluation.inside import Inside
from training.evaluation.one_fold import Seconds
from training.history.facts import Lost
from training.reports.page import NightFacts, PastVersion, render_evaluation, render_night, to_json
from training.reports.terminal import summary_lines, table

SECONDS = {"popular": Seconds([1.25, 2.0], [0.5, 0.75]), "blend": Seconds([9.0, 8.0], [1.0, 1.0])}
NIGHT = NightFacts(
    run_id="20180101T020000Z",
    as_of=datetime(2018, 1, 1, 5, tzinfo=UTC),
    timezone="America/New_York",
    decision="refused",
    why="Recipe changed: NDCG@10 0.2000 against 0.3000 of the champion.",
    gate_figures={"customers_judged": 1343, "difference": -0.1, "champion_ndcg": None},
    counts={"Purchases": 1_460_406},
    read_lines=1_000_000,
    lost=(Lost("quantity is not above 0", 7_000, 0.007),),
    steps_s={"read": 3.21},
    past=[
        PastVersion("20171231T020000Z-ab", datetime(2017, 12, 31, 5, tzinfo=UTC), "blend", 0.312, "published")
    ],
)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return two_folds()


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    """Of the evaluation; to draw its pictures takes half a second."""
    return render_evaluation(evaluation, SECONDS, timezone="UTC")


@pytest.fixture(scope="module")
def night_page(evaluation: Evaluation) -> str:
    return render_night(NIGHT, evaluation, SECONDS)


@pytest.fixture(scope="module")
def candidates() -> Contribution:
    """`own` gives each customer's own products, `guess` the first five of the shop."""
    history, truth = split(shop(), Fold(10 * DAY_S, 5))
    owned, rows = history.matrix(), np.arange(40, dtype=np.int32)
    own = np.full((40, 40), -1, np.int32)
    for row in rows:
        theirs = owned[[row]].indices
        own[row, : len(theirs)] = theirs
    guess = np.tile(np.arange(5, dtype=np.int32), (40, 1))
    return pool_sources([count_sources(truth.targets["all"], owned, rows, {"own": own, "guess": guess})])


def window_of(day: int, *, times: float = 1.0) -> JudgedPairs:
    rng = np.random.default_rng(day)
    p = np.sort(rng.random((300, 3)), axis=1)[:, ::-1] / 2
    customer, rank = np.repeat(np.arange(300), 3), np.tile(np.arange(3), 300)
    is_bought = (rng.random(p.shape) < p * times).ravel()
    return JudgedPairs(day * DAY_S, p.ravel(), is_bought, customer, rank, np.arange(400))


@pytest.fixture(scope="module")
def probabilities() -> Calibration:
    """Right in the judged window, much too low in the one before."""
    return judge([window_of(15)], [judge_window(window_of(10, times=1.6))])


class Page(HTMLParser):
    """Collects what a browser would fetch, ids, and whether every element is closed."""

    VOID = frozenset({"meta", "link", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += " "
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "action", "poster"):
                self.fetched.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "script":
            self.fetched.append("script")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_fetches_nothing(night_page: str) -> None:
    html = night_page
    page = Page(html)
    assert page.open == []
    assert all(address.startswith("#") or address == "data:," for address in page.fetched), page.fetched
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.fetched if address.startswith("#")} <= set(page.ids)


def test_the_page_shows_each_mean_with_its_interval(evaluation: Evaluation, page: str) -> None:
    text = Page(page).text
    for result in evaluation.variants.values():
        for target in ("all", "new", "next_order"):
            for metric in ("ndcg@10", "recall@10", "hit@10", "precision@1", "map@20"):
                found = result.metrics[target][metric]  # type: ignore[index]  # literals of Target
                assert f"{found.mean:.3f} {found.low:.3f} to {found.high:.3f}" in text


def test_the_page_has_a_line_per_fold_with_the_shops_dates(evaluation: Evaluation) -> None:
    text = Page(render_evaluation(evaluation, SECONDS, timezone="America/New_York")).text
    assert "1970-01-10, 1970-01-15" in text  # day 10 begins at midnight UTC, still the 10th in New York


def test_page_and_terminal_say_how_many_of_how_many_were_judged(evaluation: Evaluation, page: str) -> None:
    assert "by lot" not in page
    folds = [replace(fold, known_customers=1_234_567) for fold in evaluation.folds]
    some = replace(evaluation, folds=folds)
    assert "of 1,234,567, by lot" in render_evaluation(some, SECONDS, timezone="UTC")
    assert f"of {1_234_567 * len(folds):,} customers" in str(table(some).caption)
    assert "counted in each fold" in str(table(some).caption)
    assert "counted" not in str(table(replace(evaluation, folds=folds[:1])).caption)


def test_six_pictures_stand_in_the_page_and_use_its_colours(page: str) -> None:
    html = page
    assert html.count("<svg") == html.count("</svg>") == 6
    assert "currentColor" in html
    assert "#010203" not in html


def test_the_same_evaluation_gives_the_same_page(evaluation: Evaluation, page: str) -> None:
    assert render_evaluation(evaluation, SECONDS, timezone="UTC") == page


def test_the_page_of_a_night_says_what_was_decided_and_why(night_page: str) -> None:
    text = " ".join(Page(night_page).text.split())
    assert "refused. Recipe changed: NDCG@10 0.2000 against 0.3000 of the champion." in text
    assert "2018-01-01 00:00 (America/New_York)" in text
    assert "Purchases 1,460,406" in text
    assert "quantity is not above 0 7,000 0.7%" in text
    assert "NDCG@10 of the champion's recipe -" in text
    assert text.index("Lines read 1,000,000") < text.index("Purchases 1,460,406")
    assert "20171231T020000Z-ab 2017-12-31 00:00" in text


def test_a_night_that_stopped_before_measuring_still_has_a_page() -> None:
    why = "12 % of the lines were rejected."
    stopped = replace(NIGHT, decision="stopped", why=why, past=(), lost=(), gate_figures={})
    text = Page(render_night(stopped, None, {})).text
    assert "12 % of the lines were rejected." in text
    assert "No line was rejected or left out." in text
    assert "NDCG" not in text


def test_a_name_with_markup_is_shown_and_not_run(evaluation: Evaluation) -> None:
    evil = "<script>alert(1)</script>"
    hostile = replace(
        evaluation, variants={evil: evaluation.variants["blend"], "popular": evaluation.variants["popular"]}
    )
    html = render_night(
        replace(NIGHT, why=evil, lost=[Lost(evil, 1, 1.0)]), hostile, {evil: Seconds([1], [1])}
    )
    assert evil not in html
    assert "script" not in Page(html).fetched


def test_an_evaluation_without_new_products_has_gaps_and_no_error() -> None:
    result = result_at(10)
    part = result.targets["new"]
    none = replace(
        part,
        customer_row=part.customer_row[:0],
        orders_before=part.orders_before[:0],
        figures={n: {m: v[:0] for m, v in f.items()} for n, f in part.figures.items()},
    )
    empty = replace(result, targets={**result.targets, "new": none})
    summary = summarise([empty], default="blend", resamples=100)
    text = " ".join(Page(render_evaluation(summary, SECONDS, timezone="UTC")).text.split())
    assert "popular - - - - -" in text


def test_the_json_holds_every_figure_and_keeps_seconds_apart(evaluation: Evaluation) -> None:
    content = json.loads(to_json(evaluation, SECONDS, fingerprint="abc"))
    assert content["fingerprint"] == "abc"
    assert content["seconds"]["blend"] == {"fit": [9.0, 8.0], "score": [1.0, 1.0]}
    blend = content["evaluation"]["variants"]["blend"]
    found = evaluation.variants["blend"].metrics["all"]["ndcg@10"]
    assert blend["metrics"]["all"]["ndcg@10"] == {"mean": found.mean, "low": found.low, "high": found.high}
    assert len(blend["metrics"]["next_order"]) == 5 * 4
    assert len(blend["by_fold"]["new"]) == 2
    assert "score_s" not in json.dumps(content["evaluation"])


def test_what_is_not_a_number_is_null_in_json(evaluation: Evaluation) -> None:
    lists = replace(evaluation.variants["blend"].lists, novelty=float("nan"))
    variants = {"blend": replace(evaluation.variants["blend"], lists=lists)}
    content = json.loads(to_json(replace(evaluation, variants=variants), {}), parse_constant=pytest.fail)
    assert content["evaluation"]["variants"]["blend"]["lists"]["novelty"] is None


def test_the_sections_of_what_was_not_measured_are_missing(evaluation: Evaluation, night_page: str) -> None:
    html = render_night(NIGHT, evaluation, SECONDS, inside=Inside())
    assert html == night_page
    assert "candidates come from" not in html
    assert "How sure" not in html
    assert not {"contribution", "calibration"} & set(json.loads(to_json(evaluation, SECONDS)))


def test_the_page_says_where_candidates_come_from(evaluation: Evaluation, candidates: Contribution) -> None:
    html = render_evaluation(
        evaluation, SECONDS, timezone="UTC", inside=Inside(contribution={"blend": candidates})
    )
    text = " ".join(Page(html).text.split())
    repeats = candidates.kinds["repeats"]
    assert "Where the candidates come from blend" in text
    assert "Of 100 products that customers bought again, 100 were among the candidates." in text
    assert f"own 100.0% {repeats.sources['own'].on_top:.1%}" in text
    assert f"New to the customer {candidates.kinds['new'].bought:,} products bought" in text
    assert html.count("<svg") == 6 + 2


def test_a_source_that_lists_no_such_products_is_not_told_of_them(
    evaluation: Evaluation, candidates: Contribution
) -> None:
    """`own` lists no new products, so it is no source there that others could do without."""
    html = render_evaluation(
        evaluation, SECONDS, timezone="UTC", inside=Inside(contribution={"blend": candidates})
    )
    repeats, new = " ".join(Page(html).text.split()).split("New to the customer ")
    assert ("own 100.0%" in repeats, "own 0.0%" in new) == (True, False)
    assert "others find too" not in new
    assert candidates.kinds["new"].sources["own"].alone == 0


def test_the_page_says_how_sure_probabilities_are(evaluation: Evaluation, probabilities: Calibration) -> None:
    html = render_evaluation(
        evaluation, SECONDS, timezone="UTC", inside=Inside(calibration={"blend": probabilities})
    )
    text = " ".join(Page(html).text.split())
    assert probabilities.pairs is not None
    assert f"Every customer and product 900 {probabilities.pairs.expected:,.0f}" in text
    assert f"{probabilities.pairs.ece:.4f} by chance {probabilities.pairs.ece_by_chance:.4f}" in text
    assert "400 active customers, 300 of them with a list." in text
    assert "all pairs ran low in the window from 1970-01-11: 1" in text
    assert "1970-01-16 900" in text
    assert html.count("<svg") == 6 + 3


def test_a_page_of_several_variants_stays_whole(
    evaluation: Evaluation, candidates: Contribution, probabilities: Calibration
) -> None:
    evil = "<script>alert(1)</script>"
    html = render_night(
        NIGHT,
        evaluation,
        SECONDS,
        inside=Inside(
            contribution={"blend": candidates, evil: candidates},
            calibration={"blend": probabilities, evil: probabilities},
        ),
    )
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {address[1:] for address in page.fetched if address.startswith("#")} <= set(page.ids)
    assert evil not in html
    assert "#010203" not in html


def test_empty_judgements_have_gaps_and_no_error(evaluation: Evaluation) -> None:
    none = np.empty(0)
    rows = none.astype(np.int32)
    nothing = judge([JudgedPairs(DAY_S, none, none.astype(np.bool_), rows, rows, rows)])
    zero = window_of(15)
    never = judge([replace(zero, p=zero.p * 0, is_bought=zero.is_bought & False)] * 9)
    html = render_evaluation(
        evaluation,
        SECONDS,
        timezone="UTC",
        inside=Inside(
            contribution={"none": Contribution(0, {})}, calibration={"nothing": nothing, "never": never}
        ),
    )
    text = " ".join(Page(html).text.split())
    assert "Nothing was bought in the windows" in text
    assert "No probability was judged. Probabilities" in text
    assert "Every customer and product 0 - - - - -" in text
    assert "No customer was active, so nothing can be promised." in text
    assert "Every probability was 0, and 0 purchases happened." in text


def test_the_json_holds_candidates_and_probabilities_by_variant(
    evaluation: Evaluation, candidates: Contribution, probabilities: Calibration
) -> None:
    content = json.loads(
        to_json(
            evaluation,
            SECONDS,
            inside=Inside(contribution={"blend": candidates}, calibration={"blend": probabilities}),
            fingerprint="abc",
        )
    )
    assert content["fingerprint"] == "abc"
    new = content["contribution"]["blend"]["kinds"]["new"]
    assert new["sources"]["guess"]["alone"] == candidates.kinds["new"].sources["guess"].alone
    assert [step["source"] for step in new["steps"]] == ["guess", "own"]
    judged = content["calibration"]["blend"]
    assert probabilities.pairs is not None
    assert judged["pairs"]["ece"] == probabilities.pairs.ece
    assert [kept["level"] for kept in judged["kept"]] == [0.8, 0.7, 0.5]
    assert len(judged["windows"]) == 2


def test_the_terminal_says_the_same_in_a_few_lines(
    candidates: Contribution, probabilities: Calibration
) -> None:
    lines = summary_lines({"blend": candidates}, {"blend": probabilities}, "UTC")
    assert all(line.startswith("blend: ") for line in lines)
    assert "100% of the repeats" in lines[0]
    assert lines[1].startswith("blend: Where 100 purchases were expected")
    assert any("ran low in the window from 1970-01-11" in line for line in lines)
    assert summary_lines({}, {}, "UTC") == []
