"""A record that is copied to another database is the same there, and goes on with the same numbers."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from storage.record.changes import ProductState
from storage.record.consent import PRESETS, set_consent
from storage.record.copying import copy_record
from storage.record.engine import file_of, parse_url
from storage.record.erasure import erase
from storage.record.errors import NotEmptyError
from storage.record.experiments import keep_looks
from storage.record.products import change_product
from storage.record.record import Record
from storage.record.rules import put_rules
from storage.record.tables import METADATA, events, tombstones
from tests.data.records import NOON_MS, empty_record, event, opened, rows, sqlite_url, take


@pytest.fixture
def target(url: URL, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Record]:
    """An empty record on the other database."""
    is_file = file_of(url) is not None
    other = parse_url(request.getfixturevalue("postgres_url")) if is_file else sqlite_url(tmp_path)
    with empty_record(other) as made:
        yield made


def fill(record: Record) -> None:
    """Something of most sorts; of an erased customer the newest event, whose number is used up."""
    take(record, event("e1", quantity=2.0), event("e2", product_id="unheard of"), event("e3", "bert"))
    with record.writing() as connection:
        set_consent(connection, "carla", PRESETS["nothing"], now_ms=NOON_MS, client="key-1")
        change_product(connection, ProductState("milk", 0, 0.99, None), now_ms=NOON_MS)
        put_rules(connection, "schema = 1\n", now_ms=NOON_MS, client="key-2")
        keep_looks(connection, "e", 1, {("conversion", "a", date(2026, 11, 30)): "{}"})
    erase(record, "bert", now_ms=NOON_MS, client="key-1")


def content(record: Record) -> dict[str, list[tuple[object, ...]]]:
    return {table.name: rows(record, table, *table.columns.keys()) for table in METADATA.sorted_tables}


def test_every_row_is_there_and_numbers_go_on(record: Record, target: Record, url: URL) -> None:
    fill(record)
    before = content(record)
    copied = copy_record(record, target)
    assert content(target) == content(record) == before
    assert copied["events"] == copied["quarantine"] == copied["tombstones"] == 1
    assert "exposures" not in copied
    for one in (record, target):
        take(one, event("e4"))
        erase(one, "dora", now_ms=NOON_MS, client="key-1")
    assert content(target) == content(record)
    assert rows(target, events, "id", "event_id")[-1] == (3, "e4")
    assert len(rows(target, tombstones, "number")) == 2
    with opened(url) as again:
        assert content(again) == content(record)


def test_many_rows_come_page_by_page(record: Record, target: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.record.copying.ROWS", 3)
    take(record, *(event(f"e{n}") for n in range(8)))
    assert copy_record(record, target)["events"] == 8
    assert content(target) == content(record)


def test_a_record_with_something_in_it_is_left_alone(record: Record, target: Record) -> None:
    fill(record)
    take(target, event("other"))
    before = content(target)
    with pytest.raises(NotEmptyError, match="its table customers has rows"):
        copy_record(record, target)
    assert content(target) == before


def test_an_empty_record_is_copied_too(record: Record, target: Record) -> None:
    assert copy_record(record, target) == {}
    take(target, event("e1"))
    assert rows(target, events, "id") == [(1,)]
