"""Folds and their figures on a history of five customers that can be counted by hand."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.history.interactions import Interactions
from storage.local_days import local_day, midnight_s
from tests.data.scores import DAY_S, Fixed, history_of
from training.evaluation.comparison import activity_edges, summarise
from training.evaluation.folds import TARGETS, Fold, Target, count_orders, last_folds, split
from training.evaluation.one_fold import EvaluationOptions, FoldResult, evaluate_fold

# (customer, product, day, order). The fold is at day 10, seven days long.
LINES = [
    (0, 0, 1, 0),
    (0, 1, 1, 0),
    (0, 0, 5, 1),
    (1, 2, 9.9, 2),
    (2, 0, 3, 3),  # customer 2 does not come back
    (0, 0, 10, 4),  # the first moment of the window counts
    (0, 3, 10, 4),
    (0, 1, 12, 5),
    (0, 0, 12, 5),  # bought twice in the window: one pair
    (1, 5, 16.9, 6),  # nobody ever bought product 5 before
    (3, 0, 11, 7),  # customer 3 is unknown
    (1, 2, 17, 8),  # the first moment after the window does not count
]
FOLD = Fold(10 * DAY_S, 7)
POPULAR = np.array([0, 1, 2], np.int32)  # the products that anybody bought before day 10


def history() -> Interactions:
    return history_of(LINES, n_customers=5, n_products=6, as_of_day=20)


def truth_of(target: Target) -> dict[int, list[int]]:
    part = split(history(), FOLD)[1].targets[target]
    return {
        int(customer): part.products[[row]].indices.tolist() for row, customer in enumerate(part.customer_row)
    }


def test_the_history_of_a_fold_ends_right_before_it() -> None:
    before, _ = split(history(), FOLD)
    assert len(before) == 5
    assert before.at_s.max() < FOLD.as_of_s
    assert before.as_of_s == FOLD.as_of_s


def test_the_truth_is_what_known_customers_bought_in_the_window() -> None:
    assert truth_of("all") == {0: [0, 1, 3], 1: [5]}


def test_new_is_what_they_had_never_bought() -> None:
    assert truth_of("new") == {0: [3], 1: [5]}


def test_the_next_order_is_the_first_one_in_the_window() -> None:
    assert truth_of("next_order") == {0: [0, 3], 1: [5]}


def test_unknown_customers_are_counted_apart_and_unsold_products_stay() -> None:
    _, truth = split(history(), FOLD)
    assert truth.unknown_customers == 1
    assert truth.unsold_share == 2 / 4  # products 3 and 5, of the pairs 0-0, 0-1, 0-3, 1-5


def test_orders_before_the_fold_are_counted_once_each() -> None:
    before, truth = split(history(), FOLD)
    assert count_orders(before).tolist() == [2, 1, 1, 0, 0]
    assert truth.targets["all"].orders_before.tolist() == [2, 1]


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 19), st.integers(0, 2)), max_size=40
    )
)
def test_a_split_agrees_with_plain_sets(raw: list[tuple[int, int, int, int]]) -> None:
    lines = [(c, p, day, (c * 20 + day) * 3 + number) for c, p, day, number in raw]
    whole = history_of(lines, n_customers=5, n_products=6, as_of_day=20)
    _, truth = split(whole, FOLD)
    before = {(c, p) for c, p, day, _ in lines if day < 10}
    known = {c for c, _ in before}
    after = {(c, p) for c, p, day, _ in lines if 10 <= day < 17 and c in known}
    first: dict[int, tuple[int, int]] = {}
    for customer, _, day, order in lines:
        if 10 <= day < 17:
            first[customer] = min(first.get(customer, (99, 0)), (day, order))
    expected = {
        "all": after,
        "new": after - before,
        "next_order": {(c, p) for c, p, day, order in lines if c in known and first.get(c) == (day, order)},
    }
    for target in TARGETS:
        part = truth.targets[target]
        rows, products = part.products.nonzero()
        assert {
            (int(part.customer_row[row]), int(p)) for row, p in zip(rows, products, strict=True)
        } == expected[target]


def test_midnight_is_the_shops_and_not_utcs() -> None:
    assert (
        midnight_s(date(2017, 12, 1), "America/New_York") == datetime(2017, 12, 1, 5, tzinfo=UTC).timestamp()
    )
    assert local_day(midnight_s(date(2017, 12, 1), "America/New_York") - 1, "America/New_York") == date(
        2017, 11, 30
    )


def test_the_last_folds_lie_side_by_side_before_the_last_midnight() -> None:
    end_s = midnight_s(date(2018, 1, 1), "Europe/Berlin") + 4 * 3600
    folds = last_folds(end_s, 7, "Europe/Berlin")
    assert [local_day(fold.as_of_s, "Europe/Berlin") for fold in folds] == [
        date(2017, 12, 11),
        date(2017, 12, 18),
        date(2017, 12, 25),
    ]
    assert [fold.end_s for fold in folds[:2]] == [fold.as_of_s for fold in folds[1:]]
    assert folds[-1].end_s <= end_s


def scores(*rows: list[float]) -> Fixed:
    return Fixed(np.array(rows, np.float32))


def test_a_fold_measures_each_model_on_the_same_customers() -> None:
    nan = np.nan
    knows = scores([9, 8, nan, 7, nan, nan], [nan, nan, nan, nan, nan, 9], *[[nan] * 6] * 3)
    popular = scores(*[[3, 2, 1, nan, nan, nan]] * 5)
    said: list[str] = []
    models = {"knows": knows, "popular": popular}
    result = evaluate_fold(history(), FOLD, models, fill=POPULAR, on_step=said.append)
    assert sorted(said) == ["knows, lists of 2 customers", "popular, lists of 2 customers"]
    assert result.targets["all"].customer_row.tolist() == [0, 1]
    assert result.per_customer("knows").tolist() == [1, 1]
    # Customer 0 bought 0, 1, 3 and is shown 0, 1, 2; customer 1 bought 5 and never sees it.
    assert result.per_customer("popular", "recall@5").tolist() == pytest.approx([2 / 3, 0])
    assert result.per_customer("popular", "precision@1").tolist() == [1, 0]
    assert result.facts.customers == 2
    assert result.facts.unknown_customers == 1
    assert result.facts.products_each == 2
    assert result.facts.repeat_share == 2 / 4
    assert result.facts.history_customers == 3
    assert result.facts.history_products == 3


def test_for_new_products_what_the_customer_owns_leaves_the_list() -> None:
    wants = scores([9, 8, 1, 7, 1, 1], [1, 1, 9, 1, 1, 8], *[[1.0] * 6] * 3)
    result = evaluate_fold(history(), FOLD, {"wants": wants}, fill=POPULAR)
    # Customer 0 owns 0 and 1, so 3 comes first; customer 1 owns 2, so 5 does.
    assert result.per_customer("wants", "precision@1", "new").tolist() == [1, 1]
    assert result.per_customer("wants", "precision@1", "all").tolist() == [1, 0]


def test_a_lot_of_the_customers_has_the_figures_it_has_among_all() -> None:
    every = random_result(0)
    some, again = (random_result(0, max_customers=30) for _ in range(2))
    assert (some.facts.customers, some.facts.known_customers) == (30, every.facts.customers)
    assert every.facts.customers == every.facts.known_customers > 30
    assert some.facts.products_each == every.facts.products_each  # of the window, not of the lot
    for target, part in some.targets.items():
        whole = every.targets[target]
        place = np.searchsorted(whole.customer_row, part.customer_row)
        np.testing.assert_array_equal(whole.customer_row[place], part.customer_row)
        np.testing.assert_array_equal(whole.orders_before[place], part.orders_before)
        np.testing.assert_array_equal(again.targets[target].customer_row, part.customer_row)
        for variant in ("popular", "blend"):
            wanted = every.per_customer(variant, target=target)[place]
            np.testing.assert_array_equal(some.per_customer(variant, target=target), wanted)
    other = random_result(0, max_customers=30, lot_seed=1)
    assert other.targets["all"].customer_row.tolist() != some.targets["all"].customer_row.tolist()


def test_fewer_customers_than_a_lot_are_all_judged() -> None:
    assert random_result(0, max_customers=60).facts == random_result(0).facts


def test_a_fold_without_truth_has_empty_figures() -> None:
    result = evaluate_fold(history(), Fold(18 * DAY_S, 2), {"a": scores(*[[1.0] * 6] * 5)}, fill=POPULAR)
    assert result.facts.customers == 0
    assert result.per_customer("a").shape == (0,)
    summary = summarise([result], default="a", baseline="a")
    assert summary.variants["a"].metrics["all"] == {}
    assert summary.activity == []


def random_result(
    seed: int, as_of_day: int = 10, max_customers: int | None = None, lot_seed: int = 0
) -> FoldResult:
    rng = np.random.default_rng(seed)
    lines = [
        (int(c), int(p), float(day), int(c) * 20 + int(day))
        for c, p, day in zip(
            rng.integers(0, 60, 900), rng.integers(0, 40, 900), rng.integers(0, 20, 900), strict=True
        )
    ]
    whole = history_of(lines, n_customers=60, n_products=40, as_of_day=20)
    models = {
        "popular": Fixed(rng.random((60, 40), np.float32)),
        "blend": Fixed(rng.random((60, 40), np.float32)),
    }
    fill = np.arange(40, dtype=np.int32)
    fold = Fold(as_of_day * DAY_S, 5)
    options = EvaluationOptions(max_customers=max_customers, seed=lot_seed) if max_customers else None
    return evaluate_fold(whole, fold, models, fill=fill, options=options)


def test_the_summary_is_the_mean_of_the_folds() -> None:
    results = [random_result(1, 10), random_result(1, 15)]
    summary = summarise(results, default="blend", resamples=200)
    result = summary.variants["blend"]
    for metric, found in result.metrics["all"].items():
        folds = [fold[metric].mean for fold in result.by_fold["all"]]
        assert found.mean == pytest.approx(np.mean(folds)), metric
        assert found.low <= found.mean <= found.high
    expected = [part.per_customer("blend", "recall@5").mean() for part in results]
    assert [fold["recall@5"].mean for fold in result.by_fold["all"]] == pytest.approx(expected)


def test_differences_are_paired_and_against_the_baseline_and_the_default() -> None:
    result = random_result(2)
    summary = summarise([result], default="blend", resamples=200)
    assert set(summary.variants["blend"].differences) == {"popular"}
    assert set(summary.variants["popular"].differences) == {"blend"}
    found = summary.variants["blend"].differences["popular"]["all"]["ndcg@10"]
    blend, popular = (summary.variants[name].metrics["all"]["ndcg@10"].mean for name in ("blend", "popular"))
    assert found.interval.mean == pytest.approx(blend - popular)
    assert found.relative == pytest.approx(blend / popular - 1)
    back = summary.variants["popular"].differences["blend"]["all"]["ndcg@10"].interval
    assert (back.mean, back.low, back.high) == pytest.approx(
        (-found.interval.mean, -found.interval.high, -found.interval.low), abs=1e-12
    )


def test_the_buckets_of_activity_hold_every_customer_once() -> None:
    result = random_result(3)
    summary = summarise([result], default="blend", resamples=100)
    assert sum(bucket.customers for bucket in summary.activity) == result.facts.customers
    weighted = sum(
        bucket.customers * figures["hit@10"].mean
        for bucket, figures in zip(
            summary.activity, summary.variants["blend"].by_activity["all"], strict=True
        )
    )
    mean = summary.variants["blend"].metrics["all"]["hit@10"].mean
    assert weighted / result.facts.customers == pytest.approx(mean)


def test_buckets_are_cut_at_the_quantiles_of_the_orders() -> None:
    assert activity_edges(np.arange(1, 11, dtype=np.int32)) == [(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]


def test_customers_with_equally_many_orders_share_a_bucket() -> None:
    assert activity_edges(np.array([1, 1, 1, 1, 1, 1, 1, 1, 2, 7], np.int32)) == [(1, 1), (2, 7)]
    assert activity_edges(np.array([3, 3, 3], np.int32)) == [(3, 3)]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=50))
def test_buckets_touch_and_never_overlap(orders: list[int]) -> None:
    edges = activity_edges(np.array(orders, np.int32))
    assert edges[0][0] == min(orders)
    assert edges[-1][1] == max(orders)
    assert all(low <= high for low, high in edges)
    assert [low for low, _ in edges[1:]] == [high + 1 for _, high in edges[:-1]]


def test_the_same_fold_twice_gives_the_same_summary() -> None:
    first = summarise([random_result(4)], default="blend", resamples=100)
    assert summarise([random_result(4)], default="blend", resamples=100) == first
