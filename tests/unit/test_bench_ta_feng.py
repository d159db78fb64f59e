"""Ta-Feng's protocol on lines made by hand: the order of the filters, both splits, the clock of baskets."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.arrays import DAY_S
from models.validation.folds import FoldOptions, inner_folds
from tests.benchmarks import quality_ta_feng as ta_feng
from tests.benchmarks.quality_questions import Column
from training.evaluation.folds import count_orders

JANUARY, FEBRUARY, LATE = date(2001, 1, 10), date(2001, 2, 5), date(2001, 2, 20)
type Line = tuple[str, str, date]


def log(lines: list[Line]) -> pl.DataFrame:
    rows = [{"customer_id": c, "product_id": p, "kind": "k", "day": day} for c, p, day in lines]
    return pl.DataFrame(rows, schema={"customer_id": str, "product_id": str, "kind": str, "day": pl.Date})


def bought(customer: str, product: str, first: date, times: int) -> list[Line]:
    return [(customer, product, first + timedelta(days=back)) for back in range(times)]


def customers(lines: pl.DataFrame) -> list[str]:
    return sorted(lines["customer_id"].unique())


def test_customers_go_before_products_and_are_not_counted_again() -> None:
    lines = [
        *bought("few", "both", JANUARY, 9),  # 9 lines: out, so "both" has 9 lines left
        *bought("many", "both", JANUARY, 9),
        *bought("many", "bread", JANUARY, 2),
        *bought("baker", "bread", JANUARY, 10),
    ]
    left = ta_feng.prepared(log(lines))
    assert customers(left) == ["baker", "many"]  # "many" stays with 2 of 11 lines
    assert left["product_id"].unique().to_list() == ["bread"]
    assert left.filter(pl.col("customer_id") == "many").height == 2


def test_baskets_are_counted_after_rare_products_left() -> None:
    once = [("once", f"rare{number}", JANUARY + timedelta(days=number)) for number in range(9)]
    lines = [*once, ("once", "bread", JANUARY), *bought("baker", "bread", JANUARY, 10)]
    assert customers(ta_feng.prepared(log(lines))) == ["baker"]  # one day with bread is one basket


def test_a_single_basket_before_the_validation_window_is_left_out() -> None:
    lines = [
        ("late", "bread", JANUARY),
        *bought("late", "bread", FEBRUARY, 9),
        *bought("steady", "bread", JANUARY, 2),
        *bought("steady", "bread", FEBRUARY, 8),
    ]
    left = ta_feng.prepared(log(lines))
    days = {name: left.filter(pl.col("customer_id") == name)["day"].min() for name in ("late", "steady")}
    assert days == {"late": FEBRUARY, "steady": JANUARY}


def test_the_time_split_asks_for_the_first_basket_and_for_known_products_alone() -> None:
    lines = log(
        [
            *bought("a", "bread", JANUARY, 2),
            ("a", "bread", LATE),
            ("a", "unheard", LATE),
            ("a", "milk", LATE + timedelta(days=1)),  # the second basket is not asked about
            *bought("b", "milk", JANUARY, 2),
            ("b", "unheard", LATE),  # nothing of the first basket is known: not asked, second basket or not
            ("b", "milk", LATE + timedelta(days=1)),
            ("c", "tea", FEBRUARY),  # no training basket: neither history nor asked, but tea is known
            ("c", "tea", LATE),
            *bought("d", "bread", JANUARY, 2),
            ("d", "tea", LATE),
        ]
    )
    history, wanted = ta_feng.time_split(lines, ta_feng.TEST, ta_feng.END)
    assert customers(history) == ["a", "b", "d"]
    assert history["day"].max() < ta_feng.TEST
    assert sorted(wanted.select("customer_id", "product_id", "day").rows()) == [
        ("a", "bread", LATE),
        ("d", "tea", LATE),
    ]


def test_the_last_basket_split_counts_baskets_back() -> None:
    lines = log([*bought("a", "bread", JANUARY, 4), *bought("b", "bread", JANUARY, 3)])
    history, wanted = ta_feng.last_basket_split(lines)
    assert customers(wanted) == ["a"]  # b has three
    assert wanted["day"].to_list() == [JANUARY + timedelta(days=3)]
    assert history.sort("day")["back"].to_list() == [3, 2, 1]


def test_validation_predicts_the_last_but_one_from_what_came_before_it() -> None:
    history, wanted = ta_feng.last_basket_split(log(bought("a", "bread", JANUARY, 4)), skip=1)
    assert wanted["day"].to_list() == [JANUARY + timedelta(days=2)]
    assert history.sort("day")["back"].to_list() == [2, 1]


def test_each_horizon_of_the_clock_holds_the_basket_of_its_number() -> None:
    as_of_s = 100 * ta_feng.CLOCK_DAYS * DAY_S
    at_s = ta_feng.order_clock(np.array([0, 1, 2, 50]), as_of_s)
    horizons = (as_of_s - at_s) / (ta_feng.CLOCK_DAYS * DAY_S)
    np.testing.assert_array_equal(horizons, [-0.5, 0.5, 1.5, 49.5])


def test_inner_folds_of_the_clock_ask_each_customer_for_one_basket() -> None:
    lines = [line for name in range(30) for line in bought(f"c{name:02}", "bread", JANUARY, 4 + name % 3)]
    question = ta_feng.by_last_basket(log(lines)).tests[0]
    folds = list(inner_folds(question.history, FoldOptions(horizon_days=question.fold.horizon_days)))
    assert [len(fold.rows) for fold in folds] == [30, 30, 20]  # with 3, 2 and 1 baskets before it
    assert count_orders(folds[0].history).tolist() == [2 + name % 3 for name in range(30)]


def test_popularity_counts_the_lines_of_those_who_are_asked() -> None:
    columns = (Column("P@5", "all", "precision@5"), Column("recall@5", "all", "recall@5"))
    found = ta_feng.popularity(_asked_of_one(), columns)
    # a bought six products: a1 three times, a2 to a6 once; the first five are a1 to a5. The basket is a2, a6
    # and b, which is the most popular of all but nothing that a ever bought: one hit.
    assert found == pytest.approx((1 / 5, 1 / 3))


def test_a_split_that_does_not_meet_the_published_row_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = log([*bought("a", "bread", JANUARY, 2), ("a", "bread", LATE)])
    split = ta_feng.by_time(lines)
    of_one = {"popularity": (1 / 5, 1 / 10, 1 / 20)}  # one customer, one product, hit
    monkeypatch.setitem(ta_feng.PUBLISHED, split.name, ta_feng.Published(1, of_one))
    assert ta_feng.check_published(split) == pytest.approx((0.2, 0.1, 0.05))
    monkeypatch.setitem(ta_feng.PUBLISHED, split.name, ta_feng.Published(2, of_one))
    with pytest.raises(SystemExit, match="not the same split"):
        ta_feng.check_published(split)
    off_by_a_digit = {"popularity": (0.2001, 0.1, 0.05)}
    monkeypatch.setitem(ta_feng.PUBLISHED, split.name, ta_feng.Published(1, off_by_a_digit))
    with pytest.raises(SystemExit, match="not the same split"):
        ta_feng.check_published(split)


def _asked_of_one() -> Any:
    own = [("a", f"a{number}", JANUARY) for number in range(1, 7)]
    again = [("a", "a1", JANUARY + timedelta(days=1)), ("a", "a1", JANUARY + timedelta(days=2))]
    wanted = [("a", product, LATE) for product in ("a2", "a6", "b")]
    return ta_feng.by_time(log([*own, *again, *wanted, *bought("b", "b", JANUARY, 9)])).tests[0]
