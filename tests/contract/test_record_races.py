"""Who is erased or speaks, and what others record, while something is on its way into the record."""

from collections.abc import Iterator
from dataclasses import replace
from threading import Thread

import pytest

from storage.record import budgets, shop_consents
from storage.record.budgets import Budget, Promise, lease, tell
from storage.record.consent import PRESETS, consent_of, set_consent
from storage.record.erasure import erase
from storage.record.events import Fate
from storage.record.exposures import Exposure, write_exposures
from storage.record.live import Since
from storage.record.record import Record
from storage.record.tables import events, exposures, offer_promises
from tests.data.records import KEY, NOON_MS, event, intake, rows, take


class Eraser(Thread):
    """Erases anna once, and is waited for a moment only: the record may make it wait until a commit."""

    def __init__(self, record: Record) -> None:
        super().__init__(target=lambda: erase(record, "anna", now_ms=NOON_MS, client="k"))

    def come(self) -> None:
        if self.ident is None:
            self.start()
            self.join(0.3)


def test_who_is_erased_while_events_are_taken_leaves_none(record: Record) -> None:
    eraser = Eraser(record)

    def is_known(_: str) -> bool:  # asked when it is known who allows what
        eraser.come()
        return True

    take(record, event("e1"), event("e2", "bert"), taking=replace(intake(), is_known=is_known))
    eraser.join()
    assert rows(record, events, "customer_id") == [("bert",)]


def test_who_is_erased_while_exposures_are_written_leaves_none(record: Record) -> None:
    eraser = Eraser(record)

    class Waiting(list[Exposure]):
        """Exposures that are gone through a second time when it is known who allows what."""

        times = 0

        def __iter__(self) -> Iterator[Exposure]:
            self.times += 1
            if self.times == 2:
                eraser.come()
            return super().__iter__()

    seen = Waiting([exposure("x1", "anna"), exposure("x2", "bert")])
    with record.writing() as connection:
        assert write_exposures(connection, KEY, seen, True) == 2
    eraser.join()
    assert rows(record, exposures, "customer_id") == [("bert",)]


def exposure(event_id: str, customer_id: str) -> Exposure:
    ids = (event_id, "r1", NOON_MS, customer_id, "e", 1, "hash", "recommend", "ranker")
    return Exposure(*ids, False, "v1", False, "personal", "", "[]", 1.0, False)


def test_who_is_erased_while_a_promise_is_told_is_not_named(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    eraser, asked = Eraser(record), budgets.may_be_named

    def may_be_named(*what: object, **how: object) -> set[str]:
        named = asked(*what, **how)  # type: ignore[arg-type]
        eraser.come()
        return named

    monkeypatch.setattr(budgets, "may_be_named", may_be_named)
    with record.writing() as connection:
        until_ms = NOON_MS + 100_000
        asking = [Budget("milk", 8, 0, Since(0, 0))]
        (mine,) = lease(connection, asking, "worker", now_ms=NOON_MS, counts_until_ms=until_ms)
    promise = Promise("milk", "anna", NOON_MS, until_ms)
    with record.writing() as connection:
        tell(connection, mine, [promise], NOON_MS, key=KEY, stores_by_default=True)
    eraser.join()
    assert rows(record, offer_promises, "customer_id") == []  # it counts among those of nobody


def test_who_speaks_while_the_shops_table_is_taken_has_the_last_word(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        with record.writing() as connection:
            set_consent(connection, "anna", PRESETS["nothing"], now_ms=NOON_MS, client="key-1")

    speaking, put = Thread(target=refuse), shop_consents._put

    def meanwhile(*what: object) -> None:  # it is known who spoke themselves
        speaking.start()
        speaking.join(0.3)
        put(*what)  # type: ignore[arg-type]

    monkeypatch.setattr(shop_consents, "_put", meanwhile)
    told = {"anna": {"train": False}}
    assert shop_consents.take_shop_consents(record, told, PRESETS["all"], now_ms=NOON_MS) == 1
    speaking.join()
    with record.reading() as connection:
        assert consent_of(connection, "anna", PRESETS["all"]) == PRESETS["nothing"]


def test_what_another_worker_records_while_a_batch_is_taken_is_a_duplicate_or_a_conflict(
    record: Record,
) -> None:
    if not record.is_postgres:
        pytest.skip("on SQLite every writer is alone")
    others = [event("e1"), event("e2", "bert")]

    def is_known(_: str) -> bool:  # asked when it is known which ids are there
        if others:
            both, others[:] = list(others), []
            take(record, *both)
        return True

    found = take(record, event("e1"), event("e2"), event("e3"), taking=replace(intake(), is_known=is_known))
    assert [outcome.fate for outcome in found] == [Fate.DUPLICATE, Fate.CONFLICT, Fate.RECORDED]
    assert rows(record, events, "event_id", "customer_id") == [("e1", "anna"), ("e2", "bert"), ("e3", "anna")]
