"""From two logs to a judgement: who counts, what counts, what makes it invalid, which rule fires."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from experiments.cli import commands
from experiments.errors import BadLogError
from experiments.judge import Case, judge, open_case
from experiments.judgement import Judgement
from experiments.reports.markdown import to_markdown
from experiments.reports.page import to_html, to_json
from experiments.specification import Specification, hash_of, parse
from experiments.verdict import Word
from models.arrays import DAY_MS
from tests.data.log_lines import SPEC, bought, done, exposed, exposure
from tests.data.shop_logs import SPECIFICATION, START_MS, Truth, at, logs

HOUR_MS = DAY_MS // 24


def test_when_the_planned_days_are_over_without_the_planned_size_the_report_says_so() -> None:
    both = logs(SPEC, Truth(customers=300), 4)
    told = [
        any("28 planned days are over" in note for note in judge(open_case(SPEC, *both, at(day))).notes)
        for day in (28, 29)
    ]
    assert told == [False, True]


@pytest.fixture(scope="module")
def better() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Logs of a shop where the ranker sells half as much again."""
    return logs(SPEC, Truth(lift=0.5), 1)


@pytest.fixture(scope="module")
def better_case(better: tuple[pl.DataFrame, pl.DataFrame]) -> Case:
    return open_case(SPEC, *better, at(21))


def test_a_better_variant_is_shipped_after_whole_weeks_and_not_before(
    better: tuple[pl.DataFrame, pl.DataFrame], better_case: Case
) -> None:
    found = judge(better_case)
    assert (found.headline.word, found.headline_arm) == (Word.SHIP, "ranker")
    assert found.headline.rule == "primary above its upper bound"
    days_later = judge(open_case(SPEC, *better, at(24)))
    assert days_later.headline.word is Word.CONTINUE
    assert "whole weeks" in days_later.headline.text


def test_days_count_from_the_first_exposure_where_it_began_late(
    better: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    late = better[0].filter(pl.col("at_ms") >= START_MS + 3 * DAY_MS)
    found = judge(open_case(SPEC, late, better[1], at(21)))
    assert found.elapsed_days == 18
    assert found.headline.word is Word.CONTINUE
    assert "whole weeks" in found.headline.text


def test_the_same_logs_make_the_same_figures_and_report_to_the_last_bit(
    better: tuple[pl.DataFrame, pl.DataFrame], better_case: Case
) -> None:
    """Sums of money are taken in one order, whichever thread is faster."""
    again = open_case(SPEC, *better, at(21))
    assert again.figures.daily.equals(better_case.figures.daily)
    for name, column in better_case.table.columns.items():
        assert column.tobytes() == again.table.columns[name].tobytes(), name
    assert to_json(judge(again)) == to_json(judge(better_case))


def test_information_is_of_closed_windows_only(better_case: Case) -> None:
    found = judge(better_case)
    assert found.customers > found.closed
    assert found.information == found.closed / 14_000
    assert found.closed == sum(arm.closed for arm in found.arms)


def test_whose_windows_were_over_on_a_day_are_the_first_customers_and_not_copied(better_case: Case) -> None:
    table = better_case.table
    for day in (0, 3, 9, 14, 99):
        closed = table.closed(START_MS + day * DAY_MS)
        was_over = table.closed_ms <= START_MS + day * DAY_MS
        assert closed.arm.tolist() == table.arm[was_over].tolist()
        assert closed.columns["orders"].tolist() == table.columns["orders"][was_over].tolist()
        assert all(column.base is not None for column in closed.columns.values())


def test_a_repeated_report_spends_nothing_and_says_the_same(better_case: Case) -> None:
    first = judge(better_case)
    again = judge(better_case, first.new_looks)
    assert (len(first.new_looks), again.new_looks) == (1, ())
    assert again.headline == first.headline
    assert again.looks == first.looks
    assert any("Nothing was spent" in note for note in again.notes)


def test_a_worse_variant_is_rolled_back() -> None:
    found = judge(open_case(SPEC, *logs(SPEC, Truth(lift=-0.5), 2), at(21)))
    assert found.headline.word is Word.ROLLBACK


def test_at_the_planned_size_little_is_no_difference_or_a_call_for_more() -> None:
    both = logs(SPEC, Truth(), 3)
    found = judge(open_case(SPEC, *both, at(35)))
    assert found.headline.word is Word.INCONCLUSIVE
    assert found.headline.needed_n is not None
    assert found.headline.needed_n > 14_000
    wide = SPEC.model_copy(
        update={"metrics": (SPEC.primary.model_copy(update={"mde": 0.6}), *SPEC.metrics[1:])}
    )
    shown = both[0].with_columns(spec_hash=pl.lit(hash_of(wide)))
    assert judge(open_case(wide, shown, both[1], at(35))).headline.word is Word.NO_MATERIAL_DIFFERENCE


def test_of_cuped_that_does_nothing_the_report_says_so() -> None:
    """A new experiment may not begin so; one that did is still judged."""
    text = SPECIFICATION.format(id="rec-2026-12", planned_n=600)
    vain = f'{text}[[metrics]]\nname = "shown"\ncolumn = "impressions"\nrole = "secondary"\ncuped = true\n'
    (note,) = (one for one in judge(open_case(parse(vain), exposed(), done(), at(3))).notes if "cuped" in one)
    assert note.startswith("Measured by the window alone: cuped does nothing for shown: ")
    assert not any("cuped" in one for one in judge(open_case(SPEC, exposed(), done(), at(3))).notes)


def test_what_each_arm_got_is_counted_by_hand() -> None:
    """Products are those of one customer of each arm, the first: the control has only one."""

    def items(*products: str) -> str:
        return json.dumps([[product, 0.5, None, None] for product in products])

    lines = [
        exposure(1, "anna", "control", START_MS + HOUR_MS, latency_ms=1.0, items=items("a", "b")),
        exposure(2, "anna", "control", START_MS + 30 * HOUR_MS, latency_ms=3.0, items=items("b", "c")),
        exposure(3, "ben", "ranker", START_MS + 2 * HOUR_MS, latency_ms=10.0, items=items("d")),
        exposure(4, "cleo", "ranker", START_MS + 5 * DAY_MS, latency_ms=20.0, items=items("e")),
        exposure(5, "dora", "ranker", START_MS + 5 * DAY_MS, latency_ms=None, items=items("f")),
        exposure(6, "emil", "ranker", START_MS + DAY_MS, latency_ms=None, items=items("g")),
    ]
    found = judge(open_case(SPEC, exposed(*lines), done(), at(9)))
    counts = [(arm.name, arm.customers, arm.closed, arm.answers, arm.products) for arm in found.arms]
    assert counts == [("control", 1, 1, 2, 3), ("ranker", 4, 2, 4, 1)]
    control, ranker = (arm.latency_ms for arm in found.arms)
    assert control == pytest.approx((2, 2.8, 2.98))
    assert ranker == pytest.approx((15, 19, 19.9))
    by_day = found.exposures_by_day
    assert by_day["control"] == (1, *[2] * 9)
    assert by_day["ranker"] == (1, *[2] * 4, *[4] * 5)


def test_without_logs_the_report_says_so() -> None:
    found = judge(open_case(SPEC, exposed(), done(), at(3)))
    assert found.headline.word is Word.CONTINUE
    assert "No exposure" in found.notes[0]
    for written in (to_html(found), to_markdown(found), to_json(found)):
        assert "rec" in written


def unbalanced(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    lost = (pl.col("variant") == "ranker") & (pl.col("customer_id").str.ends_with("7"))
    return shown.filter(~lost), outcomes


def crossed(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    other = pl.when(pl.int_range(pl.len()) % 500 == 0).then(pl.lit("control")).otherwise("variant")
    return shown.with_columns(variant=other), outcomes


def doubled(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.concat([shown, shown.head(shown.height // 10)]), outcomes


def skewed(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    early = pl.when(pl.col("kind") == "click").then(pl.col("at_ms") - HOUR_MS).otherwise("at_ms")
    return shown, outcomes.with_columns(at_ms=early)


def edited(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    late = pl.col("at_ms") > START_MS + 20 * DAY_MS
    changed = pl.when(late).then(pl.lit("0123456789abcdef")).otherwise("spec_hash")
    return shown.with_columns(spec_hash=changed), outcomes


def unequal_before(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    people = shown.filter(pl.col("variant") == "ranker")["customer_id"].unique().implode()
    before = pl.col("event_id").str.starts_with("b") & pl.col("customer_id").is_in(people)
    return shown, outcomes.with_columns(
        revenue=pl.when(before).then(pl.col("revenue") * 2).otherwise("revenue")
    )


def fallen_back(shown: pl.DataFrame, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return shown.with_columns(is_fallback=pl.col("variant") == "ranker"), outcomes


@pytest.mark.parametrize(
    ("spoil", "name", "level"),
    [
        (unbalanced, "sample ratio", "invalid"),
        (crossed, "crossovers", "invalid"),
        (edited, "specification edited", "invalid"),
        (unequal_before, "pre-period difference", "invalid"),
        (doubled, "duplicated logs", "warning"),
        (skewed, "clock skew", "warning"),
        (fallen_back, "fallback share", "warning"),
    ],
)
def test_each_bad_case_has_its_named_failure(
    better: tuple[pl.DataFrame, pl.DataFrame],
    spoil: Callable[[pl.DataFrame, pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]],
    name: str,
    level: str,
) -> None:
    found = judge(open_case(SPEC, *spoil(*better), at(35)))
    assert [(one.name, one.level) for one in found.health if one.level != "fine"] == [(name, level)]
    if level == "invalid":
        assert found.headline.word is Word.INVALID
        assert name in found.headline.rule


def test_a_variant_that_falls_back_where_the_control_never_does_is_rolled_back(
    better: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    guard = '[[metrics]]\nname = "fallback"\nrole = "guardrail"\nmargin = 0.5\n'
    specification = parse(SPECIFICATION.format(id=SPEC.experiment.id, planned_n=14_000) + guard)
    shown, outcomes = fallen_back(*better)
    one_in_ten = pl.col("is_fallback") & (pl.int_range(pl.len()) % 10 == 0)
    shown = shown.with_columns(is_fallback=one_in_ten, spec_hash=pl.lit(hash_of(specification)))
    found = judge(open_case(specification, shown, outcomes, at(21)))
    assert (found.headline.word, found.headline.rule) == (Word.ROLLBACK, "guardrail fallback")


def test_a_look_at_the_planned_size_stands_where_customers_leave_afterwards() -> None:
    """Who sees a second variant later is judged no more."""
    customers = [f"c{number}" for number in range(40)]
    specification = parse(SPECIFICATION.format(id=SPEC.experiment.id, planned_n=40))
    lines = [
        exposure(number, name, ("control", "ranker")[number % 2], START_MS + (number + 1) * DAY_MS // 10)
        for number, name in enumerate(customers)
    ]
    hers = {"spec_hash": hash_of(specification)}
    shown = exposed(*(line | hers for line in lines))
    spent = done(*(bought(name, START_MS + 5 * DAY_MS, float(n % 7)) for n, name in enumerate(customers)))
    first = judge(open_case(specification, shown, spent, at(11)))
    assert first.information == 1
    crossing = exposed(exposure(99, "c0", "ranker", START_MS + 10 * DAY_MS) | hers)
    later = judge(open_case(specification, pl.concat([shown, crossing]), spent, at(11)), first.new_looks)
    assert later.information == 39 / 40
    assert later.next_bound is None


def test_dropped_exposures_are_missing_logs(better: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    found = judge(open_case(SPEC, *better, at(21), dropped=500))
    assert found.headline.rule == "health: missing logs"


@pytest.mark.parametrize(
    ("share", "planned_n", "level"),
    [(0.5, 500, "fine"), (0.1, 500, "warning"), (0.1, 14_000, "warning"), (0.1, 1_000_000, "fine")],
)
def test_unequal_arms_that_stay_small_for_skewed_figures_are_a_warning(
    share: float, planned_n: int, level: str
) -> None:
    text = SPECIFICATION.format(id="ranker-vs-popular", planned_n=planned_n)
    head, _, tail = text.rpartition("weight = 0.5")
    specification = parse(f"{head}weight = {share}{tail}".replace("weight = 0.5", f"weight = {1 - share}", 1))
    case = open_case(specification, *logs(specification, Truth(customers=600), 3), at(35))
    (found,) = (one for one in case.health if one.name == "skewness")
    assert found.level == level
    assert found.text.startswith("revenue_per_customer of ranker is found lower by chance alone in about ")


def test_of_those_who_bought_the_share_who_bought_again_may_decide() -> None:
    """Of one day both would be its orders: that says nothing of novelty."""
    text = SPECIFICATION.format(id="again", planned_n=600).replace("cuped = true\n", "", 1)
    share = 'name = "again"\nkind = "ratio"\nnumer = "bought_again"\ndenom = "has_bought"'
    specification = parse(text.replace('name = "revenue_per_customer"', share, 1))
    found = judge(open_case(specification, *logs(specification, Truth(customers=600, orders=1.0), 3), at(35)))
    assert found.novelty == ()
    assert found.comparisons[0].effect is not None


def test_sound_logs_have_no_failure(better_case: Case) -> None:
    assert {one.level for one in better_case.health} == {"fine"}


def test_a_log_that_is_none_is_refused_by_its_column() -> None:
    with pytest.raises(BadLogError, match="exposures: has no column variant"):
        open_case(SPEC, exposed().drop("variant"), done(), at(1))
    with pytest.raises(BadLogError, match="another type"):
        open_case(SPEC, exposed(), done(bought("a", 1, 1.0)).with_columns(at_ms=pl.lit("x")), at(1))
    with pytest.raises(BadLogError, match="customer_id is empty in 1 lines"):
        open_case(SPEC, exposed(), done({"kind": "view", "at_ms": 1}), at(1))
    with pytest.raises(BadLogError, match="exposures: is_forced is empty in 1 lines"):
        open_case(SPEC, exposed(exposure(0, "a", "ranker", START_MS, is_forced=None)), done(), at(1))
    with pytest.raises(BadLogError, match="exposures: spec_hash is empty in 1 lines"):
        open_case(SPEC, exposed(exposure(0, "a", "ranker", START_MS, spec_hash=None)), done(), at(1))


def test_a_time_that_is_no_number_of_milliseconds_is_refused() -> None:
    dated = exposed(exposure(0, "a", "ranker", START_MS)).with_columns(pl.from_epoch("at_ms", "ms"))
    with pytest.raises(BadLogError, match=r"exposures: at_ms is of type Datetime.*Unix milliseconds"):
        open_case(SPEC, dated, done(), at(1))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_one_figure_that_is_no_number_does_not_take_the_metric_with_it(value: float) -> None:
    with pytest.raises(BadLogError, match="outcomes: revenue is no finite number in 1 lines"):
        open_case(SPEC, exposed(), done(bought("a", START_MS, value), bought("b", START_MS, 2.0)), at(1))


@pytest.fixture(scope="module")
def judged(better_case: Case) -> Judgement:
    return judge(better_case)


def test_the_page_has_its_pictures_inside_and_fetches_nothing(judged: Judgement) -> None:
    html = to_html(judged)
    assert html.count("<svg") == 6
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert "SHIP ranker" in html


def test_json_holds_everything_and_no_infinity(judged: Judgement) -> None:
    content = json.loads(to_json(judged), parse_constant=pytest.fail)
    assert content["headline"]["word"] == "SHIP"
    assert {one["metric"] for one in content["comparisons"]} >= {
        "revenue_per_customer",
        "ctr",
        "nps",
        "latency",
    }
    assert {one["segment"] for one in content["comparisons"]} == {"all", "new", "returning"}


def test_markdown_has_a_line_for_each_metric(judged: Judgement) -> None:
    text = to_markdown(judged)
    assert "**SHIP ranker.**" in text
    assert "| units\\_per\\_customer | ranker |" in text


def test_interleaved_lists_are_told_beside(better: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    control, ranker = SPEC.variants
    mixed = SPEC.model_copy(
        update={"variants": (control, ranker.model_copy(update={"interleave": "popular"}))}
    )
    items = pl.lit('[["p1", 0.5, null, "A"], ["p2", 0.4, null, "B"]]')
    shown = better[0].with_columns(items=items, spec_hash=pl.lit(hash_of(mixed)))
    written_as_text = better[1].with_columns(pl.col("position").cast(pl.String))
    found = judge(open_case(mixed, shown, written_as_text, at(21)))
    assert found.preferences["ranker"].second == 0
    assert found.preferences["ranker"].first > 1000
    assert "Interleaved lists" in to_html(found)
    assert "100.0%" in to_markdown(found)


def test_words_of_a_specification_cannot_write_on_the_page(better_case: Case) -> None:
    wicked = "<script>alert(1)</script> | `x`"
    head = SPEC.experiment.model_copy(update={"hypothesis": wicked})
    spec: Specification = SPEC.model_copy(update={"experiment": head})
    found = judge(replace(better_case, specification=spec))
    assert "<script>" not in to_html(found)
    assert "<script>" not in to_markdown(found)


def test_the_command_writes_three_files_and_its_looks(
    tmp_path: Path, better: tuple[pl.DataFrame, pl.DataFrame]
) -> None:
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec-2026-12", planned_n=14_000))
    better[0].write_parquet(tmp_path / "x.parquet")
    better[1].write_parquet(tmp_path / "o.parquet")
    said = ["report", "--spec", str(tmp_path / "spec.toml"), "--exposures", str(tmp_path / "x.parquet")]
    said += ["--outcomes", str(tmp_path / "o.parquet"), "--now", "2025-12-22", "--out", str(tmp_path / "out")]
    first = CliRunner().invoke(commands, said, catch_exceptions=False)
    assert first.output.startswith("SHIP ranker: revenue_per_customer is better")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "report.md", "report.json", "looks.json"}
    looks = (tmp_path / "out" / "looks.json").read_text()
    CliRunner().invoke(commands, said, catch_exceptions=False)
    assert (tmp_path / "out" / "looks.json").read_text() == looks
    assert "Nothing was spent" in (tmp_path / "out" / "report.md").read_text()
