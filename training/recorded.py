"""The record that a night reads: where it is, and what it knows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from storage.record.consent import PRESETS
from storage.record.erasure import erasures_after
from storage.record.erasure_key import load_erasure_key
from storage.record.learning import Recorded, read_recorded
from storage.record.record import FILE, Record, record_url
from storage.store import Store
from training.config import RecordOptions

LOCK_MS = 10_000
STATEMENT_MS = 600_000
ERASURE_KEY = "NEXTBEST_ERASURE_KEY"


def recorded_by(store: Store, options: RecordOptions) -> Recorded | None:
    """What the record knows; None if no URL is given and the store has none.

    Raises:
        NextbestError: it can't be read. Then there is no night: it would learn from customers who said no.
    """
    with _opened(store, options) as record:
        return read_recorded(record, PRESETS[options.consent_default]) if record else None


def erased_since(store: Store, options: RecordOptions, number: int) -> int:
    """How many customers were erased after the erasure of this number; 0 where there is no record.

    Raises:
        NextbestError: it can't be read.
    """
    with _opened(store, options) as record:
        if record is None:
            return 0
        with record.reading() as connection:
            return erasures_after(connection, number)


@contextmanager
def _opened(store: Store, options: RecordOptions) -> Iterator[Record | None]:
    if options.url is None and not (store.root / FILE).exists():
        yield None
        return
    key = load_erasure_key(store.root, os.environ.get(ERASURE_KEY))
    record = Record(record_url(store.root, options.url), key, lock_ms=LOCK_MS, statement_ms=STATEMENT_MS)
    try:
        yield record
    finally:
        record.close()
