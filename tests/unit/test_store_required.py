"""What a service reads of every version: the list of it is whole, and a new champion is checked by it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.arrays import AnyArray
from models.errors import DamagedVersionError, NoChampionError
from service.versions.served import ServedVersion
from storage.versions.manifest import Manifest
from storage.versions.required import ARRAYS
from storage.versions.store import Store
from storage.versions.version import MANIFEST, Version, seal_of
from tests.data.tiny_version import VARIANT, publish
from tests.data.versions import small_version

NOW = datetime(2018, 1, 1, 2, tzinfo=UTC)
LACKING = "popular/first_day"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_a_service_reads_of_a_version_what_is_required_and_starts_without_the_rest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    required = {*ARRAYS, f"candidates/{VARIANT}/product", f"candidates/{VARIANT}/evidence"}
    whole = store.open(publish(store))
    files = {file: entry for file, entry in whole.manifest.files.items() if file[:-4] in required}
    assert len(files) < len(whole.manifest.files)
    read, array = set(), Version.array

    def noted(version: Version, name: str) -> AnyArray:
        read.add(name)
        return array(version, name)

    monkeypatch.setattr(Version, "array", noted)
    ServedVersion(Version(whole.folder, whole.manifest.model_copy(update={"files": files})), VARIANT)
    assert read == required


def of_older_code(store: Store, day: int) -> str:
    """A version without an array that is required now; its id."""
    made = store.versions / small_version(store, NOW + timedelta(days=day), seed=day)
    (made / f"{LACKING}.npy").unlink()
    told = json.loads((made / MANIFEST).read_text()) | {"version_id": ""}
    del told["files"][f"{LACKING}.npy"]
    manifest = Manifest.model_validate(told)
    seal = seal_of(manifest.model_dump_json(indent=1).encode())
    name = f"{made.name[:-8]}{seal}"
    (made / MANIFEST).chmod(0o644)
    (made / MANIFEST).write_text(manifest.model_copy(update={"version_id": name}).model_dump_json(indent=1))
    made.rename(made.with_name(name))
    return name


def test_a_version_of_older_code_is_refused_by_name_and_the_champion_stays(store: Store) -> None:
    older = of_older_code(store, 0)
    newer = small_version(store, NOW + timedelta(days=1))
    before = store.promote(newer, now=NOW, why="a night")
    with pytest.raises(DamagedVersionError, match=rf"refused {older}/{LACKING}\.npy: not in the manifest"):
        store.promote(older, now=NOW, why="by hand")
    assert store.champion() == before
    shown = store.manifests(check_sizes=True)
    assert isinstance(shown[1], DamagedVersionError)
    assert shown[1].file == f"{older}/{LACKING}.npy"


def test_rolling_back_passes_over_a_version_of_older_code_and_says_so(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, last = small_version(store, NOW), small_version(store, NOW + timedelta(days=2), seed=2)
    older = of_older_code(store, 1)
    with monkeypatch.context() as by_older_code:
        by_older_code.setattr("storage.versions.store.check_answers", lambda version, variant: None)
        for name in (first, older, last):
            store.promote(name, now=NOW, why="a night")
    champion = store.rollback(now=NOW)
    assert champion.current.version_id == first
    assert champion.current.why.startswith(f"rolled back from {last}; refused {older}/{LACKING}.npy: not in")
    with pytest.raises(NoChampionError, match=r"no earlier champion is left to go back to$"):
        store.rollback(now=NOW)


def test_with_nothing_but_a_version_of_older_code_to_go_back_to_the_reason_is_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, last = of_older_code(store, 0), small_version(store, NOW + timedelta(days=1))
    with monkeypatch.context() as by_older_code:
        by_older_code.setattr("storage.versions.store.check_answers", lambda version, variant: None)
        for name in (older, last):
            store.promote(name, now=NOW, why="a night")
    with pytest.raises(NoChampionError, match=f"is left to go back to; refused {older}/{LACKING}"):
        store.rollback(now=NOW)
    assert store.require_champion().current.version_id == last
