"""When a product is due again, and how likely it is bought by then."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.due import N_COEFFICIENTS, PRIOR, RIDGE, Due, DueOptions, _Evidence, _ramps, _regressed, _trend
from models.errors import BadConfigError
from models.history.timeline import Timeline
from models.registry import build
from tests.data.scores import history_of
from tests.data.shops import grocer, one_order_each

# customer 0 buys product 1 on days 90, 94 and 100, product 0 on day 94; customer 2 product 1 on day 96
LINES = [(0, 1, 90, 0), (0, 1, 94, 1), (0, 0, 94, 1), (0, 1, 100, 2), (2, 1, 96, 3)]
HISTORY = history_of(LINES, n_customers=3, n_products=3, as_of_day=103)


def test_a_timeline_knows_each_pair_s_gaps_and_each_customer_s_orders() -> None:
    pairs = Timeline.of(HISTORY)
    assert list(zip(pairs.customer_row.tolist(), pairs.product_row.tolist(), strict=True)) == [
        (0, 0), (0, 1), (2, 1),
    ]  # fmt: skip
    assert pairs.indptr.tolist() == [0, 2, 2, 3]
    assert pairs.waits.times.tolist() == [1, 3, 1]
    assert pairs.waits.first_age_days.tolist() == [9, 13, 7]
    assert pairs.waits.last_age_days.tolist() == [9, 3, 7]
    assert pairs.waits.gap_days.tolist() == [4, 6]
    assert pairs.waits.gap_unit.tolist() == [1, 1]
    assert pairs.orders_since.tolist() == [1, 2, 1, 0, 0]
    assert pairs.visits.times.tolist() == [3, 0, 1]
    assert pairs.visits.last_age_days[[0, 2]].tolist() == [3, 7]
    assert pairs.visits.gap_days.tolist() == [4, 6]


def test_an_order_whose_lines_have_several_times_is_one_order_at_its_first() -> None:
    history = history_of(
        [(0, 0, 10.0, 7), (0, 1, 10.5, 7), (0, 0, 12.0, 3)], n_customers=1, n_products=2, as_of_day=20
    )
    pairs = Timeline.of(history)
    assert pairs.visits.times.tolist() == [2]
    assert pairs.visits.gap_days.tolist() == [2]
    assert pairs.orders_since.tolist() == [1, 0, 1]  # product 0 on day 10 and 12, product 1


def test_orders_fade_by_their_number_not_by_the_clock() -> None:
    """Three orders of customer 0, kept by half: weights 1/4, 1/2 and 1 of 7/4; one of customer 2."""
    np.testing.assert_allclose(Timeline.of(HISTORY).fading(0.5), [0.5 / 1.75, 1.0, 1.0], rtol=1e-6)


def test_the_expected_interval_is_the_own_mean_of_logarithms_drawn_to_the_product_s() -> None:
    """Product 0: 10 and 10 days of one, 40 of another, a single order of a third; product 1 was never
    bought again. Variance: that of one memoryless wait over 3 - 2 + 1."""
    days = [(0, 0, 0), (0, 0, 10), (0, 0, 20), (1, 0, 0), (1, 0, 40), (2, 0, 25), (2, 1, 25)]
    lines = [(customer, product, day, order) for order, (customer, product, day) in enumerate(days)]
    model = Due().fit(history_of(lines, n_customers=3, n_products=2, as_of_day=50))

    variance = np.pi**2 / 6 / 2
    mean = (2 * np.log(10) + np.log(40)) / 3
    between = (2 * (np.log(10) - mean) ** 2 + (np.log(40) - mean) ** 2 - variance) / (3 - 5 / 3)
    often, once = 2 / (2 + variance / between), 1 / (1 + variance / between)
    product = (often * np.log(10) + once * np.log(40)) / (often + once)
    logs = [often * np.log(10) + (1 - often) * product, once * np.log(40) + (1 - once) * product]
    wanted = np.exp([*logs, product, product])
    np.testing.assert_allclose(model.expected_days_, wanted, rtol=1e-5)
    np.testing.assert_allclose(model.last_age_days_, [30, 10, 25, 25])


# 20 customers buy product 0 after 10, 30 and 90 days, in turn one more and one less often
IRREGULAR = [
    (customer, 0, float(day), 10 * customer + visit)
    for customer in range(20)
    for visit, day in enumerate([0, 10, 40, 130][: 4 - customer % 2])
]


def test_what_was_bought_daily_thirty_times_is_due_in_about_a_day() -> None:
    """However long the others take: one variance in days for all made it 3.5 days."""
    daily = [(20, 0, 100.0 + day, 900 + day) for day in range(31)]
    history = history_of(IRREGULAR + daily, n_customers=21, n_products=1, as_of_day=131)
    expected = Due().fit(history).expected_days_
    assert expected[:20].min() > 14
    assert 1 <= expected[20] < 1.2


def test_twice_as_long_waits_make_twice_as_long_intervals() -> None:
    single = [(20, 0, 100.0, 900), (20, 1, 100.0, 900), (21, 0, 90.0, 901), (21, 0, 91.0, 902)]
    once, twice = (
        Timeline.of(
            history_of(
                [
                    (customer, product, times * day, order)
                    for customer, product, day, order in IRREGULAR + single
                ],
                n_customers=22,
                n_products=2,
                as_of_day=times * 131,
            )
        )
        for times in (1, 2)
    )
    days, sureness = once.waits.expected(once.parents())
    twice_days, same = twice.waits.expected(twice.parents())
    np.testing.assert_allclose(twice_days, 2 * days)
    np.testing.assert_allclose(same, sureness)
    np.testing.assert_allclose(twice.visits.mean_days(), 2 * once.visits.mean_days())


def test_an_interval_is_the_surer_the_more_of_them_are_the_customer_s_own() -> None:
    more = [(20, 0, 100.0, 900), (21, 0, 60.0, 901), (21, 0, 100.0, 902)]
    pairs = Timeline.of(history_of(IRREGULAR + more, n_customers=22, n_products=1, as_of_day=131))
    sureness = pairs.waits.expected(pairs.parents())[1]
    n_gaps = pairs.waits.times - 1
    none, one, two, three = (sureness[n_gaps == n] for n in range(4))
    assert none.max() < one.min()
    assert one.max() < two.min()
    assert two.max() < three.min()
    assert none.min() > 0
    assert three.max() < 1


def test_the_mean_between_orders_is_drawn_to_that_of_all() -> None:
    """Gaps of 10 and 10 days, of 30, and a customer of a single order; variance as of one wait of 50/3."""
    days = [(0, 0), (0, 10), (0, 20), (1, 0), (1, 30), (2, 25)]
    lines = [(customer, 0, day, order) for order, (customer, day) in enumerate(days)]
    visits = Timeline.of(history_of(lines, n_customers=3, n_products=1, as_of_day=40)).visits
    variance = (50 / 3) ** 2 / 2
    mean = (2 * 10 + 30) / 3
    between = (2 * (10 - mean) ** 2 + (30 - mean) ** 2 - variance) / (3 - 5 / 3)
    often, once = 2 / (2 + variance / between), 1 / (1 + variance / between)
    of_all = (often * 10 + once * 30) / (often + once)
    wanted = [often * 10 + (1 - often) * of_all, once * 30 + (1 - once) * of_all, of_all]
    np.testing.assert_allclose(visits.mean_days(), wanted)
    alone = history_of([(0, 0, 5.0, 0), (1, 0, 6.0, 1)], n_customers=2, n_products=1, as_of_day=10)
    assert np.isnan(Timeline.of(alone).visits.mean_days()).all()


def test_without_folds_the_rate_alone_speaks() -> None:
    model = Due().fit(HISTORY)
    assert model.options_.coefficients == tuple(PRIOR)
    repeats, once = model.probability_[1], model.probability_[0]
    assert 0 < once < repeats < 1


def test_probabilities_are_scores_and_nan_for_what_was_never_bought() -> None:
    model = Due().fit(HISTORY)
    scores = model.score(np.array([2, 0, 1], np.int32))
    first, second, third = model.probability_
    np.testing.assert_array_equal(scores, [[np.nan, third, np.nan], [first, second, np.nan], [np.nan] * 3])


def test_where_nobody_ever_came_again_nothing_is_due_and_hardly_anything_likely() -> None:
    model = Due().fit(one_order_each().interactions())
    assert np.isnan(model.expected_days_).all()
    assert model.probability_.max() < 0.01


def test_two_orders_in_one_second_are_half_a_day_apart() -> None:
    lines = [(c, 0, 50.0 + c % 3, 2 * c + order) for c in range(30) for order in range(2)]
    model = Due().fit(history_of(lines, n_customers=30, n_products=1, as_of_day=60))
    np.testing.assert_allclose(model.expected_days_, 0.5)
    assert ((model.probability_ > 0) & (model.probability_ < 1)).all()


def test_a_regular_product_is_likelier_when_overdue_than_right_after_its_purchase() -> None:
    """Everyone comes every 7 days, for product 0 and product 1 in turn: each is bought every 14 days."""
    lines = [
        (customer, visit % 2, customer % 14 + 7 * visit + 0.5, customer * 100 + visit)
        for customer in range(42)
        for visit in range(30)
    ]
    model = Due().fit(
        history_of(lines, n_customers=42, n_products=2, as_of_day=140)
    )  # later visits are left out
    np.testing.assert_allclose(model.expected_days_, 14, rtol=1e-3)
    age = model.last_age_days_
    just_bought, due = model.probability_[age < 7], model.probability_[age > 7]
    assert just_bought.max() < 0.3
    assert due.min() > 0.7


def test_the_longer_the_own_history_the_nearer_is_the_interval_to_its_own_mean() -> None:
    """Customer 0 buys every 10 days, the others every 20 to 40: with each gap it is nearer to 10."""
    others = [
        (customer, 0, visit * (20 + customer), customer * 10 + visit)
        for customer in range(1, 21)
        for visit in range(4)
    ]
    expected = []
    for n_gaps in (0, 1, 2, 4, 8):
        own = [(0, 0, 100 - 10 * back, 900 + back) for back in range(n_gaps + 1)]
        history = history_of(others + own, n_customers=21, n_products=1, as_of_day=140)
        expected.append(float(Due().fit(history).expected_days_[0]))
    assert expected[0] > 20
    assert expected == sorted(expected, reverse=True)
    assert 10 < expected[-1] < 13


def renewals(rng: np.random.Generator, n_customers: int, n_products: int, n_days: int) -> list[tuple]:  # type: ignore[type-arg]  # as history_of takes them
    """Purchases at gamma intervals of shape 3 around a mean of the pair's own, itself spread by product."""
    lines = []
    for customer in range(n_customers):
        for product in range(n_products):
            mean = (15 + 5 * product) * rng.gamma(8, 1 / 8)
            day = rng.uniform(0, 2 * mean)
            while day < n_days:
                lines.append((customer, product, day, len(lines)))
                day += rng.gamma(3, mean / 3)
    return lines


def test_probabilities_are_kept_where_intervals_are_gamma() -> None:
    lines = renewals(np.random.default_rng(4), 300, 8, 207)
    whole = history_of(lines, n_customers=300, n_products=8, as_of_day=207)
    model = Due().fit(whole.before(200 * 86_400))
    bought = whole.between(200 * 86_400, 207 * 86_400).matrix().toarray() > 0
    scores = model.score(np.arange(300, dtype=np.int32))
    known = np.isfinite(scores)
    probability, is_bought = scores[known], bought[known]
    fifths = np.array_split(np.argsort(probability), 5)
    told = np.array([probability[part].mean() for part in fifths])
    kept = np.array([is_bought[part].mean() for part in fifths])
    assert kept[-1] - kept[0] > 0.3  # it tells them apart
    np.testing.assert_allclose(told, kept, atol=0.05)  # 480 pairs in each: two standard errors are 0.045


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=60),
    st.sampled_from([1.0, 7.0, 30.0]),
)
def test_a_probability_is_above_0_and_below_1_and_a_due_day_follows_the_interval(
    purchases: list[tuple[int, int, int]], horizon_days: float
) -> None:
    lines = [(customer, product, float(day), 100 * customer + day) for customer, product, day in purchases]
    history = history_of(lines, n_customers=4, n_products=4, as_of_day=61)
    model = Due(DueOptions(horizon_days=horizon_days)).fit(history)
    assert ((model.probability_ > 0) & (model.probability_ < 1)).all()
    assert model.probability_.dtype == model.expected_days_.dtype == model.last_age_days_.dtype == np.float32
    some = np.isfinite(model.expected_days_)
    assert some.all() or not some.any()
    assert (model.expected_days_[some] >= 0.4999).all()


def test_a_product_s_trend_is_its_recent_purchases_against_its_share_of_all() -> None:
    """8 purchases, 4 of them in the last 5 days, so half of a product's are to be expected there."""
    days = [(0, 1), (0, 2), (0, 18), (0, 19), (1, 1), (1, 2), (1, 18), (2, 19)]
    lines = [(0, product, day, order) for order, (product, day) in enumerate(days)]
    history = history_of(lines, n_customers=1, n_products=4, as_of_day=20)
    np.testing.assert_allclose(_trend(history, 5.0), np.log([3 / 3, 2 / 2.5, 2 / 1.5, 1 / 1]))


def test_ramps_are_weights_of_the_nearest_knots() -> None:
    found = np.stack(_ramps(np.array([-9.0, 0.0, 0.5, 3.0, 9.0]), np.array([0.0, 1.0, 4.0])), 1)
    np.testing.assert_allclose(found, [[0, 0], [0, 0], [0.5, 0], [1 / 3, 2 / 3], [0, 1]])


def test_an_interval_that_is_less_sure_makes_a_product_less_overdue() -> None:
    """4 times as long ago as expected, 2 in logarithms, is at the knot 2 or 1; a quarter of it at -1."""
    evidence = _Evidence(Timeline.of(HISTORY), 7.0)
    evidence.expected_days = (evidence.pairs.waits.last_age_days + 0.5) / [4, 4, 0.25] - 0.5
    evidence.sureness = np.array([1.0, 0.5, 0.5])
    overdue = evidence.of(np.arange(3))[:, 6:12]  # the knots are -2, -1, 0, 1, 2, 4
    np.testing.assert_allclose(overdue, np.eye(6)[[4, 3, 1]], atol=1e-9)


def test_the_regression_finds_what_made_the_outcomes_and_stays_near_the_prior_without_any() -> None:
    rng = np.random.default_rng(1)
    evidence = rng.normal(size=(20_000, N_COEFFICIENTS))
    truth = np.linspace(-1, 1, N_COEFFICIENTS)
    outcome = rng.random(20_000) < 1 / (1 + np.exp(-evidence @ truth))
    np.testing.assert_allclose(_regressed(evidence, outcome), truth, atol=0.12)
    np.testing.assert_array_equal(_regressed(evidence[:0], outcome[:0]), PRIOR)


def test_a_few_outcomes_are_weighed_against_the_prior() -> None:
    """At the best coefficients what the outcomes pull is what the prior pulls back."""
    rng = np.random.default_rng(2)
    evidence, outcome = rng.normal(size=(30, N_COEFFICIENTS)), rng.random(30) < 0.3
    found = _regressed(evidence, outcome)
    pull = evidence.T @ (outcome - 1 / (1 + np.exp(-evidence @ found)))
    np.testing.assert_allclose(pull, RIDGE * (found - PRIOR), atol=1e-3)
    assert abs(pull).max() > 1


def test_coefficients_may_be_given_and_must_be_as_many_as_there_are() -> None:
    given_ = [-3.0, *[0] * (N_COEFFICIENTS - 1)]
    model = build("due", {"coefficients": given_}).fit(HISTORY)
    np.testing.assert_allclose(model.probability_, 1 / (1 + np.exp(3)), rtol=1e-6)  # type: ignore[attr-defined]  # a Due
    with pytest.raises(BadConfigError, match="2 numbers where there must be 16"):
        build("due", {"coefficients": [1, 2]})
    for wrong in ("x", [True], [float("nan")], ["1"], 3):
        with pytest.raises(BadConfigError, match="is not a list of numbers"):
            build("due", {"coefficients": wrong})


def test_places_are_those_of_the_pairs_asked_for() -> None:
    """Pairs in the order of the arrays: (0, 0), (0, 1), (2, 1)."""
    model = Due().fit(HISTORY)
    assert model.places(np.array([2, 0, 0]), np.array([1, 1, 0])).tolist() == [2, 1, 0]
    assert model.places(np.array([2]), np.array([1])).tolist() == [2]
    assert model.places(np.array([0]), np.array([1])).tolist() == [1]
    assert model.places(np.empty(0, np.int32), np.empty(0, np.int32)).tolist() == []


def test_a_product_s_typical_gap_is_that_of_whoever_bought_it_once() -> None:
    history = grocer().interactions()
    pairs, due = Timeline.of(history), Due(DueOptions(coefficients=tuple(PRIOR))).fit(history)
    once = pairs.waits.times == 1
    assert once.any()
    typical = pairs.typical_days()
    np.testing.assert_allclose(due.expected_days_[once], typical[pairs.product_row[once]], rtol=1e-6)
    assert len(set(typical.round(3).tolist())) > 3
