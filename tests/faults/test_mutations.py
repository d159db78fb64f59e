"""No byte of a version can change without its being refused by name, and no sealed nonsense is served."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import DamagedVersionError
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from storage.versions.store import Store
from storage.versions.version import open_version
from storage.versions.writer import VersionWriter
from tests.data.tiny_version import AS_OF, TinyShop, publish, write_version


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = Store(tmp_path_factory.mktemp("mutations") / "store")
    store.root.mkdir()
    folder = store.versions / publish(store)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_refused_by_name(folder: Path, path: Path, damaged: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(damaged)
    try:
        with pytest.raises(DamagedVersionError) as refused:
            open_version(folder)
        assert refused.value.file == f"{folder.name}/{path.relative_to(folder)}"
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("place", [0.0, 0.01, 0.5, 0.99, 1.0])
def test_a_flipped_bit_in_any_region_of_any_file_is_refused_by_name(folder: Path, place: float) -> None:
    for path in files(folder):
        data = bytearray(path.read_bytes())
        data[round((len(data) - 1) * place)] ^= 4
        is_refused_by_name(folder, path, bytes(data))


@settings(max_examples=150)
@given(data=st.data())
def test_no_change_of_any_file_goes_unseen(folder: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(files(folder)))
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    stop = data.draw(st.integers(start, len(whole)))
    damaged = whole[:start] + data.draw(st.binary(max_size=20)) + whole[stop:]
    if damaged != whole:
        is_refused_by_name(folder, path, damaged)


def test_every_missing_file_is_refused_by_name(folder: Path) -> None:
    for path in files(folder):
        aside = path.rename(path.with_name("aside"))
        with pytest.raises(DamagedVersionError) as refused:
            open_version(folder)
        assert refused.value.file == f"{folder.name}/{path.relative_to(folder)}"
        aside.rename(path)


def beyond(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.full_like(array, 10_000)


def nan(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.full_like(array, np.nan)


def fewer(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return array[: len(array) // 10]


def none(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return array[:0]


def backwards(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return np.ascontiguousarray(array[::-1])


def other_letters(array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    return array ^ np.uint8(1)


NONSENSE = [
    ("similar/product", beyond),
    ("similar/score", nan),
    ("similar/score", none),
    ("popular/order", beyond),
    ("products/category_row", beyond),
    ("products/price", fewer),
    ("history/product", beyond),
    ("history/indptr", beyond),
    ("history/indptr", none),
    ("candidates/blend/product", beyond),
    ("candidates/blend/product", fewer),
    ("customers/hash", none),
    ("customers/hash", backwards),
    ("customers/offsets", beyond),
    ("customers/blob", other_letters),
    ("products/hash", beyond),
    ("products/offsets", beyond),
    ("products/title/offsets", beyond),
    ("categories/offsets", none),
]


@pytest.mark.parametrize(("name", "change"), NONSENSE)
def test_sealed_nonsense_is_refused_and_the_old_one_goes_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    change: Callable[[np.ndarray], np.ndarray],  # type: ignore[type-arg]
) -> None:
    """A night with a bug: every checksum is right, and the values are not."""
    store = Store(tmp_path / "store")
    store.root.mkdir()
    good = publish(store)
    metrics = Metrics(None)
    follower = ChampionFollower(store, metrics, poll_s=1)
    follower.look()
    add = VersionWriter.add
    monkeypatch.setattr(
        VersionWriter, "add", lambda self, key, array: add(self, key, change(array) if key == name else array)
    )
    bad = write_version(store, TinyShop(), now=AS_OF + timedelta(days=1))
    monkeypatch.undo()
    store.promote(bad, now=AS_OF, why="by a night with a bug")
    follower.look()
    assert follower.current is not None
    assert follower.current.served.version_id == good
    assert metrics.registry.get_sample_value("nextbest_versions_refused_total") == 1
    shutil.rmtree(store.root)
