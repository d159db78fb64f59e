"""The champion pointer: who becomes it, who comes back, and which versions never go."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.errors import DamagedVersionError, NoChampionError, UnknownVersionError
from storage.versions.manifest import Manifest
from storage.versions.store import CHAMPION, KEPT_POINTERS, Champion, Pointer, Store, write_atomic
from storage.versions.version import Version
from tests.data.versions import small_version

ROOT = Path(__file__).parents[2]
NOW = datetime(2018, 1, 1, 2, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def nights(store: Store, n: int, *, promoted: bool = True) -> list[str]:
    """One version a day, oldest first, each the champion after it."""
    ids = []
    for day in range(n):
        now = NOW + timedelta(days=day)
        ids.append(small_version(store, now, seed=day))
        if promoted:
            store.promote(ids[-1], now=now, why=f"night {day}")
    return ids


def current(store: Store) -> str:
    champion = store.champion()
    assert champion is not None
    return champion.current.version_id


def left(store: Store) -> list[str]:
    return sorted(path.name for path in store.versions.iterdir())


def damage(store: Store, version_id: str) -> None:
    path = store.versions / version_id / "popular/order.npy"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"\x07")


def test_what_is_replaced_is_in_utf_8_whatever_the_machine_speaks(tmp_path: Path) -> None:
    write = "import sys, pathlib; from storage.versions.store import write_atomic; "
    write += "write_atomic(pathlib.Path(sys.argv[1]), 'k\\xe4se')"
    old_days = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", write, tmp_path / "file"], cwd=ROOT, env=old_days, check=True)
    assert (tmp_path / "file").read_bytes() == "käse".encode()


def test_a_store_begins_without_a_champion(store: Store) -> None:
    assert store.champion() is None
    store.root.mkdir()
    with pytest.raises(NoChampionError, match="no champion yet"):
        store.rollback(now=NOW)


def test_promoting_writes_who_when_and_why(store: Store) -> None:
    (name,) = nights(store, 1)
    champion = store.champion()
    assert champion is not None
    assert (champion.sequence, champion.previous) == (1, [])
    pointer = champion.current
    assert (pointer.version_id, pointer.variant, pointer.since, pointer.why) == (
        name,
        "blend",
        NOW,
        "night 0",
    )


def test_what_can_not_serve_is_not_promoted_and_the_champion_stays(store: Store) -> None:
    (first,) = nights(store, 1)
    second = small_version(store, NOW + timedelta(days=1), seed=5)
    before = (store.root / CHAMPION).read_bytes()
    with pytest.raises(UnknownVersionError):
        store.promote("20190101T000000Z-00000000", now=NOW, why="")
    damage(store, second)
    with pytest.raises(DamagedVersionError, match=r"popular/order\.npy"):
        store.promote(second, now=NOW, why="")
    assert (store.root / CHAMPION).read_bytes() == before
    assert current(store) == first


def test_rolling_back_goes_further_each_time_and_the_sequence_grows(store: Store) -> None:
    ids = nights(store, 4)
    sequences = [4]
    for place, wanted in reversed(list(enumerate(ids[:3]))):
        champion = store.rollback(now=NOW + YEAR)
        assert [pointer.version_id for pointer in champion.previous] == ids[:place][::-1]
        assert champion == store.champion()
        assert champion.current.version_id == wanted
        assert champion.current.since == NOW + YEAR
        sequences.append(champion.sequence)
    assert sequences == [4, 5, 6, 7]
    with pytest.raises(NoChampionError, match="no earlier champion is left"):
        store.rollback(now=NOW)
    assert current(store) == ids[0]


def test_a_new_champion_after_a_rollback_can_be_rolled_back_too(store: Store) -> None:
    first, second = nights(store, 2)
    store.rollback(now=NOW)
    third = small_version(store, NOW + timedelta(days=9), seed=9)
    assert store.promote(third, now=NOW, why="").sequence == 4
    assert store.rollback(now=NOW).current.version_id == first
    assert (store.versions / second).exists()


def test_rolling_back_passes_over_what_is_damaged_or_gone(store: Store) -> None:
    ids = nights(store, 4)
    damage(store, ids[2])
    store.prune(keep=1, max_age=YEAR, now=NOW)  # leaves the last two champions, 3 and 2
    assert left(store) == ids[2:]
    with pytest.raises(NoChampionError):
        store.rollback(now=NOW)
    assert current(store) == ids[3]


def test_rolling_back_never_stays_where_it_is(store: Store) -> None:
    first, second = nights(store, 2)
    store.promote(second, now=NOW, why="again")
    assert store.rollback(now=NOW).current.version_id == first


def test_earlier_pointers_are_kept_up_to_a_number(store: Store) -> None:
    (name,) = nights(store, 1)
    for _ in range(KEPT_POINTERS + 5):
        champion = store.promote(name, now=NOW, why="")
    assert len(champion.previous) == KEPT_POINTERS
    assert champion.sequence == KEPT_POINTERS + 6


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may grow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_a_killed_night_left_is_cleared_away_before_anything_is_written(store: Store) -> None:
    (store.root / "tmp" / "half").mkdir(parents=True)
    with pytest.raises(OSError), full_disk(), store.night_lock(NOW):
        pass
    assert not (store.root / "tmp").exists()


def test_a_pointer_that_a_disk_has_no_room_for_is_named(store: Store) -> None:
    (name,) = nights(store, 1)
    with pytest.raises(OSError, match=r"/champion\.json"), full_disk():
        store.promote(name, now=NOW, why="")


def test_a_pointer_that_can_not_be_opened_says_why(store: Store) -> None:
    (store.root / CHAMPION).mkdir(parents=True)
    with pytest.raises(DamagedVersionError, match=r"champion\.json: can't be opened: Is a directory"):
        store.champion()


def test_a_pointer_that_can_not_be_read_is_said_and_mended_by_promoting(store: Store) -> None:
    (name,) = nights(store, 1)
    whole = (store.root / CHAMPION).read_bytes()
    for text in (b"", b"{", whole[:-20], b'{"sequence": "x"}', b"\xff\xfe"):
        (store.root / CHAMPION).write_bytes(text)
        with pytest.raises(DamagedVersionError, match=r"champion\.json: not a readable pointer"):
            store.champion()
        with pytest.raises(DamagedVersionError):
            store.rollback(now=NOW)
        assert store.prune(keep=1, max_age=timedelta(0), now=NOW + YEAR) == []
        store.promote(name, now=NOW, why="mended")
        assert current(store) == name


def test_the_newest_are_kept_and_the_rest_goes(store: Store) -> None:
    ids = nights(store, 6)
    assert store.prune(keep=3, max_age=YEAR, now=NOW + timedelta(days=6)) == ids[2::-1]
    assert left(store) == ids[3:]


def test_what_is_too_old_goes_to_the_second(store: Store) -> None:
    ids = nights(store, 6)
    two_days = timedelta(days=2)
    noon = NOW + timedelta(days=4)
    assert store.prune(keep=9, max_age=two_days, now=noon) == ids[1::-1]  # the third is just two days old
    assert store.prune(keep=9, max_age=two_days, now=noon + timedelta(seconds=1)) == [ids[2]]


def test_a_version_that_a_night_deletes_while_it_is_promoted_does_not_become_champion(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_, last = nights(store, 3)
    whole = Store.open

    def opened_and_deleted(self: Store, version_id: str) -> Version:
        found = whole(self, version_id)
        store.prune(keep=1, max_age=YEAR, now=NOW)
        return found

    monkeypatch.setattr(Store, "open", opened_and_deleted)
    with pytest.raises(UnknownVersionError):
        store.promote(first, now=NOW, why="back to it")
    assert current(store) == last


def test_nothing_is_deleted_while_the_champion_changes(store: Store) -> None:
    first, *_ = nights(store, 3)
    with ThreadPoolExecutor() as pool, store._pointer_lock():
        deleted = pool.submit(store.prune, keep=1, max_age=YEAR, now=NOW)
        with pytest.raises(TimeoutError):
            deleted.result(timeout=0.2)
        store._write(Champion(sequence=9, current=Pointer(version_id=first, variant="x", since=NOW, why="")))
    assert first in left(store)


@pytest.mark.parametrize("options", [{"keep": 1, "max_age": YEAR}, {"keep": 99, "max_age": timedelta(0)}])
def test_the_last_two_champions_never_go(store: Store, options: dict[str, object]) -> None:
    ids = nights(store, 4)
    store.rollback(now=NOW)  # champions are now 2 and before it 1
    store.rollback(now=NOW)  # 1 and 0
    store.promote(ids[0], now=NOW, why="")
    store.promote(ids[0], now=NOW, why="")  # twice: 0, 0, 1
    store.prune(now=NOW + 2 * YEAR, **options)  # type: ignore[arg-type]
    assert {ids[0], ids[1]} <= set(left(store))
    assert store.rollback(now=NOW).current.version_id == ids[1]


def test_of_earlier_champions_the_newest_that_is_there_stays(store: Store) -> None:
    ids = nights(store, 4)
    (store.versions / ids[2]).rename(store.root / "taken away")
    store.prune(keep=1, max_age=YEAR, now=NOW)
    assert left(store) == [ids[1], ids[3]]


def test_without_a_champion_pruning_goes_by_count_and_age_alone(store: Store) -> None:
    ids = nights(store, 3, promoted=False)
    assert store.prune(keep=2, max_age=YEAR, now=NOW) == ids[:1]
    assert store.prune(keep=2, max_age=timedelta(0), now=NOW + YEAR) == ids[:0:-1]


def test_what_is_not_a_version_is_neither_listed_nor_deleted(store: Store) -> None:
    (name,) = nights(store, 1)
    (store.versions / "foo").mkdir()
    (store.versions / "README").write_text("of the shop")
    (store.versions / "20180101T020000Z-nothexad").mkdir()
    assert [m.version_id for m in store.manifests() if isinstance(m, Manifest)] == [name]
    assert len(store.manifests()) == 1
    store.prune(keep=1, max_age=timedelta(0), now=NOW + YEAR)
    assert left(store) == sorted(["foo", "README", "20180101T020000Z-nothexad", name])


def test_a_damaged_version_is_listed_in_its_place_and_pruned_as_others(store: Store) -> None:
    ids = nights(store, 3)
    empty = store.versions / "99999999T999999Z-00000000"  # no date at all
    empty.mkdir()
    newest, *others = store.manifests()
    assert isinstance(newest, DamagedVersionError)
    assert newest.file == f"{empty.name}/manifest.json"
    assert [m.version_id for m in others if isinstance(m, Manifest)] == ids[::-1]
    assert store.prune(keep=1, max_age=YEAR, now=NOW) == [ids[0]]


def test_a_write_that_fails_leaves_the_old_text_and_nothing_else(tmp_path: Path) -> None:
    write_atomic(tmp_path / "file", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomic(tmp_path / "file", "n\ud800w")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]
