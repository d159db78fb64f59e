"""New champions, rollbacks and damaged versions under load: no failed request, versions in order."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from models.errors import DamagedVersionError
from storage.versions.store import CHAMPION, Champion, Pointer, Store, write_atomic
from tests.data.running_service import Running, running_service, until
from tests.data.tiny_version import AS_OF, TinyShop, new_store, publish, write_version
from tests.faults.client import Outcome, load


@dataclass
class Scene:
    store: Store
    running: Running

    @property
    def port(self) -> int:
        return self.running.port

    def version(self) -> str:
        return str(self.running.get("/health/ready").json()["version"])


@contextmanager
def scene(tmp_path: Path) -> Iterator[Scene]:
    store = new_store(tmp_path / "store")
    with running_service(store.root, tmp_path / "log", poll_s="0.05") as running:
        yield Scene(store, running)


@pytest.fixture
def found(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as found:
        yield found


def point_at(store: Store, version_id: str) -> None:
    """Make a version champion without looking at it, as a broken tool or a half copied store would."""
    old = store.champion()
    assert old
    pointer = Pointer(version_id=version_id, variant=old.current.variant, since=AS_OF, why="damaged")
    champion = Champion(sequence=old.sequence + 1, current=pointer, previous=[old.current, *old.previous])
    write_atomic(store.root / CHAMPION, champion.model_dump_json())


def swap(found: Scene, times: int) -> None:
    """Publish and roll back in turn under load; each change is seen before the next."""
    order = [found.version()]
    longest_s = 0.0
    with load(found.port, ["anna", "ben", "nobody"], clients=3, is_marked=False) as asked:
        until(lambda: all(asked.versions), 10)
        for number in range(1, times + 1):
            if number % 3 == 0:
                champion = found.store.rollback(now=AS_OF)
                order.append(champion.current.version_id)
            else:
                order.append(publish(found.store, now=AS_OF + timedelta(seconds=number)))
            longest_s = max(longest_s, until(lambda: all(v[-1] == order[-1] for v in asked.versions), 5))
            found.store.prune(keep=3, max_age=timedelta(days=9999), now=AS_OF)
        account = asked.stop()
    print(f"{times} swaps, {account.invoked} answers, slowest swap seen after {longest_s:.2f} s")
    assert account.outcomes == {Outcome.OK: account.invoked}
    assert asked.versions == [order] * 3


def test_swaps_and_rollbacks_are_seen_within_5_s_in_their_order_without_a_failed_request(
    found: Scene,
) -> None:
    swap(found, times=6)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_a_hundred_swaps_cost_no_request(found: Scene) -> None:
    swap(found, times=100)


def truncated(folder: Path) -> str:
    os.truncate(writable(folder / "similar/score.npy"), 140)
    return "similar/score.npy: 140 bytes instead of"


def flipped(folder: Path) -> str:
    path = writable(folder / "candidates/blend/product.npy")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return "candidates/blend/product.npy: content differs from its checksum"


def emptied(folder: Path) -> str:
    writable(folder / "manifest.json").write_text("")
    return "manifest.json: not a readable manifest"


def half_copied(folder: Path) -> str:
    shutil.rmtree(folder / "history")
    return "history/due_day.npy: missing"


def nan_in_manifest(folder: Path) -> str:
    path = writable(folder / "manifest.json")
    path.write_text(path.read_text().replace('"horizon_days": 7', '"horizon_days": NaN'))
    return "manifest.json: not a readable manifest"


def of_another_schema(folder: Path) -> str:
    path = writable(folder / "manifest.json")
    path.write_text(path.read_text().replace('"schema_version": 2', '"schema_version": 3'))
    return "manifest.json: schema 3, this nextbest reads 2"


def named_otherwise(folder: Path) -> str:
    path = writable(folder / "manifest.json")
    path.write_text(path.read_text().replace('"a test"', '"a lie"'))
    return "manifest.json: content differs from what its folder is named after"


def writable(path: Path) -> Path:
    path.chmod(0o644)
    return path


DAMAGES = [truncated, flipped, emptied, half_copied, nan_in_manifest, of_another_schema, named_otherwise]


def test_damaged_versions_are_refused_by_name_and_the_old_one_goes_on(found: Scene) -> None:
    good = found.version()
    with load(found.port, ["anna", "ben"], clients=2, is_marked=False) as asked:
        for number, damage in enumerate(DAMAGES):
            version_id = write_version(found.store, TinyShop(), now=AS_OF + timedelta(hours=number + 1))
            why = damage(found.store.versions / version_id)
            point_at(found.store, version_id)
            until(lambda why=why, it=version_id: refused(found, f"{it}/{why}"), 5)  # type: ignore[misc]
            assert found.version() == good
        point_at(found.store, "20180109T000000Z-00000000")
        until(lambda: refused(found, "versions/20180109T000000Z-00000000 is missing"), 5)
        write_atomic(found.store.root / CHAMPION, '{"sequence": ')
        until(lambda: refused(found, "champion.json: not a readable pointer"), 5)
        account = asked.stop()
    assert account.outcomes == {Outcome.OK: account.invoked}
    assert asked.versions == [[good]] * 2


def refused(found: Scene, why: str) -> bool:
    lines = [line for line in found.running.lines() if line["event"].startswith("version refused")]
    return any(why in line["why"] for line in lines)


def as_they_are(folder: Path) -> None:
    """Every file of a version as it was written: for its owner and everybody else to read only."""
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()}
    assert modes == {0o444}


def renamed_over(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[:-8] + b"\0" * 8)
    other.rename(path)


def test_a_file_renamed_over_or_unlinked_changes_nothing_for_who_serves_it(found: Scene) -> None:
    folder = found.store.versions / found.version()
    as_they_are(folder)
    before = found.running.get("/popular").json()["recommendations"]
    for change in (renamed_over, Path.unlink):
        for path in sorted(folder.rglob("*.npy")):
            change(path)
        with load(found.port, ["anna", "ben"], clients=2, most=200, is_marked=False) as asked:
            account = asked.wait()
        assert account.outcomes == {Outcome.OK: 400}
        assert found.running.get("/popular").json()["recommendations"] == before


def test_a_truncated_file_kills_the_worker_and_the_next_one_refuses_it(found: Scene) -> None:
    """What nobody can prevent on a mapped file: the page is gone. The version before answers afterwards."""
    first = found.version()
    second = publish(found.store, now=AS_OF + timedelta(days=1))
    until(lambda: found.version() == second, 5)
    for path in (found.store.versions / second).rglob("*.npy"):
        os.truncate(writable(path), 0)
    (worker,) = found.running.workers()
    with suppress(OSError):
        found.running.get("/recommend/anna")
    if worker.is_running() and worker.status() != "zombie":  # small files may be in memory already
        worker.kill()
    until(lambda: is_answered(found, first), 8)
    assert refused(found, f"{second}/")


def test_a_file_overwritten_in_place_is_found_at_the_next_look_at_the_version(tmp_path: Path) -> None:
    """It changes what is mapped, silently: mode 0444 is against that, and whoever opens it next sees it."""
    store = Store(tmp_path)
    folder = store.versions / publish(store)
    path = writable(folder / "popular/order.npy")
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\1\0\0\0")
    with pytest.raises(DamagedVersionError, match=r"popular/order.npy: content differs from its checksum"):
        store.open(folder.name)
    with pytest.raises(DamagedVersionError):
        store.promote(folder.name, now=AS_OF, why="again")


def is_answered(found: Scene, version: str) -> bool:
    try:
        return found.running.get("/recommend/anna").json().get("version") == version
    except OSError:
        return False
