"""What a place filled by lot says: read as it was written, as by hand, right on average, or nothing."""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.errors import TooFarError
from experiments.judge import judge, open_case
from experiments.logs.cohort import Cohort
from experiments.logs.frames import OUTCOMES
from experiments.reports.markdown import to_markdown
from experiments.reports.page import to_html, to_json
from experiments.specification import Specification, hash_of
from experiments.statistics.explored import FEWER, MORE, REFUSED, SAME, Choice, choices_of, lot_of, slate_of
from experiments.statistics.off_policy import doubly_robust_gain
from models.arrays import DAY_MS
from tests.data.shop_logs import Truth, at, logs, specification_of

NOW_MS = 100 * DAY_MS


def items(pool: Sequence[str], drawn: int, rivals: dict[str, str | None]) -> str:
    """An answer of one product, the one that was drawn, and the others of the pool."""
    lot = {"pool": dict.fromkeys(pool, 0.5), "rivals": rivals}
    shown = [["x", 0.25, None, None], [pool[drawn], 0.5, 1 / len(pool), None, lot]]
    shown += [[product, 0.5, None, None] for at, product in enumerate(pool) if at != drawn]
    return json.dumps(shown)


def exposures(lines: Sequence[tuple[str, str, int, str]], **more: object) -> Cohort:
    """Of arm 1: customer, request, time, items."""
    frame = pl.DataFrame(
        lines,
        schema={"customer_id": pl.String, "request_id": pl.String, "at_ms": pl.Int64, "items": pl.String},
        orient="row",
    ).with_columns(arm=pl.lit(1, pl.Int32), is_fallback=pl.lit(more.get("is_fallback", False)))
    return Cohort(frame, frame.select("customer_id").unique(), {})


def clicks(lines: Sequence[tuple[str, str, int]]) -> pl.DataFrame:
    """Customer, request, position."""
    return pl.DataFrame(
        [
            {"event_id": f"{i}", "kind": "click", "customer_id": c, "request_id": r, "position": p}
            for i, (c, r, p) in enumerate(lines)
        ],
        schema=OUTCOMES,
    )


def test_a_lot_is_read_as_the_service_writes_it() -> None:
    lot = lot_of(items(["a", "b", "c"], 1, {"als": "c", "ease": None}))
    assert lot is not None
    assert (lot.pool, lot.drawn, lot.propensity) == (("a", "b", "c"), 1, pytest.approx(1 / 3))
    assert (lot.scores, lot.beside) == ((0.5, 0.5, 0.5), 0.25)
    assert lot.rivals == {"als": 2, "ease": 0}  # who lists none of them leaves what stands there


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "[]", "null", "7", '[["a", 0.5, null, null]]', '[["a", 0.5, null, null, {}]]'),
        '[["z", 0.5, 0.5, null, {"pool": {"a": 0.5}, "rivals": {}}]]',
        '[["a", 0.5, null, null, {"pool": {"a": 0.5}, "rivals": {}}]]',
        '[["a", 0.5, 0.5, null, {"pool": {"a": 0.5}, "rivals": {"als": "z"}}]]',
        '[["a", 0.5, 0.5, null, {"pool": ["a", "b"], "rivals": {}}]]',
        '[["a", 0.5, 0, null, {"pool": {"a": 0.5}, "rivals": {}}]]',
    ],
)
def test_what_the_service_does_not_write_is_no_lot(text: str) -> None:
    assert lot_of(text) is None


@given(st.integers(2, 6), st.data())
def test_a_slate_is_that_of_another_draw_whichever_was_drawn(size: int, data: st.DataObject) -> None:
    pool = [f"p{i}" for i in range(size)]
    first, second = (data.draw(st.integers(0, size - 1)) for _ in range(2))
    texts = [items(pool, drawn, {}) for drawn in (first, second)]
    lot = lot_of(texts[0])
    assert lot is not None
    assert slate_of(texts[0], lot, second) == [item[0] for item in json.loads(texts[1])]
    assert slate_of(texts[0], lot, first) == [item[0] for item in json.loads(texts[0])]


def by_hand(n: int, *, pays: str, rival: str | None = "b") -> Sequence[Choice]:
    """n customers, half of whom drew "a", half "b"; those clicked who drew what pays."""
    drawn = [i % 2 for i in range(n)]
    lines = [(f"c{i}", f"r{i}", 0, items(["a", "b"], place, {"als": rival})) for i, place in enumerate(drawn)]
    done = clicks([(f"c{i}", f"r{i}", 2) for i, place in enumerate(drawn) if "ab"[place] == pays])
    return choices_of(exposures(lines), done, 1, ("als",), NOW_MS)


def test_a_value_is_worked_out_by_hand() -> None:
    own, als = by_hand(400, pays="b")
    assert own.snips is not None
    assert als.snips is not None
    assert als.gain is not None
    assert (own.chooser, own.snips.value, own.effective_n, own.word) == ("", 0, 200, "")
    assert (als.chooser, als.answers, als.same) == ("als", 400, 0)
    assert (als.snips.value, als.gain.value) == (1, pytest.approx(1))
    assert als.word == MORE
    assert by_hand(400, pays="a")[1].word == FEWER
    own, als = by_hand(
        400, pays="b", rival=None
    )  # it lists neither: what would have stood there stands there
    assert als.gain is not None
    assert (als.same, als.word, als.gain.value) == (1, SAME, 0)


def test_few_answers_say_nothing() -> None:
    own, als = by_hand(198, pays="b")
    assert (own.word, als.word) == (REFUSED, REFUSED)
    assert als.snips is als.robust is als.gain is None
    assert "198 customers are worth 99" in als.why


def test_what_does_not_count_is_left_out() -> None:
    texts = [items(["a", "b"], drawn, {"als": "b"}) for drawn in (0, 1)]
    lines = [
        *((f"c{i}", f"r{i}", 0, texts[i % 2]) for i in range(400)),
        ("c2", "r2", 0, texts[1]),  # the same answer again, told otherwise
        ("c2", "late", NOW_MS - DAY_MS + 1, texts[0]),  # clicks on it may still come
        ("c3", "none", 0, '[["a", 0.5, null, null]]'),
    ]
    done = clicks([("c2", "r2", 1), ("c2", "r2", 1), ("c2", "r2", 3), ("c4", "r2", 1)])
    (own, _) = choices_of(exposures(lines), done, 1, ("als",), NOW_MS)
    assert own.answers == 400
    assert own.snips is not None
    assert own.snips.value == pytest.approx(2 / 200)
    assert choices_of(exposures(lines), done, 0, (), NOW_MS) == ()
    assert choices_of(exposures(lines, is_fallback=True), done, 1, (), NOW_MS) == ()
    untold = choices_of(exposures(lines), done, 1, ("als", "ease"), NOW_MS)[2]
    assert (untold.answers, untold.word) == (0, REFUSED)
    assert "routed" in untold.why


def test_a_lot_that_is_none_is_refused() -> None:
    """As where the logs of a worker are lost that had other outcomes."""
    lines = [(f"c{i}", f"r{i}", 0, items(["a", "b"], int(i % 10 < 4), {"als": "b"})) for i in range(1000)]
    found = choices_of(exposures(lines), clicks([]), 1, ("als",), NOW_MS)
    assert [one.word for one in found] == [REFUSED, REFUSED]
    assert "isn't spread as a lot" in found[1].why
    again = [(customer, f"{n}", 0, text) for n in range(9) for customer, _, _, text in lines[:100]]
    few = choices_of(exposures(again), clicks([]), 1, ("als",), NOW_MS)  # a customer's lot counts once
    assert "isn't spread" not in few[1].why


def test_a_gain_is_the_difference_of_both_and_nothing_where_they_agree() -> None:
    n = 1000
    rng = np.random.default_rng(3)
    drawn, rewards = rng.integers(0, 4, n), rng.random(n)
    chance, customers = np.full(n, 0.25), np.arange(n)
    targets, base = ((drawn == one).astype(float) for one in (2, 0))
    nothing = {"guessed": np.zeros(n), "guessed_target": np.zeros(n), "guessed_base": np.zeros(n)}
    found = doubly_robust_gain(rewards, chance, targets, base, customers, **nothing)
    by_hand = 4 * (rewards[drawn == 2].sum() - rewards[drawn == 0].sum()) / n
    assert found.value == pytest.approx(by_hand)
    same = doubly_robust_gain(rewards, chance, base, base, customers, **nothing)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    with pytest.raises(TooFarError):
        doubly_robust_gain(rewards, chance, targets, np.zeros(n), customers, **nothing)


PAYS, BASE, POOL = 0.6, 0.1, ("a", "b")
TRUE_RIVAL, TRUE_OWN = BASE + PAYS * (0.5 + 0.5 / 2), BASE + PAYS / 2


def one_run(rng: np.random.Generator, people: int) -> Choice:
    """What is found of a rival that knows what half of the customers like, while the own list always begins
    with the same; they come up to three times, and see the same each time."""
    liked, drawn = rng.integers(0, 2, people), rng.integers(0, 2, people)
    guess = np.where(rng.random(people) < 0.5, liked, rng.integers(0, 2, people))
    lines, done = [], []
    for customer, visits in enumerate(rng.integers(1, 4, people)):
        text = items(POOL, int(drawn[customer]), {"als": POOL[guess[customer]]})
        chance = BASE + PAYS * (drawn[customer] == liked[customer])
        for visit in range(visits):
            lines.append((f"c{customer}", f"{customer}.{visit}", 0, text))
            if rng.random() < chance:
                done.append((f"c{customer}", f"{customer}.{visit}", 2))
    return choices_of(exposures(lines), clicks(done), 1, ("als",), NOW_MS)[1]


def test_intervals_cover_what_a_model_that_was_not_served_would_have_got() -> None:
    rng = np.random.default_rng(4)
    found = [one_run(rng, 300) for _ in range(120)]
    for name, truth in (("snips", TRUE_RIVAL), ("robust", TRUE_RIVAL), ("gain", TRUE_RIVAL - TRUE_OWN)):
        values = [getattr(one, name) for one in found]
        assert 0.9 <= np.mean([value.low <= truth <= value.high for value in values]) <= 0.99, name
        assert np.mean([value.value for value in values]) == pytest.approx(truth, abs=0.015)
    assert np.mean([one.word == MORE for one in found]) > 0.5


def exploring() -> tuple[Specification, pl.DataFrame, pl.DataFrame]:
    """The logs of a made-up shop, whose ranker fills the second place by lot; a rival wants the second."""
    spec = specification_of()
    control, ranker = spec.variants
    by_lot = ranker.model_copy(update={"explore": 2, "explore_among": 2, "rivals": ("als",)})
    spec = spec.model_copy(update={"variants": (control, by_lot)})
    shown, done = logs(spec, Truth(customers=3000), 1)
    texts = [items(["p1", "p2"], drawn, {"als": "p2"}) for drawn in (0, 1)]
    number = pl.col("customer_id").hash(1) % 2
    text = pl.when(number == 0).then(pl.lit(texts[0])).otherwise(pl.lit(texts[1]))
    assert set(shown["spec_hash"]) == {hash_of(spec)}
    return spec, shown.with_columns(items=text), done


def test_the_report_says_what_others_would_do_and_counts_products_as_ever() -> None:
    spec, shown, done = exploring()
    found = judge(open_case(spec, shown, done, at(21)))
    own, als = found.choices["ranker"]
    assert (own.chooser, als.chooser) == ("", "als")
    assert als.gain is not None
    assert abs(als.gain.value) < 0.2  # clicks don't follow what is shown there
    assert "control" not in found.choices
    text, page = to_markdown(found), to_html(found)
    assert "| ranker | als |" in text
    assert "its own list" in text
    assert "A place filled by lot" in page
    content = json.loads(to_json(found), parse_constant=pytest.fail)
    assert content["choices"]["ranker"][1]["chooser"] == "als"
    assert {arm.products for arm in found.arms} == {3}  # the pool isn't shown
    plain = shown.with_columns(items=pl.lit('[["x",1,null,null],["p1",1,null,null],["p2",1,null,null]]'))
    same = judge(open_case(spec, plain, done, at(21)))
    ctr = [one.effect for one in found.comparisons if one.metric == "ctr"]
    assert ctr == [one.effect for one in same.comparisons if one.metric == "ctr"]
    assert same.choices == {}
    assert "no answer that is a day old has one" in to_html(same)


def test_without_a_place_by_lot_the_report_has_no_such_part() -> None:
    spec = specification_of()
    found = judge(open_case(spec, *logs(spec, Truth(customers=300), 1), at(21)))
    assert found.choices == {}
    assert "filled by lot" not in to_markdown(found) + to_html(found)
