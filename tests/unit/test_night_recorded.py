"""What a night asks the record for, by itself: who may be listed, and which lists experiments need."""

from pathlib import Path

import pytest

from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.experiments import NewExperiment, start_experiment
from storage.versions.store import Store
from tests.data.records import NOON_MS, SECRET, empty_record, sqlite_url
from training.config import RecordOptions
from training.history.recorded import (
    ERASURE_KEY,
    erased_since,
    experiments_without_lists,
    may_be_listed,
    services_default,
)

NOTHING = RecordOptions(consent_default="nothing")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv(ERASURE_KEY, SECRET)
    return Store(tmp_path)


def test_without_a_record_the_default_says_who_may_be_listed(store: Store) -> None:
    assert may_be_listed(store, RecordOptions(), ["anna", "ben"], 0) == [True, True]
    assert may_be_listed(store, NOTHING, ["anna", "ben"], 0) == [False, False]
    assert erased_since(store, NOTHING, 0) == 0
    assert services_default(store, NOTHING) == ""
    assert list(experiments_without_lists(store, NOTHING, [])) == []


def test_who_said_something_or_was_erased_is_listed_by_that(store: Store) -> None:
    with empty_record(sqlite_url(store.root)) as record:
        with record.writing() as connection:
            set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS, client="")
            set_consent(connection, "ben", PRESETS["nothing"], now_ms=NOON_MS, client="")
        erase(record, "cleo", now_ms=NOON_MS, client="")
        names = ["anna", "ben", "cleo", "dora"]
        assert may_be_listed(store, RecordOptions(), names, 0) == [True, False, False, True]
        assert may_be_listed(store, NOTHING, names, 0) == [True, False, False, False]
        assert [erased_since(store, NOTHING, number) for number in (0, 1)] == [1, 0]


def test_an_empty_erasure_key_is_as_if_it_were_not_there(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the service takes it; lines of cron may have it from the same file."""
    monkeypatch.setenv(ERASURE_KEY, "")
    with empty_record(sqlite_url(store.root)):
        assert may_be_listed(store, RecordOptions(), ["anna"], 0) == [True]


def test_lists_of_models_that_are_interleaved_or_rivals_are_needed_too(store: Store) -> None:
    arms = (
        '[[variants]]\nmodel = "popular"\n'
        '[[variants]]\nmodel = "als"\ninterleave = "ease"\n'
        '[[variants]]\nmodel = "als"\nrivals = ["repeat", "blend"]\n'
    )
    with empty_record(sqlite_url(store.root)) as record:
        with record.writing() as connection:
            new = NewExperiment("runs", 1, arms, "hash", "recommend", 0.2)
            start_experiment(connection, new, now_ms=0, client="")
        (told,) = experiments_without_lists(store, RecordOptions(), ["blend"])
        assert told.startswith("The experiment runs needs lists of als, ease, repeat, and this night ")
        assert (
            list(experiments_without_lists(store, RecordOptions(), ["als", "ease", "repeat", "blend"])) == []
        )
