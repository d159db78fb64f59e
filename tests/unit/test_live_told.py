"""What a worker holds of customers: purchases less returns, consents, erasures, and nothing when cut off."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from service.live.customers import CUT_OFF_S, LiveCustomers
from service.live.told import MOST_LINES, NOT_PERSONAL, Line, lines_of
from storage.record.changes import Tombstone
from storage.record.consent import PRESETS, Consent
from storage.record.live import CustomerNow, Trade


def bought(product_id: str, at_ms: int, order_id: str | None = None, quantity: float = 1.0) -> Trade:
    return Trade(product_id, False, at_ms, order_id, quantity)


def returned(product_id: str, at_ms: int, order_id: str | None = None, quantity: float = 1.0) -> Trade:
    return Trade(product_id, True, at_ms, order_id, quantity)


def now(epoch: int, *trade: Trade, personalise: bool | None = None, customer: str = "anna") -> CustomerNow:
    return CustomerNow(customer, epoch, personalise, None, trade)


def hash_of(customer_id: str) -> bytes:
    return customer_id.encode()


def heard(default: Consent = PRESETS["all"], most: int = 100) -> LiveCustomers:
    live = LiveCustomers(default, most=most, clock=lambda: 0.0)
    live.heard()
    return live


def test_lines_are_products_that_were_kept_the_latest_first() -> None:
    trade = [
        bought("milk", 1, "a"),
        bought("bread", 2, "a"),
        bought("milk", 3, "b"),
        bought("milk", 3, "b"),
        bought("cake", 4, "c"),
        returned("cake", 5),
    ]
    assert lines_of(trade) == (Line("milk", 3, (1, 3), (), ("a", "b")), Line("bread", 2, (2,), (), ("a",)))


def test_a_return_takes_off_its_own_order_and_without_one_the_latest() -> None:
    both = [bought("milk", 1, "a"), bought("milk", 2, "b")]
    assert lines_of([*both, returned("milk", 3, "b")]) == (Line("milk", 1, (1,), (), ("a",)),)
    assert lines_of([*both, returned("milk", 3)]) == (Line("milk", 1, (1,), (), ("a",)),)
    assert lines_of([*both, returned("milk", 3, quantity=2)]) == ()
    three = bought("milk", 1, quantity=3)
    assert lines_of([three, returned("milk", 3)]) == (Line("milk", 1, (), (1,)),)
    assert lines_of([three, returned("milk", 3), returned("milk", 4, quantity=2)]) == ()
    assert lines_of([bought("milk", 1), returned("milk", 3, "of last year")]) == (Line("milk", 1, (), (1,)),)


def test_a_line_of_an_order_that_came_twice_is_taken_back_by_one_return() -> None:
    twice = [bought("milk", 1, "a"), bought("milk", 2, "a")]
    assert lines_of([*twice, returned("milk", 3, "a")]) == ()
    assert lines_of([*twice, returned("milk", 3)]) == ()
    assert lines_of([*twice, bought("milk", 2, "b"), returned("milk", 3, "a")]) == (
        Line("milk", 2, (2,), (), ("b",)),
    )
    assert lines_of(twice) == (Line("milk", 1, (1,), (), ("a",)),)  # as the night has it


def test_a_return_with_an_order_is_of_it_whenever_it_is_said_to_have_been() -> None:
    early = [returned("milk", 1, "b"), bought("milk", 2, "a"), bought("milk", 3, "b")]
    assert lines_of(early) == (Line("milk", 2, (2,), (), ("a",)),)
    both = [bought("milk", 1, "a"), bought("milk", 2, "b"), returned("milk", 3), returned("milk", 4, "b")]
    assert lines_of(both) == ()  # the first is of what the second leaves
    assert lines_of([returned("milk", 1), bought("milk", 2)]) == (Line("milk", 2, (), (2,)),)
    assert lines_of([bought("milk", 1), returned("milk", 1)]) == ()  # of one second


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.booleans(), st.sampled_from([None, "1", "2"])), max_size=40
    )
)
def test_lines_name_a_product_once_and_only_what_was_bought(
    said: Sequence[tuple[str, bool, str | None]],
) -> None:
    trade = [Trade(product, back, at, order, 1.0) for at, (product, back, order) in enumerate(said)]
    lines = lines_of(trade)
    products = [line.product_id for line in lines]
    assert len(set(products)) == len(products) <= MOST_LINES
    assert set(products) <= {product for product, back, _ in said if not back}
    assert [line.at_ms for line in lines] == sorted((line.at_ms for line in lines), reverse=True)
    for product in "abcdef":
        of_it = [(at, back, order) for at, (one, back, order) in enumerate(said) if one == product]
        bought_once = {order or at for at, back, order in of_it if not back}
        if len(bought_once) > sum(back for _, back, _ in of_it):
            assert product in products


def test_before_the_record_was_read_and_long_after_nobody_gets_personal_answers() -> None:
    now_s = 0.0
    live = LiveCustomers(most=10, clock=lambda: now_s)
    assert live.of("anna") is NOT_PERSONAL
    live.heard()
    assert live.of("anna") is None
    now_s = CUT_OFF_S
    assert live.of("anna") is None
    now_s += 0.1
    assert live.of("anna") is NOT_PERSONAL


def test_only_what_differs_from_the_shops_default_is_held() -> None:
    live = heard()
    live.take(now(1, personalise=True))
    live.take(now(2, customer="ben", personalise=False))
    assert (live.of("anna"), live.of("ben"), len(live)) == (None, NOT_PERSONAL, 0)
    live.take(now(3, customer="ben", personalise=True))
    assert live.of("ben") is None
    opt_in = heard(PRESETS["nothing"])
    opt_in.take(now(1, personalise=True))
    assert (opt_in.of("anna"), opt_in.of("ben")) == (None, NOT_PERSONAL)


def test_purchases_of_who_refuses_are_not_held() -> None:
    live = heard()
    live.take(now(1, bought("milk", 1)))
    told = live.of("anna")
    assert told is not None
    assert told.lines == (Line("milk", 1, (), (1,)),)
    live.take(now(2, bought("milk", 1), personalise=False))
    assert (live.of("anna"), len(live)) == (NOT_PERSONAL, 0)


def test_an_erasure_counts_at_once_and_a_new_consent_begins_a_new_life() -> None:
    live = heard()
    live.take(now(1, bought("milk", 1)))
    live.erase([Tombstone(1, hash_of("anna"), 2)], hash_of)
    assert live.of("anna") is NOT_PERSONAL
    assert live.of("ben") is None
    live.take(now(0))
    assert live.of("anna") is NOT_PERSONAL
    live.take(now(3, personalise=True))
    told = live.of("anna")
    assert told is not None
    assert (told.erased, told.lines) == (1, ())  # versions know the life before


def test_a_consent_counts_at_once_and_what_was_read_before_it_does_not() -> None:
    live = heard()
    live.take(now(1, bought("milk", 1)))
    live.said("anna", 3, personalise=False, experiment=False)
    assert (live.of("anna"), live.may_experiment("anna"), len(live)) == (NOT_PERSONAL, False, 0)
    live.take(now(2, bought("milk", 1)))  # by a look that began before
    assert live.of("anna") is NOT_PERSONAL
    live.take(now(4, bought("milk", 1), personalise=True))
    told = live.of("anna")
    assert told is not None
    assert told.lines == (Line("milk", 1, (), (1,)),)


def test_an_erasure_is_not_forgotten_for_an_earlier_one() -> None:
    live = heard()
    live.erase([Tombstone(2, hash_of("anna"), 5)], hash_of)
    live.erase([Tombstone(1, hash_of("anna"), 2)], hash_of)  # read before the other was committed
    live.take(now(3, personalise=True))
    assert (live.of("anna"), live.erased("anna")) == (NOT_PERSONAL, 2)


def test_of_too_many_customers_the_first_are_given_up() -> None:
    live = heard(most=2)
    for number, customer in enumerate(("anna", "ben", "carl"), 1):
        live.take(now(number, bought("milk", 1), customer=customer))
    assert [live.of(customer) is None for customer in ("anna", "ben", "carl")] == [True, False, False]
