"""Own products: how often, how lately, whether due; counted by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.history.pair_keys import are_in
from models.history.pairs import Pairs
from models.repeat import N_BINS, Repeat, RepeatOptions, _due_bins, _due_factor, share_of_orders
from tests.data.scores import history_of

# customer 0 buys product 1 on days 90, 94 and 100, product 0 on day 94; customer 2 product 1 on day 96
LINES = [(0, 1, 90, 0), (0, 1, 94, 1), (0, 0, 94, 1), (0, 1, 100, 2), (2, 1, 96, 3)]
HISTORY = history_of(LINES, n_customers=3, n_products=3, as_of_day=103)


def test_pairs_know_how_often_how_lately_and_at_what_interval() -> None:
    pairs = Pairs.of(HISTORY)
    assert pairs.customer_row.tolist() == [0, 0, 2]
    assert pairs.product_row.tolist() == [0, 1, 1]
    assert pairs.times.tolist() == [1, 3, 1]
    assert pairs.last_age_days.tolist() == [9, 3, 7]
    np.testing.assert_array_equal(pairs.interval_days, [np.nan, 5, np.nan])
    assert pairs.entry_pair.tolist() == [1, 0, 1, 1, 2]


def test_pairs_count_older_orders_less() -> None:
    # ages 13, 9 and 3 of product 1 with a half-life of 2 days; 9 and 7 of the others
    wanted = [2**-4.5, 2**-6.5 + 2**-4.5 + 2**-1.5, 2**-3.5]
    np.testing.assert_allclose(Pairs.of(HISTORY).decayed_times(2.0), wanted, rtol=1e-6)


def test_which_pairs_are_in_the_truth() -> None:
    truth = history_of([(0, 1, 1, 0), (2, 0, 1, 1)], n_customers=3, n_products=3, as_of_day=2).matrix()
    pairs = Pairs.of(HISTORY)
    assert are_in(truth, pairs.customer_row, pairs.product_row).tolist() == [False, True, False]


def test_pairs_become_a_matrix_with_its_zeros() -> None:
    matrix = Pairs.of(HISTORY).matrix(np.array([0.0, 2.0, 3.0]))
    assert matrix.nnz == 3
    assert matrix.toarray().tolist() == [[0, 2, 0], [0, 0, 0], [0, 3, 0]]


@pytest.mark.parametrize("prior", [0.0, 10.0])
def test_the_share_is_of_the_customer_s_own_decayed_orders(prior: float) -> None:
    first, second, third = 2**-6.5, 2**-4.5, 2**-1.5  # weights of customer 0's orders, half-life 2 days
    orders = first + second + third + prior
    wanted = [second / orders, (first + second + third) / orders, 2**-3.5 / (2**-3.5 + prior)]
    share = share_of_orders(HISTORY, Pairs.of(HISTORY), 2.0, prior)
    np.testing.assert_allclose(share, wanted, rtol=1e-6)
    assert share.dtype == np.float32


def test_a_share_stays_above_zero_however_long_ago() -> None:
    history = history_of([(0, 0, 0, 0), (0, 1, 19_999, 1)], n_customers=1, n_products=2, as_of_day=20_000)
    assert (share_of_orders(history, Pairs.of(history), 7.0, 10.0) > 0).all()


@pytest.mark.parametrize(
    ("days", "as_of", "bin_"),
    [
        ([90, 95], 100, 6),  # last 5 days ago, every 5: log2 of 1 is the seventh edge
        ([90, 95], 105, 8),  # 10 of 5 days: log2 of 2, two edges later
        ([90, 95], 106, 9),  # a little over
        ([90, 98], 99, 0),  # 1 of 8 days: log2 is -3, the first edge
        ([10, 20], 101, 13),  # 81 of 10 days: beyond the last edge
        ([95], 98, 14),  # bought once, 3 days ago
        ([95], 99, 15),
        ([95], 102, 15),  # 7 days ago
        ([10], 300, 21),
    ],
)
def test_a_pair_s_bin_is_its_age_against_its_interval_or_its_age_alone(
    days: list[int], as_of: int, bin_: int
) -> None:
    lines = [(0, 0, day, order) for order, day in enumerate(days)]
    history = history_of(lines, n_customers=1, n_products=1, as_of_day=as_of)
    assert _due_bins(Pairs.of(history)).tolist() == [bin_]


def test_two_orders_in_one_second_are_long_overdue_and_no_error() -> None:
    history = history_of([(0, 0, 90, 0), (0, 0, 90, 1)], n_customers=1, n_products=1, as_of_day=100)
    assert _due_bins(Pairs.of(history)).tolist() == [13]


def test_the_due_factor_is_bought_over_expected_drawn_to_one() -> None:
    """30 bought where shares say 10, none where they say 20: rate 1; ten imagined purchases in each bin."""
    fold = SimpleNamespace(
        bins=np.repeat([0, 1], [40, 20]), judged=SimpleNamespace(is_bought=np.arange(60) < 30)
    )
    share = np.repeat([0.25, 1.0], [40, 20]).astype(np.float32)
    factor = _due_factor([fold], [share])  # type: ignore[list-item]
    np.testing.assert_allclose(factor[:2], [40 / 20, 10 / 30], rtol=1e-6)
    assert (factor[2:] == 1).all()
    assert factor.shape == (N_BINS,)


def test_without_folds_every_due_factor_is_one() -> None:
    model = Repeat(RepeatOptions(half_life_days=2.0, prior_orders=0.0)).fit(HISTORY)
    assert model.options_.due_power == 0.0
    assert (model.due_factor_ == 1).all()


def test_scores_are_shares_and_nan_for_what_was_never_bought() -> None:
    model = Repeat(RepeatOptions(half_life_days=1e6, prior_orders=1.0)).fit(HISTORY)
    scores = model.score(np.array([2, 0, 1], np.int32))
    np.testing.assert_allclose(
        scores, [[np.nan, 1 / 2, np.nan], [1 / 4, 3 / 4, np.nan], [np.nan] * 3], rtol=1e-4
    )


def test_customers_who_return_like_clockwork_teach_that_due_matters() -> None:
    """Everyone comes every 7 days, for product 0 and product 1 in turn: each is bought every 14 days."""
    lines = [
        (customer, visit % 2, customer % 14 + 7 * visit + 0.5, customer * 100 + visit)
        for customer in range(42)
        for visit in range(18)
    ]
    history = history_of(lines, n_customers=42, n_products=2, as_of_day=140)
    model = Repeat(RepeatOptions(half_life_days=56.0)).fit(history)
    assert model.options_.due_power
    # last bought 3.5 to 7 of 14 days ago (bins 3 and 4) it is never bought in the next 7, later always
    assert (model.due_factor_[3:5] < 0.4).all()
    assert (model.due_factor_[5:7] > 1.5).all()
