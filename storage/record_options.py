"""What the commands about the record have in common: the store, where the record is, and with which key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from storage.record.consent import PRESETS
from storage.record.record import FILE, Record, expect_no_other_record, open_record
from storage.store_option import Command, store_option

LOCK_MS = 10_000
STATEMENT_MS = 600_000

url_option = click.option(
    "--url",
    envvar="NEXTBEST_RECORD_URL",
    help="Of the record.  [env: NEXTBEST_RECORD_URL; default: in the store]",
)
key_option = click.option("--erasure-key", envvar="NEXTBEST_ERASURE_KEY", hidden=True)

consent_option = click.option(
    "--consent-default",
    type=click.Choice(list(PRESETS)),
    default="all",
    envvar="NEXTBEST_CONSENT_DEFAULT",
    show_default=True,
    help="What is allowed by a customer who said nothing.  [env: NEXTBEST_CONSENT_DEFAULT]",
)


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """Where a record is, and its key.

    Attributes:
        store: the folder whose record it is.
        url: None: a file in the store. It may hold a password.
        erasure_key: None: that of a file in the store.
    """

    store: Path
    url: str | None = field(repr=False)
    erasure_key: str | None = field(repr=False)


def record_options(command: Command) -> Command:
    """`--store`, `--url` and the erasure key, which the command gets as one `place`."""

    @wraps(command)
    def with_place(*, store: Path, url: str | None, erasure_key: str | None, **others: Any) -> Any:
        return command(place=RecordPlace(store, url, erasure_key), **others)

    return store_option(url_option(key_option(with_place)))


@contextmanager
def opened_record(place: RecordPlace) -> Iterator[Record]:
    """The record that a command is about, for as long as it takes."""
    opened = open_record(
        place.store,
        place.url,
        place.erasure_key,
        lock_ms=LOCK_MS,
        statement_ms=STATEMENT_MS,
        is_watched=True,
    )
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def record_if_any(place: RecordPlace) -> Iterator[Record | None]:
    """The same; None where no URL is given and the store has no record.

    Raises:
        BadRecordUrlError: as `expect_no_other_record`.
    """
    if place.url is None and not (place.store / FILE).exists():
        expect_no_other_record(place.store)
        yield None
        return
    with opened_record(place) as record:
        yield record
