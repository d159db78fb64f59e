"""From two logs to a judgement: who counts, what counts, what makes it invalid, which rule fires."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from experiments.cli import commands
from experiments.cohort import cohort_of
from experiments.daily import figures_of
from experiments.errors import BadLogError
from experiments.frames import DAY_MS, EXPOSURES, OUTCOMES
from experiments.judge import Case, judge, open_case
from experiments.judgement import Judgement
from experiments.markdown import to_markdown
from experiments.report import to_html, to_json
from experiments.specification import Specification, hash_of
from experiments.verdict import Word
from tests.data.shop_logs import SPECIFICATION, START_MS, Truth, at, logs, specification_of

SPEC = specification_of()
HOUR_MS = DAY_MS // 24


def exposure(number: int, customer: str, variant: str, at_ms: int, **more: object) -> dict[str, object]:
    return {
        "event_id": f"x{number}",
        "request_id": f"r{number}",
        "at_ms": at_ms,
        "customer_id": customer,
        "experiment_id": SPEC.experiment.id,
        "version": 1,
        "spec_hash": hash_of(SPEC),
        "variant": variant,
        "is_forced": False,
        "is_fallback": False,
        "items": '[["p1", 0.5, null, null], ["[\\"p2", 0.25, null, null]]',
        "latency_ms": 2.0,
    } | more


def exposed(*lines: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(lines), schema=EXPOSURES)


def done(*lines: dict[str, object]) -> pl.DataFrame:
    whole = [{"event_id": f"o{number}"} | line for number, line in enumerate(lines)]
    return pl.DataFrame(whole, schema=OUTCOMES)


def bought(customer: str, at_ms: int, revenue: float, order: str | None = None) -> dict[str, object]:
    kind = "purchase" if revenue >= 0 else "return"
    return {
        "customer_id": customer,
        "kind": kind,
        "at_ms": at_ms,
        "order_id": order,
        "units": 1.0 if revenue >= 0 else -1.0,
        "revenue": revenue,
    }


def one_customer(*lines: dict[str, object]) -> dict[str, object]:
    """What customer a did, who was first shown something at the start, and again two hours later."""
    shown = exposed(exposure(0, "a", "ranker", START_MS), exposure(1, "a", "ranker", START_MS + 2 * HOUR_MS))
    cohort = cohort_of(SPEC, shown, START_MS + 30 * DAY_MS)
    found = figures_of(cohort, done(*lines), SPEC.analysis, START_MS + 30 * DAY_MS)
    return found.customers.row(0, named=True) | {"counts": found.counts}


def test_the_first_exposure_counts_whatever_the_order_of_arrival() -> None:
    shown = exposed(
        exposure(0, "a", "ranker", START_MS + 5000),
        exposure(1, "a", "ranker", START_MS + 1000),
        exposure(1, "a", "ranker", START_MS + 1000),
    )
    cohort = cohort_of(SPEC, shown, START_MS + DAY_MS)
    assert cohort.customers.rows() == [("a", 1, START_MS + 1000)]
    assert (cohort.counts["duplicates"], cohort.counts["out of order"]) == (1, 1)


def test_who_saw_two_variants_is_excluded_and_forced_answers_are_left_out() -> None:
    shown = exposed(
        exposure(0, "a", "ranker", START_MS),
        exposure(1, "a", "control", START_MS + 1),
        exposure(2, "b", "control", START_MS + 2),
        exposure(3, "b", "ranker", START_MS + 3, is_forced=True),
        exposure(4, "c", "ranker", START_MS + 4, is_forced=True),
        exposure(5, "d", "ranker", START_MS + 5, version=2),
        exposure(6, "e", "ranker", START_MS + 6, experiment_id="another"),
    )
    cohort = cohort_of(SPEC, shown, START_MS + DAY_MS)
    assert cohort.customers["customer_id"].to_list() == ["b"]
    assert (cohort.counts["crossovers"], cohort.counts["forced"], cohort.counts["exposures"]) == (1, 2, 5)


def test_only_what_lies_in_the_window_counts_and_what_lay_before_explains() -> None:
    week = 7 * DAY_MS
    found = one_customer(
        bought("a", START_MS - 1, 5.0, "before"),
        bought("a", START_MS - 29 * DAY_MS, 100.0, "long ago"),
        bought("a", START_MS, 10.0, "A"),
        bought("a", START_MS + HOUR_MS, 2.5, "A"),
        bought("a", START_MS + week - 1, 20.0, "B"),
        bought("a", START_MS + week, 1000.0, "C"),
        bought("a", START_MS + DAY_MS, -2.5, "A"),
        bought("b", START_MS, 7.0, "D"),
    )
    assert (found["revenue"], found["orders"], found["units"]) == (30.0, 2.0, 2.0)
    assert (found["has_bought"], found["bought_again"], found["is_new"]) == (1.0, 1.0, False)
    assert (found["before_revenue"], found["before_has_bought"], found["before_bought_again"]) == (
        5.0,
        1.0,
        0.0,
    )
    assert found["counts"]["of nobody here"] == 1  # type: ignore[index]


def test_without_order_ids_purchases_of_a_day_are_one_order() -> None:
    found = one_customer(
        bought("a", START_MS + 1, 1.0), bought("a", START_MS + 2, 1.0), bought("a", START_MS + DAY_MS, 1.0)
    )
    assert (found["orders"], found["is_new"]) == (2.0, True)


def test_answers_clicks_and_surveys_are_counted_by_customer() -> None:
    def click(request: str | None, at_ms: int) -> dict[str, object]:
        return {"customer_id": "a", "kind": "click", "request_id": request, "at_ms": at_ms}

    def survey(score: int | None, at_ms: int) -> dict[str, object]:
        return {"customer_id": "a", "kind": "survey", "question": "nps", "score": score, "at_ms": at_ms}

    found = one_customer(
        click("r0", START_MS + 10),
        click("r1", START_MS + 10),  # two hours before its answer
        click("another page", START_MS + 10),
        click(None, START_MS + 10),
        survey(3, START_MS + 20),
        survey(None, START_MS + 40),
        survey(9, START_MS + 30),
        survey(None, START_MS + 5) | {"question": "ces"},
    )
    assert (found["answers"], found["impressions"], found["products_shown"]) == (2.0, 4.0, 2.0)
    assert (found["latency_ms"], found["clicks"]) == (4.0, 3.0)
    assert (found["surveys_asked"], found["surveys_answered"], found["nps"], found["ces"]) == (
        2.0,
        1.0,
        9.0,
        None,
    )
    counts = found["counts"]
    assert counts["clicks before their answer"] == 1  # type: ignore[index]
    assert counts["clicks on no answer here"] == 1  # type: ignore[index]


def test_what_is_later_than_now_is_not_known() -> None:
    shown = exposed(exposure(0, "a", "ranker", START_MS), exposure(1, "b", "ranker", START_MS + DAY_MS))
    assert cohort_of(SPEC, shown, START_MS + 1).customers.height == 1


def test_what_was_shown_before_the_start_is_counted_and_not_judged() -> None:
    shown = exposed(
        exposure(1, "early", "control", START_MS - DAY_MS),
        exposure(2, "anna", "ranker", START_MS - DAY_MS),
        exposure(3, "anna", "control", START_MS + 5),
        exposure(4, "near", "control", START_MS - DAY_MS // 4),  # the shop's midnight is another one
    )
    cohort = cohort_of(SPEC, shown, START_MS + DAY_MS)
    assert dict(cohort.customers.select("customer_id", "first_ms").iter_rows()) == {
        "near": START_MS - DAY_MS // 4,
        "anna": START_MS + 5,
    }
    assert (cohort.counts["before the start"], cohort.counts["crossovers"]) == (2, 0)


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


def test_information_is_of_closed_windows_only(better_case: Case) -> None:
    found = judge(better_case)
    assert found.customers > found.closed
    assert found.information == found.closed / 14_000
    assert found.closed == sum(arm.closed for arm in found.arms)


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


def test_dropped_exposures_are_missing_logs(better: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    found = judge(open_case(SPEC, *better, at(21), dropped=500))
    assert found.headline.rule == "health: missing logs"


def test_sound_logs_have_no_failure(better_case: Case) -> None:
    assert {one.level for one in better_case.health} == {"fine"}


def test_a_log_that_is_none_is_refused_by_its_column() -> None:
    with pytest.raises(BadLogError, match="exposures: has no column variant"):
        open_case(SPEC, exposed().drop("variant"), done(), at(1))
    with pytest.raises(BadLogError, match="another type"):
        open_case(SPEC, exposed(), done(bought("a", 1, 1.0)).with_columns(at_ms=pl.lit("x")), at(1))
    with pytest.raises(BadLogError, match="customer_id is empty in 1 lines"):
        open_case(SPEC, exposed(), done({"kind": "view", "at_ms": 1}), at(1))


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
    found = judge(open_case(mixed, shown, better[1], at(21)))
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
