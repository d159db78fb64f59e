"""Figures worked out by hand, laws that always hold, and scikit-learn as a second opinion."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.metrics import ndcg_score

from training.evaluation.bootstrap import mean_interval, paired_difference, resample
from training.evaluation.metrics import find_hits, list_figures, per_customer

N_PRODUCTS = 30


def csr(*rows: set[int], n_products: int = N_PRODUCTS) -> sparse.csr_array:
    dense = np.zeros((len(rows), n_products), bool)
    for row, products in enumerate(rows):
        dense[row, sorted(products)] = True
    return sparse.csr_array(dense)


def lists(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.int32)


def test_figures_of_one_list_are_those_worked_out_by_hand() -> None:
    # Bought: 7, 2, 9. Listed: 4, 7, 5, 2. So places 2 and 4 are hits, one of three is missed.
    figures = per_customer(lists([4, 7, 5, 2]), csr({7, 2, 9}), ks=(1, 2, 4))
    found = {name: float(values[0]) for name, values in figures.items()}
    ideal_of_3 = 1 + 1 / log2(3) + 1 / 2
    assert found == pytest.approx(
        {
            "precision@1": 0,
            "precision@2": 1 / 2,
            "precision@4": 2 / 4,
            "recall@1": 0,
            "recall@2": 1 / 3,
            "recall@4": 2 / 3,
            "ndcg@1": 0,
            "ndcg@2": (1 / log2(3)) / (1 + 1 / log2(3)),
            "ndcg@4": (1 / log2(3) + 1 / log2(5)) / ideal_of_3,
            "hit@1": 0,
            "hit@2": 1,
            "hit@4": 1,
            "map@1": 0,
            "map@2": (1 / 2) / 2,
            "map@4": (1 / 2 + 2 / 4) / 3,
        }
    )


def test_a_short_list_is_judged_on_its_full_length() -> None:
    figures = per_customer(lists([3, -1, -1, -1]), csr({3}), ks=(4,))
    assert figures["precision@4"][0] == pytest.approx(1 / 4)
    assert figures["ndcg@4"][0] == 1


def test_a_minus_one_never_hits_the_last_product_of_the_customer_before() -> None:
    # Row 1's -1 would be pair 1 * 30 - 1, which is product 29 of row 0.
    hits = find_hits(lists([29, 1], [-1, -1]), csr({29}, {5}))
    assert hits.tolist() == [[True, False], [False, False]]


def test_a_customer_without_truth_has_no_figures() -> None:
    figures = per_customer(lists([1, 2], [1, 2]), csr(set(), {2}), ks=(2,))
    assert all(np.isnan(values[0]) for values in figures.values())
    assert all(np.isfinite(values[1]) for values in figures.values())


def test_a_product_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        find_hits(lists([4, 1, 4]), csr({4}))


def test_ndcg_agrees_with_scikit_learn_where_the_truth_is_ranked_in_full() -> None:
    rng = np.random.default_rng(5)
    scores = rng.random((200, N_PRODUCTS))
    bought = rng.random((200, N_PRODUCTS)) < rng.random((200, 1)) * 0.6
    bought[np.arange(200), rng.integers(0, N_PRODUCTS, 200)] = True
    best = np.argsort(-scores, axis=1)[:, :20].astype(np.int32)
    figures = per_customer(best, sparse.csr_array(bought))
    for k in (5, 10, 20):
        theirs = [ndcg_score(bought[[row]], scores[[row]], k=k) for row in range(200)]
        np.testing.assert_allclose(figures[f"ndcg@{k}"], theirs, rtol=1e-9)


cases = st.tuples(
    st.permutations(range(N_PRODUCTS)).map(lambda order: order[:20]),
    st.sets(st.integers(0, N_PRODUCTS - 1), min_size=1),
)


@given(cases)
def test_every_figure_lies_between_0_and_1(case: tuple[list[int], set[int]]) -> None:
    for name, values in per_customer(lists(case[0]), csr(case[1])).items():
        assert 0 <= values[0] <= 1 + 1e-12, name


@given(cases)
def test_recall_and_hit_never_fall_with_k(case: tuple[list[int], set[int]]) -> None:
    figures = per_customer(lists(case[0]), csr(case[1]))
    for metric in ("recall", "hit"):
        values = [figures[f"{metric}@{k}"][0] for k in (1, 5, 10, 20)]
        assert values == sorted(values)


@given(st.sets(st.integers(0, N_PRODUCTS - 1), min_size=1), st.randoms())
def test_a_list_that_starts_with_the_truth_is_perfect(truth: set[int], random: object) -> None:
    first = sorted(truth)
    random.shuffle(first)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    rest = [product for product in range(N_PRODUCTS) if product not in truth]
    figures = per_customer(lists((first + rest)[:20]), csr(truth))
    for k in (1, 5, 10, 20):
        assert figures[f"ndcg@{k}"][0] == pytest.approx(1)
        assert figures[f"map@{k}"][0] == pytest.approx(1)


@given(cases, st.randoms())
def test_what_stands_below_k_changes_nothing_at_k(case: tuple[list[int], set[int]], random: object) -> None:
    tail = case[0][10:]
    random.shuffle(tail)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    before = per_customer(lists(case[0]), csr(case[1]), ks=(10,))
    after = per_customer(lists(case[0][:10] + tail), csr(case[1]), ks=(10,))
    assert {name: values[0] for name, values in before.items()} == {
        name: values[0] for name, values in after.items()
    }


@given(cases, st.integers(0, 18))
def test_moving_a_hit_one_place_up_never_lowers_ndcg(case: tuple[list[int], set[int]], place: int) -> None:
    order, truth = case
    if order[place] in truth or order[place + 1] not in truth:
        return
    swapped = [*order[:place], order[place + 1], order[place], *order[place + 2 :]]
    before = per_customer(lists(order), csr(truth), ks=(20,))["ndcg@20"][0]
    assert per_customer(lists(swapped), csr(truth), ks=(20,))["ndcg@20"][0] > before


def test_list_figures_are_those_worked_out_by_hand() -> None:
    # 8 customers; product 0 was bought by 8 of them, 1 by 4, 2 by 2, 3 by 2, 4 by nobody.
    buyers = np.array([8, 4, 2, 2, 0], np.int32)
    truth = csr({2}, {4}, n_products=5)
    figures = list_figures(lists([0, 1], [0, -1]), truth, buyers, 8)
    assert figures.coverage == 2 / 4
    assert figures.novelty == pytest.approx((0 + 1 + 0) / 3)  # -log2 of 8/8, 4/8, 8/8
    # Percentiles of the four products sold: 0 is 4/4, 1 is 3/4, 2 and 3 share the mean of 1/4 and 2/4.
    assert figures.popularity == pytest.approx((1 + 0.75 + 1) / 3)
    assert figures.truth_popularity == pytest.approx((0.375 + 0) / 2)


def test_an_interval_of_equal_values_has_no_width() -> None:
    found = mean_interval(np.full(50, 0.25))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_an_interval_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(3).normal(2.0, 1.0, 400)
    found = mean_interval(values, resamples=4_000)
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.012)
    assert found.high == pytest.approx(values.mean() + half, abs=0.012)


def test_the_interval_holds_the_true_mean_in_about_95_of_100_samples() -> None:
    rng = np.random.default_rng(11)
    held = 0
    for seed in range(200):
        found = mean_interval(rng.random(60) ** 2, resamples=400, seed=seed)
        held += found.low <= 1 / 3 <= found.high
    assert 180 <= held <= 199


def test_a_paired_difference_is_surer_than_the_two_means() -> None:
    rng = np.random.default_rng(4)
    habit = rng.random(300)
    better = habit + 0.01 + rng.normal(0, 0.01, 300)
    found = paired_difference(better, habit)
    assert found.low > 0
    assert mean_interval(better).low < mean_interval(habit).high


def test_a_customer_in_two_folds_is_one_piece_of_evidence() -> None:
    rng = np.random.default_rng(8)
    once = rng.random((100, 1))
    twice = np.concatenate([once, once])
    rows = np.arange(100, dtype=np.int32)
    folds = np.repeat(np.array([0, 1], np.int32), 100)
    one = resample(once, rows, np.zeros(100, np.int32)).interval(0)
    two = resample(twice, np.concatenate([rows, rows]), folds).interval(0)
    assert (two.mean, two.low, two.high) == pytest.approx((one.mean, one.low, one.high))
    strangers = resample(twice, np.arange(200, dtype=np.int32), folds).interval(0)
    assert strangers.high - strangers.low < 0.8 * (two.high - two.low)


def test_each_fold_counts_the_same_however_many_bought_in_it() -> None:
    values = np.array([[1.0], [0.0], [0.0], [0.0]])
    folds = np.array([0, 1, 1, 1], np.int32)
    assert resample(values, np.array([0, 1, 2, 3], np.int32), folds).interval(0).mean == 0.5


def test_same_seed_same_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(2).random(80)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).random(50)
    whole = mean_interval(values, resamples=100)
    monkeypatch.setattr("training.evaluation.bootstrap._BLOCK_CELLS", 170)
    cut = mean_interval(values, resamples=100)
    assert (cut.mean, cut.low, cut.high) == pytest.approx((whole.mean, whole.low, whole.high), rel=1e-12)
