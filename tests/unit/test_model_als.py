"""ALS: its options are taken at their word, and who is folded in later gets what training would give."""

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr

from models.als import Als, AlsOptions
from models.arrays import FloatArray
from models.base import learned
from models.numerics.decay import decay
from models.numerics.fold_in import taste_matrix, taste_of
from tests.data.shops import grocer, nothing_sold, one_purchase

OPTIONS = AlsOptions(regularization=1.0, half_life_days=28.0, factors=8, iterations=15)


def counts_of(model: Als) -> sparse.csr_array:
    interactions = grocer().interactions()
    return interactions.matrix(decay(interactions.age_days, learned(model.options_.half_life_days)))


def folded(model: Als, counts: sparse.csr_array) -> FloatArray:
    """Scores of all products for somebody who bought this, shape (n_products,), as the day folds them in."""
    factors = model.product_factors_
    matrix = taste_matrix(factors, learned(model.options_.regularization))
    return factors @ taste_of(matrix, factors[counts.indices], counts.data[:, None])


def test_fold_in_of_known_customers_ranks_as_their_trained_factors_do() -> None:
    model = Als(OPTIONS).fit(grocer().interactions())
    rows, counts = np.arange(45, dtype=np.int32), counts_of(model)
    trained = model.score(rows)
    bought = np.isfinite(trained[0])
    agreement = [
        spearmanr(trained[row, bought], folded(model, counts[[row]])[bought]).statistic for row in rows
    ]
    assert np.median(agreement) > 0.99
    assert min(agreement) > 0.9
    assert folded(model, counts[[0]]).dtype == np.float32


def test_fold_in_solves_the_paper_s_equation() -> None:
    model = Als(OPTIONS).fit(grocer().interactions())
    counts = np.zeros((1, 25), np.float32)
    counts[0, [3, 7]] = [2.0, 0.5]
    y = model.product_factors_.astype(np.float64)[:24]  # nobody bought the last product
    confidence = np.where(counts[0, :24] > 0, counts[0, :24], 1.0)  # implicit: an absent pair weighs 1
    wanted = counts[0, :24] > 0
    x = np.linalg.solve(y.T @ (confidence[:, None] * y) + np.eye(8), y.T @ (confidence * wanted))
    found = folded(model, sparse.csr_array(counts))
    np.testing.assert_allclose(found[:24], y @ x, rtol=1e-3, atol=1e-5)


def test_fold_in_lifts_what_goes_with_the_bought_for_someone_never_seen() -> None:
    model = Als(OPTIONS).fit(grocer().interactions())
    for product in (3, 11):
        bought = sparse.csr_array(np.eye(25, dtype=np.float32)[[product]] * 5)
        assert folded(model, bought).argmax() == product


def test_customers_without_purchases_have_no_scores() -> None:
    scores = Als(OPTIONS).fit(grocer().interactions()).score(np.arange(46, dtype=np.int32))
    assert np.isfinite(scores[:45, :24]).all()
    assert np.isnan(scores[45]).all()
    assert np.isnan(scores[:, 24]).all()


def test_a_regularization_of_zero_is_taken_at_its_word() -> None:
    model = Als(AlsOptions(regularization=0.0, factors=4)).fit(grocer().interactions())
    assert model.options_.regularization == 0.0


@pytest.mark.parametrize("shop", [nothing_sold, one_purchase])
def test_without_folds_to_learn_on_the_middle_of_the_grids_is_taken(shop) -> None:  # type: ignore[no-untyped-def]
    options = Als().fit(shop().interactions()).options_
    assert (options.regularization, options.half_life_days) == (10.0, 7.0)


def test_the_seed_decides_the_first_factors() -> None:
    history = grocer().interactions()
    one = Als(OPTIONS).fit(history).product_factors_
    other = Als(AlsOptions(**{**vars(OPTIONS), "seed": 1})).fit(history).product_factors_
    assert not np.array_equal(one, other)
