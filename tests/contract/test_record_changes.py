"""What changed in a record is told in parts, of which none is left out, on SQLite and on a real Postgres."""

import pytest
import sqlalchemy as sa

from storage.record.changes import (
    CustomerChanges,
    ProductState,
    clock_now,
    customer_changes_since,
    shop_changes_since,
)
from storage.record.erasure import erase
from storage.record.products import change_product
from storage.record.record import Record
from storage.record.replay import Stone, replay
from tests.data.records import KEY, NOON_MS, event, take


def changes(record: Record, since: int, most: int = 100) -> CustomerChanges:
    with record.reading() as connection:
        return customer_changes_since(connection, since, most)


def clock_of(record: Record) -> int:
    with record.reading() as connection:
        return clock_now(connection)


def test_much_that_changed_is_told_in_parts_and_each_transaction_whole(record: Record) -> None:
    take(record, event("e1", "anna"))  # 1
    take(record, event("e2", "bert"), event("e3", "cleo"))  # 2
    take(record, event("e4", "dora"), event("e5", "emil"), event("e6", "fred"))  # 3
    erase(record, "gina", now_ms=NOON_MS, client="k")  # 4
    erase(record, "hans", now_ms=NOON_MS, client="k")  # 5
    told, seen = [], 0
    while True:
        part = changes(record, seen, most=2)
        told.append((part.now, set(part.customer_ids), {stone.epoch for stone in part.erased}))
        assert part.is_all is (part.now == 5)
        if part.is_all:
            break
        seen = part.now
    assert told == [
        (1, {"anna"}, {4, 5}),
        (2, {"bert", "cleo"}, {4, 5}),
        (3, {"dora", "emil", "fred"}, {4, 5}),
        (5, set(), {4, 5}),
    ]
    assert {stone.epoch for stone in changes(record, 0, most=1).erased} == {4}
    assert (changes(record, 3, most=1).now, changes(record, 4, most=1).now) == (4, 5)


def test_many_erasures_of_one_transaction_are_told_whole(record: Record) -> None:
    """A replay erases all at once: of a thousand and one the last was never heard of."""
    names = ["gina", "hans", "ines"]
    stones = [Stone(n, KEY.hash_of(name), NOON_MS) for n, name in enumerate(names, 1)]
    assert replay(record, stones) == 3  # 1
    erase(record, "jill", now_ms=NOON_MS, client="k")  # 2
    first = changes(record, 0, most=2)
    assert (first.now, first.is_all) == (1, False)
    assert {stone.customer_hash for stone in first.erased} == {stone.customer_hash for stone in stones}
    assert [stone.epoch for stone in changes(record, first.now, most=2).erased] == [2]


def test_what_is_committed_between_two_looks_at_the_record_comes_with_the_next(record: Record) -> None:
    if not record.is_postgres:
        pytest.skip("on SQLite nobody commits while somebody reads")
    take(record, event("e1", "anna"))  # 1

    def commit(*given: object) -> None:
        if "FROM tombstones" in str(given[2]) and clock_of(record) == 1:
            take(record, event("e2", "bert"))  # 2
            for name in ("gina", "hans", "ines"):
                erase(record, name, now_ms=NOON_MS, client="k")

    with record.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", commit)
        first = customer_changes_since(connection, 0, 2)
    assert clock_of(record) == 5
    assert first.customer_ids == ("anna",)
    assert changes(record, first.now).customer_ids == ("bert",)


def test_live_values_of_many_products_are_told_in_parts(record: Record) -> None:
    for number in range(5):
        with record.writing() as connection:
            change_product(connection, ProductState(f"p{number}", number, None, None), now_ms=NOON_MS)
    take(record, event("e1"))
    told, seen, is_all = [], 0, False
    while not is_all:
        with record.reading() as connection:
            part = shop_changes_since(connection, seen, 2)
        told.append([product.stock for _, product in part.products])
        seen, is_all = part.now, part.is_all
    assert (told, seen) == ([[0, 1], [2, 3], [4]], 6)
