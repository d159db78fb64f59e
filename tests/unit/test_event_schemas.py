"""What may stand in an event, and what is said of one that can't be taken."""

from hashlib import blake2b
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.schemas import BadEventError, check_event
from storage.record.events import Event, EventType

NOW_MS = 1_800_000_000_000
NONE_SUCH = (
    "no such field; there are: event_id, customer_id, occurred_at, type, product_id, order_id, quantity,"
    " unit_price, discount, offer_id"
)
BOUGHT = {"type": "purchase", "event_id": "e1", "customer_id": "42", "product_id": "p1"}
ASKED = {"type": "survey", "event_id": "e1", "customer_id": "42", "question": "nps", "score": 9}
CLICKED = {"type": "click", "event_id": "e1", "customer_id": "42", "request_id": "r", "position": 1}


def refused(event: Any) -> str:
    with pytest.raises(BadEventError) as caught:
        check_event(event, NOW_MS)
    return str(caught.value)


def test_a_survey_without_a_score_was_asked() -> None:
    asked = {key: value for key, value in ASKED.items() if key != "score"}
    event = check_event(asked, NOW_MS)
    assert (event.question, event.score) == ("nps", None)


def test_a_purchase_becomes_an_event_with_its_defaults() -> None:
    event = check_event(BOUGHT | {"customer_id": " 42\n"}, NOW_MS)
    assert (event.type, event.customer_id, event.quantity) == (EventType.PURCHASE, "42", 1)
    assert (event.at_ms, event.order_id, event.unit_price) == (NOW_MS, None, None)


def test_what_an_event_is_told_from_its_like_by_has_no_field_that_it_does_not_say() -> None:
    """Else a release that knows one more refuses, as another event, what was sent before the upgrade and
    comes again after it."""
    event = check_event(BOUGHT, NOW_MS)
    said = '{"event_id":"e1","customer_id":"42","type":"purchase","product_id":"p1","quantity":1.0}'
    assert event.payload == said
    assert event.payload_hash == blake2b(said.encode(), digest_size=16).digest()
    assert check_event(BOUGHT | {"offer_id": None}, NOW_MS).payload_hash == event.payload_hash


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": "buy"}, "type: must be one of purchase, return, view, add_to_cart, click, survey"),
        ({"type": None}, "type: must be one of purchase, return, view, add_to_cart, click, survey"),
        ({"type": ["purchase"]}, "type: must be one of purchase, return, view, add_to_cart, click, survey"),
        ({"customer_id": 42}, "customer_id: must be a text"),
        ({"customer_id": "  "}, "customer_id: empty"),
        ({"customer_id": "a\0b"}, "customer_id: control characters"),
        ({"customer_id": "a\nb"}, "customer_id: control characters"),
        ({"customer_id": "\ud800"}, "customer_id: not a text in UTF-8"),
        ({"event_id": "ä" * 129}, "event_id: longer than 256 bytes"),
        ({"product_id": None}, "product_id: must be a text"),
        ({"quantity": "2"}, "quantity: must be a number"),
        ({"quantity": True}, "quantity: must be a number"),
        ({"quantity": None}, "quantity: must be a number"),
        ({"quantity": float("inf")}, "quantity: must be a number"),
        ({"quantity": 10**400}, "quantity: must be a number"),
        ({"quantity": 0}, "quantity: must be above 0"),
        ({"quantity": 2_000_000}, "quantity: must be at most 1000000"),
        ({"unit_price": -1}, "unit_price: must be at least 0"),
        ({"occurred_at": 1_800_000_000}, "occurred_at: must be a time such as 2026-11-24T18:05:00Z"),
        ({"occurred_at": "1800000000"}, "occurred_at: must be a time such as 2026-11-24T18:05:00Z"),
        ({"occurred_at": "yesterday"}, "occurred_at: must be a time such as 2026-11-24T18:05:00Z"),
        ({"occurred_at": "2026-11-24T18:05:00"}, "occurred_at: has no offset from UTC, such as Z or +01:00"),
        ({"occurred_at": "2026-11-24"}, "occurred_at: has no offset from UTC, such as Z or +01:00"),
        ({"occurred_at": "1969-12-31T23:59:59Z"}, "occurred_at: before 1970"),
        ({"occurred_at": "0001-01-01T00:00:00+14:00"}, "occurred_at: no time that a calendar has"),
        ({"occurred_at": "2027-01-15T08:05:01Z"}, "occurred_at: later than now"),
        ({"qty": 1}, f"qty: {NONE_SUCH}"),
        ({"q" * 90: 1}, "q" * 64 + f": {NONE_SUCH}"),
    ],
)
def test_a_purchase_that_cannot_be_taken_is_told_what_is_wrong(change: dict[str, Any], reason: str) -> None:
    assert refused(BOUGHT | change) == reason


def test_clocks_may_differ_by_five_minutes() -> None:
    assert check_event(BOUGHT | {"occurred_at": "2027-01-15T08:05:00Z"}, NOW_MS).at_ms == NOW_MS + 300_000


@pytest.mark.parametrize("sent", [None, 5, "purchase", [], [BOUGHT]])
def test_what_is_no_object_is_no_event(sent: object) -> None:
    assert refused(sent) == "must be an object"


@pytest.mark.parametrize("missing", ["event_id", "customer_id", "product_id"])
def test_what_is_missing_is_named(missing: str) -> None:
    event = {name: value for name, value in BOUGHT.items() if name != missing}
    assert refused(event) == f"{missing}: missing"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ASKED | {"score": 11}, "score: must be from 0 to 10"),
        (ASKED | {"score": -1}, "score: must be from 0 to 10"),
        (ASKED | {"question": "ces", "score": 0}, "score: must be from 1 to 7"),
        (ASKED | {"question": "ces", "score": 8}, "score: must be from 1 to 7"),
        (ASKED | {"score": 9.5}, "score: must be a whole number"),
        (ASKED | {"question": "csat"}, "question: must be 'nps' or 'ces'"),
        (CLICKED | {"position": 0}, "position: must be at least 1"),
        (CLICKED | {"position": 101}, "position: must be at most 100"),
        (CLICKED | {"position": "1"}, "position: must be a whole number"),
    ],
)
def test_scores_and_positions_have_their_scale(event: dict[str, Any], reason: str) -> None:
    assert refused(event) == reason


@pytest.mark.parametrize(
    "event",
    [
        *(ASKED | {"score": score} for score in (0, 10)),
        *(ASKED | {"question": "ces", "score": score} for score in (1, 7)),
        *(CLICKED | {"position": position} for position in (1, 100)),
    ],
)
def test_the_ends_of_a_scale_belong_to_it(event: dict[str, Any]) -> None:
    assert check_event(event, NOW_MS).event_id == "e1"


@pytest.mark.parametrize(
    "same",
    [
        dict(reversed(BOUGHT.items())),
        BOUGHT | {"quantity": 1},
        BOUGHT | {"quantity": 1.0, "order_id": None},
        BOUGHT | {"customer_id": "42 "},
    ],
)
def test_the_same_said_otherwise_is_the_same_event(same: dict[str, Any]) -> None:
    assert check_event(same, NOW_MS + 5).payload_hash == check_event(BOUGHT, NOW_MS).payload_hash


def test_a_moment_is_the_same_by_whatever_offset() -> None:
    here, there = "2026-11-24T18:05:00+01:00", "2026-11-24T17:05:00Z"
    first, second = (check_event(BOUGHT | {"occurred_at": at}, NOW_MS) for at in (here, there))
    assert first == second


@given(
    change=st.dictionaries(
        st.sampled_from(["customer_id", "product_id", "order_id", "quantity", "unit_price", "occurred_at"]),
        st.one_of(st.text(max_size=3), st.integers(1, 9), st.just("2026-11-24T18:05:00Z"), st.none()),
        max_size=3,
    )
)
def test_events_are_equal_if_and_only_if_their_hashes_are(change: dict[str, Any]) -> None:
    try:
        changed = check_event(BOUGHT | change, NOW_MS)
    except BadEventError:
        return
    plain = check_event(BOUGHT, NOW_MS)
    assert (changed.payload == plain.payload) == (changed.payload_hash == plain.payload_hash)
    if "occurred_at" not in change or change["occurred_at"] is None:
        assert (changed == plain) == (changed.payload_hash == plain.payload_hash)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*BOUGHT, *ASKED, *CLICKED, "occurred_at", "x"]), JSON), JSON)
def test_whatever_is_sent_is_an_event_or_told_why_not(fields: dict[str, Any], other: object) -> None:
    for sent in (fields, BOUGHT | fields, {**ASKED, **fields}, other):
        try:
            assert isinstance(check_event(sent, NOW_MS), Event)
        except BadEventError as err:
            assert str(err)
