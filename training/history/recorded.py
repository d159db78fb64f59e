"""The record that a night reads: where it is, and what it knows."""

import os
import tomllib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

import polars as pl

from storage.history.consents import consents_in
from storage.record.consent import PRESETS
from storage.record.erasure import erasures_after
from storage.record.errors import BadRecordUrlError
from storage.record.experiments import POPULAR, running
from storage.record.learning import Recorded, read_recorded
from storage.record.personal import allowing
from storage.record.record import FILE, Record, expect_no_other_record, record_url
from storage.record.schema import prepare
from storage.record.service_default import other_default
from storage.record.shop_consents import take_shop_consents
from storage.record_options import RecordPlace, record_if_any
from storage.versions.manifest import Manifest
from storage.versions.store import Store
from training.config import RecordOptions

ERASURE_KEY = "NEXTBEST_ERASURE_KEY"


def expect_record_of(champion: Manifest, store: Store, options: RecordOptions) -> None:
    """Refuse a night without a record after one that had one: it would learn from whoever said no.

    Raises:
        BadRecordUrlError: no URL is given, and the store has none.
    """
    is_told = options.url is not None or (store.root / FILE).exists()
    if champion.history.tombstone is not None and not is_told:
        raise BadRecordUrlError(
            "the version that answers was made with one, and this night is told of none: name it by "
            "NEXTBEST_RECORD_URL; if it is gone for good, --force goes on without its consents and erasures"
        )


def recorded_by(
    store: Store,
    options: RecordOptions,
    customers: pl.DataFrame | None,
    *,
    now: datetime,
    say: Callable[..., None],
) -> Recorded | None:
    """What the record knows; None if no URL is given and the store has none.

    What the shop's table tells of consents is put into the record first, which is made where it must be: so
    the day obeys it too, for customers of whom no version knows.

    Args:
        customers: the shop's table, if there is one.
        say: tells how many consents changed.
    Raises:
        NextbestError: it can't be read. Then there is no night: it would learn from customers who said no.
    """
    told, default = consents_in(customers), PRESETS[options.consent_default]
    if options.url is None:
        expect_no_other_record(store.root)
    if any(told.by_customer.values()) and options.url is None:
        prepare(record_url(store.root, None), upgrades=False)  # a service of its release may be writing to it
    with _opened(store, options) as record:
        if record is None:
            return None
        if told.by_customer:
            now_ms = int(now.timestamp() * 1000)
            changed = take_shop_consents(record, told.by_customer, default, now_ms=now_ms)
            say("consents of the shop's table", changed=changed, unreadable=told.unreadable)
        return replace(
            read_recorded(record, default),
            unreadable_consents=told.unreadable,
            default=options.consent_default,
            other_default=other_default(record, options.consent_default),
        )


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


def experiments_without_lists(store: Store, options: RecordOptions, served: Collection[str]) -> Iterator[str]:
    """A sentence for each experiment that runs with models of which this night publishes no lists.

    Args:
        served: variants whose lists it publishes.
    """
    with _opened(store, options) as record:
        if record is None:
            return
        with record.reading() as connection:
            entries = running(connection).experiments
    for entry in entries:
        arms = tomllib.loads(entry.content)["variants"]
        models = (
            model
            for arm in arms
            for model in (arm.get("model"), arm.get("interleave"), *arm.get("rivals", ()))
        )
        missing = [model for model in dict.fromkeys(models) if model and model not in (POPULAR, *served)]
        if missing:
            yield (
                f"The experiment {entry.experiment_id} needs lists of {', '.join(missing)}, and this night "
                "publishes none of them: its customers get the champion, and of a rival nothing is known. "
                "Name them in routed of [night]."
            )


def services_default(store: Store, options: RecordOptions) -> str:
    """What the service allows customers who said nothing, if that is another preset than these options'."""
    with _opened(store, options) as record:
        return other_default(record, options.consent_default) if record else ""


def may_be_listed(
    store: Store, options: RecordOptions, customer_ids: Sequence[str], known_erasures: int
) -> list[bool]:
    """For each customer of a version, whether a personal list may be written; all may without a record.

    Args:
        known_erasures: number of the latest erasure that the version knows.
    Raises:
        NextbestError: it can't be read.
    """
    default = PRESETS[options.consent_default]
    with _opened(store, options) as record:
        if record is None:
            return [default.personalise] * len(customer_ids)
        return allowing(record, customer_ids, ["personalise"], tombstone=known_erasures, default=default)


def _opened(store: Store, options: RecordOptions) -> AbstractContextManager[Record | None]:
    return record_if_any(RecordPlace(store.root, options.url, os.environ.get(ERASURE_KEY) or None))
