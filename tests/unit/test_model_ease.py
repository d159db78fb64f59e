"""EASE against least squares solved product by product, and its two ways of solving against each other."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from models import ease
from models.ease import Ease, EaseOptions, over_customers, over_products, strongest, weights
from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.validation.folds import balanced_ndcg, inner_folds
from tests.data.scores import history_of
from tests.data.shops import gift_shop

# every order is 7 days old and so weighs 1/2; customer 0 bought product 0 in two of them
LINES = [(0, 0, 93, 0), (0, 1, 93, 0), (0, 0, 93, 1), (1, 1, 93, 2), (1, 2, 93, 2)]
LINES += [(2, 0, 93, 3), (2, 3, 93, 3)]
HISTORY = history_of(LINES, n_customers=4, n_products=5, as_of_day=100)
HALF = 0.5**0.5
HELD = np.array([[1, HALF, 0, 0], [0, HALF, HALF, 0], [HALF, 0, 0, HALF]])
OPTIONS = EaseOptions(regularization=0.5, half_life_days=7.0, take_up_power=0.0, take_up_half_life_days=7.0)


def regressed(held: np.ndarray, ridge: float) -> np.ndarray:
    """Column j: the ridge regression of product j on the others, each solved for itself."""
    n = held.shape[1]
    table = np.zeros((n, n))
    for product in range(n):
        others = np.delete(np.arange(n), product)
        left = held[:, others]
        table[others, product] = np.linalg.solve(
            left.T @ left + ridge * np.eye(n - 1), left.T @ held[:, product]
        )
    return table


def matrix(model: Ease) -> np.ndarray:
    n = len(model.product_row_)
    cells = (model.weight_, model.weight_product_, model.weight_indptr_)
    return sparse.csr_array(cells, shape=(n, n)).toarray()


def random_table(n_customers: int, n_products: int) -> sparse.csr_array:
    table = np.random.default_rng(4).random((n_customers, n_products))
    return sparse.csr_array(np.where(table > 0.7, table, 0).astype(np.float32))


def test_two_products_by_hand() -> None:
    # columns (1, 1) and (1, 0): the ridge is 1 x (2 + 1) / 2; their inner product is 1
    table = weights(sparse.csr_array(np.array([[1, 1], [1, 0]], np.float32)), 1.0)
    np.testing.assert_allclose(table, [[0, 1 / (2 + 1.5)], [1 / (1 + 1.5), 0]], rtol=1e-6)


def test_weights_are_the_least_squares_of_each_product_on_the_others() -> None:
    model = Ease(OPTIONS).fit(HISTORY)
    assert model.product_row_.tolist() == [0, 1, 2, 3]  # nobody bought 4
    ridge = 0.5 * (HELD**2).sum() / 4
    np.testing.assert_allclose(matrix(model), regressed(HELD, ridge), atol=1e-6)


def test_a_score_adds_the_weights_of_what_was_bought_and_has_no_opinion_at_0_and_below() -> None:
    scores = Ease(OPTIONS).fit(HISTORY).score(np.array([0, 3], np.int32))
    wanted = HELD[0] @ regressed(HELD, 0.5 * (HELD**2).sum() / 4)
    assert (wanted > 0).tolist() == np.isfinite(scores[0, :4]).tolist()
    np.testing.assert_allclose(scores[0, :4], np.where(wanted > 0, wanted, np.nan), rtol=1e-5)
    assert np.isnan(scores[0, 4])
    assert np.isnan(scores[1]).all()  # they bought nothing


def test_new_products_score_by_how_much_they_are_taken_up_too() -> None:
    model = Ease(replace(OPTIONS, take_up_power=1.0)).fit(HISTORY)
    plain = Ease(OPTIONS).fit(HISTORY).score(np.arange(3, dtype=np.int32))
    # first purchases weigh 1/2: there are 2, 2, 1, 1; without the product are 1, 1, 2, 2 and the prior's 10
    chance = np.array([1 / 11, 1 / 11, 0.5 / 12, 0.5 / 12])
    factor = np.where(HELD > 0, 1, chance)
    np.testing.assert_allclose(
        model.score(np.arange(3, dtype=np.int32))[:, :4], plain[:, :4] * factor, rtol=1e-5
    )
    assert np.isfinite(plain[:, :4][HELD == 0]).any()


@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (700, 40), (40, 700), (3, 1)])
def test_solved_over_customers_or_over_products_is_the_same(shape: tuple[int, int]) -> None:
    held = random_table(*shape)
    one, other = over_products(held, 0.7), over_customers(held, 0.7)
    dense = held.toarray().astype(np.float64)
    wanted = 0.7 * np.linalg.inv(dense.T @ dense + 0.7 * np.eye(shape[1]))
    np.testing.assert_allclose(one, wanted, atol=5e-5)  # float32
    np.testing.assert_allclose(other, wanted, atol=5e-5)


def test_a_customer_more_counts_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    # single precision adds no 1 to 2^24: one who counts as many stands before 200,000 here
    monkeypatch.setattr(ease, "SUMMED_CUSTOMERS", 1000)
    held = sparse.csr_array(np.append(4096, np.ones(200_000)).astype(np.float32)[:, None])
    ridge = 2.0**24
    assert over_products(held, ridge)[0, 0] == pytest.approx(ridge / (2 * ridge + 200_000), abs=1e-4)


@pytest.mark.parametrize("shape", [(60, 9), (9, 60)])
def test_more_customers_or_more_products_both_give_the_regressions(shape: tuple[int, int]) -> None:
    held = random_table(*shape)
    dense = held.toarray().astype(np.float64)
    ridge = 0.3 * (dense**2).sum() / shape[1]
    np.testing.assert_allclose(weights(held, 0.3), regressed(dense, ridge), atol=2e-5)


def test_the_most_bought_lately_take_part() -> None:
    lines = [*LINES, (3, 4, 50, 9), (3, 4, 51, 10), (3, 4, 52, 11), (3, 4, 53, 12)]  # often, but long ago
    history = history_of(lines, n_customers=4, n_products=5, as_of_day=100)
    model = Ease(replace(OPTIONS, max_products=3)).fit(history)
    assert model.product_row_.tolist() == [0, 1, 2]  # 2 and 3 alike: ties by product row
    assert np.isnan(model.score(np.arange(4, dtype=np.int32))[:, 3:]).all()


def test_the_strongest_weights_are_kept_by_size_times_length_ties_by_place() -> None:
    table = np.array([[0, 4, -3], [2, 0, 2], [1, -1, 0]], np.float32)
    lengths = np.array([1, 2, 3], np.float32)  # sizes 4 3, 4 4, 3 3
    assert strongest(table, lengths, 3).toarray().tolist() == [[0, 4, 0], [2, 0, 2], [0, 0, 0]]
    assert strongest(table, lengths, 4).toarray().tolist() == [[0, 4, -3], [2, 0, 2], [0, 0, 0]]
    assert strongest(table, lengths, 99).toarray().tolist() == table.tolist()
    assert strongest(table, lengths, 99).nnz == 6


def test_a_version_holds_no_more_weights_than_asked_for() -> None:
    history = gift_shop().interactions()
    few = Ease(replace(OPTIONS, neighbours=5)).fit(history)
    assert len(few.weight_) == 5 * len(few.product_row_)
    everything = matrix(Ease(OPTIONS).fit(history))
    assert np.isin(few.weight_, everything).all()


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_a_ridge_of_nothing_is_refused(value: float) -> None:
    with pytest.raises(BadConfigError, match=r"regularization: -?[0-9.]+ is too small"):
        EaseOptions(regularization=value)


def test_a_ridge_too_small_for_its_precision_is_an_error_not_a_wrong_model() -> None:
    twins = sparse.csr_array(np.ones((3, 2), np.float32))
    with pytest.raises(BadConfigError, match="single precision"):
        weights(twins, 1e-12)


def test_what_is_learned_found_most_on_the_last_horizon() -> None:
    history = gift_shop().interactions()
    options = Ease().fit(history).options_
    (fold,) = inner_folds(history, EaseOptions())
    found = {
        choice: balanced_ndcg(fold, Ease(choice).fit(fold.history).score)
        for value in (0.1, 0.3, 1.0)
        for choice in [replace(options, regularization=value)]
    }
    assert len(set(found.values())) > 1
    assert options.half_life_days in (14.0, 28.0, 112.0)
    assert options.regularization in (0.1, 0.3, 1.0)


def test_fits_without_a_product_or_without_anyone() -> None:
    empty: Interactions = history_of([], n_customers=2, n_products=3, as_of_day=100)
    model = Ease(OPTIONS).fit(empty)
    assert len(model.product_row_) == len(model.weight_) == 0
    assert np.isnan(model.score(np.array([1], np.int32))).all()
