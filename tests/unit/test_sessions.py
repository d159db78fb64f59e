"""How far lists move after purchases, learned in made-up shops whose customers come again soon."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.base import Model
from models.history.interactions import Interactions
from models.session import Moves, Recent, SessionFigures
from tests.data.scores import history_of
from training import sessions
from training.fitting import fit_variants
from training.sessions import learned_figures

N_CUSTOMERS, N_PRODUCTS, AT, HORIZON = 40, 60, 100, 28
SOUGHT = ["steps_back", "half_life", "similar"]
Shop = tuple[Interactions, Interactions]


def shop(lines: list[tuple[int, int, float, int]]) -> Shop:
    """What was known on day 100, and what was bought in the four weeks from then."""
    whole = history_of(lines, n_customers=N_CUSTOMERS, n_products=N_PRODUCTS, as_of_day=AT + HORIZON)
    return whole.before(AT * 86_400), whole.between(AT * 86_400, (AT + HORIZON) * 86_400)


def orders(of: Callable[[int, int], list[int]], every_days: int) -> Shop:
    """A shop where each customer orders each so many days.

    Args:
        of: the products of a customer's n-th order.
    """
    lines, order = [], 0
    for customer in range(N_CUSTOMERS):
        days = range(10 + customer % every_days, AT + HORIZON, every_days)
        for n, day in enumerate(days):
            lines += [(customer, product, float(day), order) for product in of(customer, n)]
            order += 1
    return shop(lines)


def refills() -> Shop:
    """Each customer has a dozen products and buys four of them in turn: what was bought isn't needed again
    before the others are."""
    return orders(lambda customer, n: [(customer + 4 * (n % 3) + more) % N_PRODUCTS for more in range(4)], 6)


def fitted(past: Interactions) -> dict[str, Model[Any]]:
    variants: dict[str, dict[str, object]] = {"popular": {}, "item_item": {}, "repeat": {}}
    return fit_variants(past, variants, horizon_days=HORIZON)[0]


def learned(of: Shop, sought: list[str] = SOUGHT, usual: SessionFigures | None = None) -> SessionFigures:
    past, bought = of
    return learned_figures("repeat", fitted(past), past, bought, usual or SessionFigures(), sought, "UTC")


def test_where_what_was_bought_is_not_needed_soon_it_comes_back_later() -> None:
    found = learned(refills())
    assert found.half_life > SessionFigures().half_life
    assert found.first == SessionFigures().first


def test_where_customers_buy_the_same_each_time_it_comes_back_at_once() -> None:
    slow = SessionFigures(half_life=1.0)
    found = learned(orders(lambda customer, n: [customer % N_PRODUCTS, (n * 7) % N_PRODUCTS], 6), usual=slow)
    assert found.half_life < 1 / 48


def test_where_a_volume_follows_another_what_is_similar_counts_more() -> None:
    found = learned(orders(lambda customer, n: [(customer + n) % N_PRODUCTS], 4))
    assert found.similar > SessionFigures().similar


def test_what_is_given_stays_as_it_is() -> None:
    given = SessionFigures(half_life=0.5, similar=0.2)
    found = learned(refills(), ["steps_back"], given)
    assert (found.half_life, found.similar, found.first) == (0.5, 0.2, 2.0)
    assert learned(refills(), [], given) == given


@pytest.mark.parametrize("n", [0, 19])
def test_few_customers_teach_nothing(n: int) -> None:
    past, bought = refills()
    few = bought.only(bought.customer_row < n)
    assert learned((past, few)) == SessionFigures()


def test_customers_who_were_not_known_teach_nothing() -> None:
    past, bought = refills()
    assert learned((past.only(past.customer_row < 19), bought)) == SessionFigures()


def test_of_many_orders_some_are_learned_from_by_lot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_ORDERS", 60)
    assert learned(refills()) == learned(refills()) != SessionFigures()
    monkeypatch.setattr(sessions, "MOST_ORDERS", 19)
    assert learned(refills()) == SessionFigures()


def test_what_was_known_before_an_order_is_what_was_bought_since_and_when_it_is_due() -> None:
    # Customer 0 buys product 1 each 5 days, nobody else anything twice.
    lines = [(0, 1, 85, 0), (0, 1, 90, 1), (0, 1, 95, 2), (0, 2, 95, 2), (1, 2, 90, 3), (1, 3, 90, 3)]
    since = [(0, 3, 101, 4), (0, 1, 101, 4), (0, 2, 103, 5), (0, 3, 103, 5), (0, 4, 104.5, 6), (1, 4, 105, 7)]
    past, bought = shop(lines + [(c, p, float(day), order) for c, p, day, order in since])
    rows, starts = sessions._later_orders(past, bought)
    assert (rows.tolist(), bought.order_row[starts].tolist()) == ([0], [5, 6])
    timeline = sessions.Timeline.of(past)
    usual = np.full(N_PRODUCTS, np.nan)
    usual[3] = 2.2  # of those who bought it once
    first, second = sessions._laters(fitted(past), timeline, bought, starts, usual, "UTC")
    assert (first.recent[0], first.truth.tolist(), first.never) == (Recent(3, 2, 3.0), [2, 3], [])
    assert (first.recent[1].product_row, first.recent[1].days) == (1, 2)
    assert first.recent[1].interval_days == pytest.approx(5, abs=1)
    assert [(one.product_row, one.days) for one in second.recent] == [(3, 1), (2, 1), (1, 3)]
    assert second.truth.tolist() == [4]


def test_days_are_those_of_the_shops_own_clock() -> None:
    lines = [(0, 1, 90.0, 0), (0, 2, 101.9, 1), (0, 3, 102.1, 2), (0, 4, 102.5, 3)]  # 8 h earlier there
    past, bought = shop(lines)
    _, starts = sessions._later_orders(past, bought)
    usual = np.full(N_PRODUCTS, np.nan)
    days = {
        timezone: [
            one.recent[0].days
            for one in sessions._laters(
                fitted(past), sessions.Timeline.of(past), bought, starts, usual, timezone
            )
        ]
        for timezone in ("UTC", "America/Los_Angeles")
    }
    assert days == {"UTC": [1, 0], "America/Los_Angeles": [0, 1]}


def test_what_nobody_buys_twice_is_in_no_list() -> None:
    past, bought = shop([(0, 1, 90, 0), (0, 2, 101, 1), (0, 2, 103, 2)])
    _, starts = sessions._later_orders(past, bought)
    usual = np.full(N_PRODUCTS, np.nan)
    (one,) = sessions._laters(fitted(past), sessions.Timeline.of(past), bought, starts, usual, "UTC")
    assert (one.recent, one.never, one.truth.tolist()) == ([Recent(2, 2, -1.0)], [2], [2])
    nowhere = np.full(N_PRODUCTS, -1, np.int32)
    moves = Moves(nowhere, [], np.ones(0, np.float32), np.ones(N_PRODUCTS, np.float32), 7.0)
    night = np.array([2, 1], np.int32)
    assert one.ndcg(night, moves, SessionFigures()) == 0
    assert replace(one, never=[]).ndcg(night, moves, SessionFigures(steps_back=0.0)) == 1


def test_where_nothing_follows_from_a_purchase_lists_move_as_is_usual() -> None:
    random = np.random.default_rng(3)
    assert (
        learned(orders(lambda customer, n: random.permutation(N_PRODUCTS)[:3].tolist(), 6))
        == SessionFigures()
    )


def test_of_a_large_history_intervals_are_of_some_and_of_those_who_are_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of_all = learned(refills())
    monkeypatch.setattr(sessions, "MOST_ENTRIES", 0)
    past, bought = refills()
    assert learned((past, bought)) == of_all
    some = sessions._some(past, np.array([3, 5], np.int32))
    assert np.unique(some.customer_row).tolist() == [3, 5]
