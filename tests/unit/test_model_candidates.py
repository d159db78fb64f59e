"""Why a product stands in a list: the customer's own purchase that explains it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from models.due import Due
from storage.history.history import History
from storage.versions.evidence import ITSELF, NO_EVIDENCE, in_bytes
from tests.data.scores import history_of
from training.publishing.candidates import MAX_ANCHORS, OwnHistory, due_days, evidence, first_days


def own_history(*customers: list[int]) -> OwnHistory:
    """Histories of these products, most recently bought first."""
    flat = [product for products in customers for product in products]
    return OwnHistory(
        indptr=np.cumsum([0, *map(len, customers)]).astype(np.int64),
        product=np.array(flat, np.int32),
        times=np.ones(len(flat), np.uint16),
        last_day=np.ones(len(flat), np.uint16),
        interval_days=np.full(len(flat), np.nan, np.float16),
    )


# 5 products; 0 and 1 go with 2, 0 more so with 3; 1 goes with 3 as much as 0
SIMILAR = np.array([[3, 2], [3, 2], [0, 1], [0, 1], [-1, -1]], np.int32)
SIMILARITY = np.array([[0.9, 0.5], [0.9, 0.6], [0.6, 0.5], [0.9, 0.9], [0, 0]], np.float32)


def explained(lists: list[list[int]], rows: list[int], own: OwnHistory) -> list[list[int]]:
    found = evidence(np.array(lists, np.int32), np.array(rows, np.int32), own, SIMILAR, SIMILARITY)
    assert found.dtype == np.int16
    return found.tolist()


def test_an_own_product_explains_itself_even_beside_a_similar_one() -> None:
    assert explained([[0, 3, 1]], [0], own_history([3, 1, 0])) == [[2, 0, 1]]


def test_the_strongest_anchor_explains_a_new_product() -> None:
    # to 2, product 1 is nearer (.6) than 0 (.5), though 0 was bought later
    assert explained([[2]], [0], own_history([0, 1])) == [[1]]


def test_of_anchors_as_strong_the_later_explains() -> None:
    assert explained([[3], [3]], [0, 1], own_history([0, 1], [1, 0])) == [[0], [0]]


def test_what_nothing_explains_and_empty_places_have_none() -> None:
    assert explained([[4, 3, -1]], [0], own_history([2])) == [[-1, -1, -1]]


def test_a_version_keeps_places_in_a_byte_and_of_older_ones_only_that_they_are_there() -> None:
    places = np.array([[-1, 0, 1, 253], [254, 255, 32_767, -1]], np.int16)
    kept = in_bytes(places)
    assert kept.dtype == np.uint8
    assert kept.tolist() == [[NO_EVIDENCE, 0, 1, 253], [ITSELF, ITSELF, ITSELF, NO_EVIDENCE]]
    assert MAX_ANCHORS <= ITSELF  # so that only a product itself explains from further back


def test_customers_are_told_apart_and_those_without_history_have_no_evidence() -> None:
    own = own_history([0], [], [4, 1])
    assert explained([[3, 1], [3, 1], [3, 0]], [2, 1, 0], own) == [[1, 1], [-1, -1], [0, 0]]


def test_no_customers_are_no_error() -> None:
    nobody = np.empty((0, 3), np.int32)
    assert evidence(nobody, np.empty(0, np.int32), own_history([0]), SIMILAR, SIMILARITY).shape == (0, 3)


def history(lines: list[tuple[int, int, int, str]], timezone: str) -> History:
    """A history of lines (customer, product, order, local time)."""
    zone = ZoneInfo(timezone)
    at_s = [int(datetime.fromisoformat(at).replace(tzinfo=zone).timestamp()) for *_, at in lines]
    schema = {"customer_row": pl.Int32, "product_row": pl.Int32, "order_row": pl.Int32}
    rows = pl.DataFrame([line[:3] for line in lines], schema=schema, orient="row")
    return History(
        purchases=rows.with_columns(pl.Series("at_s", at_s, pl.Int64)),
        customer_ids=["ann", "bob", "cleo"],
        known_since_s=np.zeros(3, np.int64),
        products=pl.DataFrame(),
        is_told=np.empty((0, 3), np.bool_),
        offers=None,
        promotions=None,
        redemptions=None,
        customers=None,
        audiences=None,
        as_of=datetime(2018, 1, 1, tzinfo=UTC),
        timezone=timezone,
        fingerprint="",
        counts={},
    )


LINES = [
    (0, 7, 0, "2017-03-01 12:00"),
    (0, 5, 1, "2017-03-05 23:30"),
    (0, 7, 1, "2017-03-05 23:30"),
    (0, 7, 1, "2017-03-05 23:30"),  # twice in one order
    (0, 7, 2, "2017-03-10 00:15"),
    (2, 5, 3, "2017-03-08 09:00"),
]


def test_own_history_is_most_recent_first_and_counts_orders() -> None:
    own = OwnHistory.of(history(LINES, "Pacific/Auckland"))
    assert own.indptr.tolist() == [0, 2, 2, 3]
    assert own.product.tolist() == [7, 5, 5]
    assert own.times.tolist() == [3, 1, 1]
    # from March 1 at noon to March 10 at 0:15 it is 8 days and 12.25 hours, two intervals
    np.testing.assert_allclose(own.interval_days, [(8 + 12.25 / 24) / 2, np.nan, np.nan], rtol=1e-3)
    kinds = (own.indptr, own.product, own.times, own.last_day, own.interval_days)
    assert [a.dtype.name for a in kinds] == ["int64", "int32", "uint16", "uint16", "float16"]


def test_days_are_the_shop_s_own_on_either_side_of_midnight() -> None:
    def day(year: int, month: int, day_: int) -> int:
        return (datetime(year, month, day_, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days

    wanted = [day(2017, 3, 10), day(2017, 3, 5), day(2017, 3, 8)]
    for timezone in ("Pacific/Auckland", "America/Los_Angeles", "UTC"):
        assert OwnHistory.of(history(LINES, timezone)).last_day.tolist() == wanted


def test_the_first_day_of_a_product_is_the_shop_s_own_and_0_where_nobody_bought_it() -> None:
    first = first_days(history(LINES, "UTC"), 9)
    assert first.dtype == np.uint16
    days = {row: date(1970, 1, 1) + timedelta(days=int(day)) for row, day in enumerate(first) if day}
    assert days == {5: date(2017, 3, 5), 7: date(2017, 3, 1)}


def test_products_of_one_moment_stand_in_order_of_their_row() -> None:
    lines = [(0, product, 0, "2017-03-01 12:00") for product in (5, 2, 9)]
    assert OwnHistory.of(history(lines, "UTC")).product.tolist() == [2, 5, 9]


def test_due_days_follow_the_entries_of_the_history_whatever_their_order() -> None:
    """Customer 0 bought product 7 last and 5 before, customer 2 product 7; the model sorts by product."""
    due = Due()
    due.indptr_, due.n_products_ = np.array([0, 2, 2, 3], np.int64), 8
    due.product_ = np.array([5, 7, 7], np.int32)
    due.expected_days_ = np.array([10.4, 20.6, np.nan], np.float32)
    own = own_history([7, 5], [], [7])
    own = replace(own, last_day=np.array([200, 100, 300], np.uint16))
    found = due_days(own, due)
    assert found.tolist() == [221, 110, 0]
    assert found.dtype == np.uint16


def test_a_due_day_beyond_what_can_be_written_is_the_last_that_can() -> None:
    due = Due()
    due.indptr_, due.n_products_ = np.array([0, 1], np.int64), 8
    due.product_, due.expected_days_ = np.array([7], np.int32), np.array([1e9], np.float32)
    assert due_days(own_history([7]), due).tolist() == [65_535]


def test_what_was_not_learned_from_is_due_on_no_day() -> None:
    part = Due().fit(history_of([(0, 3, 1, 0)], n_customers=2, n_products=8, as_of_day=2))
    part.expected_days_ = np.array([4.0], np.float32)
    own = replace(own_history([7, 3], [3]), last_day=np.array([100, 200, 300], np.uint16))
    assert due_days(own, part).tolist() == [0, 204, 0]
    nothing = Due().fit(history_of([], n_customers=2, n_products=8, as_of_day=2))
    assert due_days(own, nothing).tolist() == [0, 0, 0]
