"""Who came and what they did, as the judge counts it: first exposures, windows, orders, answers."""

from experiments.logs.cohort import cohort_of
from experiments.logs.daily import figures_of
from models.arrays import DAY_MS
from tests.data.log_lines import SPEC, bought, done, exposed, exposure
from tests.data.shop_logs import START_MS

HOUR_MS = DAY_MS // 24


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


def test_an_order_whose_id_is_a_days_number_is_not_that_days_purchases() -> None:
    found = one_customer(
        bought("a", START_MS + 3 * DAY_MS, 1.0), bought("a", START_MS + 3 * DAY_MS + 5, 2.0, "3")
    )
    assert (found["orders"], found["revenue"]) == (2.0, 3.0)


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


def test_a_place_of_an_answer_is_clicked_once_and_by_a_clock_that_is_behind_too() -> None:
    def click(position: int, at_ms: int, request: str | None = "r0") -> dict[str, object]:
        return {
            "customer_id": "a",
            "kind": "click",
            "request_id": request,
            "position": position,
            "at_ms": at_ms,
        }

    again = [click(1, START_MS + 10), click(1, START_MS + 20), click(2, START_MS + 30), click(1, 7, "r1")]
    assert one_customer(*again)["clicks"] == 3.0
    assert one_customer(click(1, START_MS - 2000))["clicks"] == 1.0
    assert one_customer(click(1, START_MS + 5, None), click(1, START_MS + 6, None))["clicks"] == 2.0


def test_a_click_follows_the_first_of_several_answers_to_its_request() -> None:
    late = exposure(1, "a", "ranker", START_MS + 2 * HOUR_MS, request_id="r0")
    cohort = cohort_of(SPEC, exposed(exposure(0, "a", "ranker", START_MS), late), START_MS + DAY_MS)
    click = {"customer_id": "a", "kind": "click", "request_id": "r0", "position": 1, "at_ms": START_MS + 10}
    found = figures_of(cohort, done(click), SPEC.analysis, START_MS + DAY_MS)
    assert (found.counts["clicks"], found.counts["clicks before their answer"]) == (1, 0)


def test_new_is_who_bought_nothing_in_the_days_before_their_own_first_exposure() -> None:
    days = SPEC.analysis.cuped_days
    assert one_customer(bought("a", START_MS - (days + 1) * DAY_MS, 5.0))["is_new"]
    assert not one_customer(bought("a", START_MS - (days - 1) * DAY_MS, 5.0))["is_new"]


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
