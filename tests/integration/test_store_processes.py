"""The store among several processes: one night at a time, whatever kills it; no reader sees half a file."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import NightRunningError
from storage.versions.store import CHAMPION, Store
from tests.data.versions import small_version

NOW = datetime(2018, 1, 1, 2, tzinfo=UTC)

HOLDER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from storage.versions.store import Store
store = Store(Path(sys.argv[1]))
with store.night_lock(datetime(2018, 1, 1, 2, 3, 4, tzinfo=UTC)):
    writer = store.writer()
    writer.add("popular/order", np.arange(1000))
    print("held", flush=True)
    time.sleep(60)
"""

READER = """
import sys
from pathlib import Path
from storage.versions.store import Store
store, seen, sequence = Store(Path(sys.argv[1])), set(), 0
print("reading", flush=True)
while sequence < int(sys.argv[2]):
    champion = store.champion()  # raises on a part of a file
    assert champion.sequence >= sequence, (champion.sequence, sequence)
    sequence = champion.sequence
    seen.add(sequence)
print(len(seen))
"""

PROMOTER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from storage.versions.store import Store
store = Store(Path(sys.argv[1]))
for _ in range(int(sys.argv[3])):
    store.promote(sys.argv[2], now=datetime(2018, 1, 1, tzinfo=UTC), why="one of two")
"""


@contextmanager
def python(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line == word, process.stderr.read() if process.stderr else line


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def held(store: Store) -> None:
    with store.night_lock(NOW):
        pass


def test_a_second_night_is_told_who_holds_the_store(store: Store) -> None:
    with python(HOLDER, store.root) as holder:
        said(holder, "held")
        with pytest.raises(NightRunningError) as refused:
            held(store)
        assert str(refused.value) == (
            f"another night is at work on {store.root} "
            f"(process {holder.pid} since 2018-01-01 02:03:04 UTC); this one did nothing"
        )
        assert len(list((store.root / "tmp").iterdir())) == 1  # nor did it touch the other's work


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_night_frees_the_store_and_the_next_one_clears_up(store: Store, death: int) -> None:
    version = small_version(store, NOW)
    store.promote(version, now=NOW, why="before")
    before = (store.root / CHAMPION).read_bytes()
    with python(HOLDER, store.root) as holder:
        said(holder, "held")
        os.kill(holder.pid, death)
        holder.wait(30)
        assert (store.root / CHAMPION).read_bytes() == before
        assert [path.name for path in store.versions.iterdir()] == [version]
        assert len(list((store.root / "tmp").iterdir())) == 1
        with store.night_lock(NOW):
            assert not (store.root / "tmp").exists()
            assert f"process {os.getpid()} " in (store.root / "night.lock").read_text()


def test_the_lock_is_free_after_a_night_that_failed(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.night_lock(NOW):
        raise ZeroDivisionError
    held(store)


def test_the_lock_is_not_handed_on_to_what_the_night_starts(store: Store) -> None:
    with store.night_lock(NOW):
        child = subprocess.Popen([sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"])
    try:
        held(store)
    finally:
        child.kill()
        child.wait()


def test_a_reader_sees_each_pointer_whole_and_never_an_older_one(store: Store) -> None:
    version = small_version(store, NOW)
    store.promote(version, now=NOW, why="first")
    with python(READER, store.root, 301) as reader:
        said(reader, "reading")
        for number in range(300):
            store.promote(version, now=NOW, why="x" * (number % 7 * 50))
        out, err = reader.communicate(timeout=30)
        assert reader.returncode == 0, err
        assert int(out) > 10  # it did read in between


def test_two_who_promote_at_once_lose_none_of_each_other_s(store: Store) -> None:
    version = small_version(store, NOW)
    with python(PROMOTER, store.root, version, 40) as one, python(PROMOTER, store.root, version, 40) as other:
        assert (one.wait(30), other.wait(30)) == (0, 0)
    champion = store.champion()
    assert champion is not None
    assert champion.sequence == 80


def test_a_version_that_goes_stays_readable_for_who_has_it_open(store: Store) -> None:
    old = small_version(store, NOW)
    array = store.open(old).array("popular/order")
    small_version(store, NOW + timedelta(hours=1), seed=1)
    assert store.prune(keep=1, max_age=timedelta(days=365), now=NOW) == [old]
    assert array.tolist() == [2, 0, 1]
