"""Consents of the shop's table: obeyed, below a customer's own word, never a way back for who was erased."""

import polars as pl
import pytest
import sqlalchemy as sa

from storage.history.consents import consents_in
from storage.record.consent import PRESETS, Consent, consent_of, set_consent
from storage.record.erasure import erase
from storage.record.record import Record
from storage.record.shop_consents import take_shop_consents
from storage.record.tables import consent_log
from tests.data.records import NOON_MS

ALL = PRESETS["all"]
NO_TRAINING = Consent(personalise=True, train=False, experiment=True, store=True)


def taken(record: Record, told: dict[str, dict[str, bool]]) -> int:
    return take_shop_consents(record, told, ALL, now_ms=NOON_MS)


def consent(record: Record, customer_id: str) -> Consent:
    with record.reading() as connection:
        return consent_of(connection, customer_id, ALL)


def logged(record: Record) -> int:
    with record.reading() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(consent_log)) or 0


def say(record: Record, customer_id: str, said: Consent) -> None:
    with record.writing() as connection:
        set_consent(connection, customer_id, said, now_ms=NOON_MS, client="key-1")


def test_what_the_table_tells_is_in_force_once_and_what_is_the_default_is_not_written(record: Record) -> None:
    told = {"anna": {"train": False}, "ben": {"train": True}}
    assert taken(record, told) == 1
    assert consent(record, "anna") == NO_TRAINING
    assert (taken(record, told), logged(record)) == (0, 1)


def test_the_table_may_change_its_word_and_a_missing_line_gives_nobody_leave(record: Record) -> None:
    taken(record, {"anna": {"train": False}})
    assert taken(record, {"ben": {"store": False}}) == 1
    assert consent(record, "anna") == NO_TRAINING
    assert taken(record, {"anna": {"train": True}}) == 1
    assert consent(record, "anna") == ALL


def test_what_the_table_leaves_open_is_the_default_also_after_it_said_something(record: Record) -> None:
    default = PRESETS["nothing"]
    assert take_shop_consents(record, {"anna": {"personalise": True}}, default, now_ms=NOON_MS) == 1
    told: dict[str, dict[str, bool]] = {"anna": {}, "ben": {}}
    assert take_shop_consents(record, told, default, now_ms=NOON_MS) == 1
    assert (consent(record, "anna"), logged(record)) == (default, 2)
    assert take_shop_consents(record, told, default, now_ms=NOON_MS) == 0


def test_an_open_line_takes_back_nothing_that_a_customer_said(record: Record) -> None:
    taken(record, {"anna": {"train": False}})
    say(record, "anna", PRESETS["nothing"])
    assert taken(record, {"anna": {}}) == 0
    assert consent(record, "anna") == PRESETS["nothing"]


def test_a_customers_own_word_goes_before_the_tables(record: Record) -> None:
    say(record, "anna", ALL)
    assert taken(record, {"anna": {"train": False}}) == 0
    taken(record, {"ben": {"train": False}})
    say(record, "ben", PRESETS["nothing"])
    assert taken(record, {"ben": {"train": True}}) == 0
    assert consent(record, "ben") == PRESETS["nothing"]


def test_the_table_brings_nobody_back_who_was_erased(record: Record) -> None:
    erase(record, "anna", now_ms=NOON_MS, client="key-1")
    assert taken(record, {"anna": {"train": False}, "ben": {"train": False}}) == 1
    assert logged(record) == 1


def test_more_than_one_statement_takes(record: Record) -> None:
    assert taken(record, {f"c{number}": {"train": False} for number in range(2500)}) == 2500
    assert consent(record, "c2499") == NO_TRAINING


def test_cells_are_read_as_yes_no_or_open_and_any_other_word_is_a_no() -> None:
    table = pl.DataFrame(
        {
            "customer_id": ["a", "b", "c", "d"],
            "train": [" Yes", "0", "", "maybe"],
            "store": ["1", None, None, "true"],
            "colour": ["red", "red", "red", "red"],
        }
    )
    told = consents_in(table)
    assert told.by_customer == {
        "a": {"train": True, "store": True},
        "b": {"train": False},
        "c": {},
        "d": {"train": False, "store": True},
    }
    assert told.unreadable == 1


@pytest.mark.parametrize("table", [None, pl.DataFrame({"customer_id": ["a"], "colour": ["red"]})])
def test_a_shop_without_such_columns_tells_nothing(table: pl.DataFrame | None) -> None:
    assert consents_in(table).by_customer == {}
