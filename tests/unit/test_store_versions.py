"""A version is read as it was written, or refused by the name of the file that is not."""

import errno
import io
import json
import os
import pickle
import resource
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from models.errors import DamagedVersionError, UnknownVersionError
from storage.versions import version as version_module
from storage.versions.manifest import Manifest
from storage.versions.store import Store
from storage.versions.version import Version, open_version
from storage.versions.writer import VersionWriter
from tests.data.versions import AS_OF, finish, small_version

NOW = datetime(2018, 1, 1, 2, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def folder(store: Store) -> Path:
    """A whole version's folder, whose files may be written."""
    folder = store.versions / small_version(store, NOW)
    for path in files_of(folder):
        path.chmod(0o644)
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refusal(folder: Path) -> DamagedVersionError:
    with pytest.raises(DamagedVersionError) as refused:
        open_version(folder)
    assert str(refused.value).startswith(f"refused {folder.name}/")
    return refused.value


def test_what_was_written_is_read(folder: Path) -> None:
    version = open_version(folder)
    assert version.array("popular/order").tolist() == [2, 0, 1]
    assert version.array("popular/order").dtype == np.int32
    assert version.array("empty").shape == (0, 3)
    assert {version.ids("customers").find(name) for name in ("ann", "bob")} == {0, 1}
    assert version.ids("customers").find("cleo") == -1
    assert version.state("blend").arrays["share"].tolist() == [0.5, 0.25]
    assert version.state("blend").facts == {"n_products": 2}
    assert (version.manifest.as_of, version.manifest.created_at) == (AS_OF, NOW)
    assert set(version.manifest.files) == {
        path.relative_to(folder).as_posix() for path in files_of(folder) if path.name != "manifest.json"
    }


def test_arrays_can_be_changed_neither_in_memory_nor_on_disk(store: Store) -> None:
    folder = store.versions / small_version(store, NOW)
    with pytest.raises(ValueError, match="read-only"):
        open_version(folder).array("popular/order")[0] = 1
    assert {stat.S_IMODE(path.stat().st_mode) for path in files_of(folder)} == {0o444}


def test_the_id_is_the_time_and_a_hash_of_the_content(store: Store) -> None:
    first = small_version(store, NOW)
    assert first.startswith("20180101T023000Z-")
    assert small_version(store, NOW) == first  # the same night again: nothing new, and nothing left aside
    other = small_version(store, NOW, seed=1)
    assert other[:16] == first[:16]
    assert other != first
    assert {path.name for path in store.versions.iterdir()} == {first, other}
    assert not (store.root / "tmp").exists()


def test_a_version_has_the_same_key_wherever_it_is_copied_to_and_another_has_another(
    store: Store, tmp_path: Path
) -> None:
    first, other = (store.versions / small_version(store, NOW, seed=seed) for seed in (0, 1))
    copy = tmp_path / "copy" / first.name
    shutil.copytree(first, copy)
    assert open_version(copy).key() == open_version(first).key() != open_version(other).key()


def test_a_nextbest_whose_manifest_has_one_more_field_has_the_same_key_of_an_older_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While machines are brought to a new release one by one, they read what the others put into Redis."""

    class Later(Manifest):
        more: int | None = None

    key = open_version(folder).key()
    monkeypatch.setattr(version_module, "Manifest", Later)
    assert open_version(folder).key() == key


def test_a_version_that_is_deleted_after_it_was_opened_has_no_key(folder: Path) -> None:
    version = open_version(folder)
    shutil.rmtree(folder)
    with pytest.raises(DamagedVersionError, match=r"manifest\.json"):
        version.key()


def test_nothing_is_seen_before_it_is_finished(store: Store) -> None:
    with store.night_lock(NOW):
        writer = store.writer()
        writer.add("popular/order", np.arange(3))
        assert not store.versions.exists()
        assert store.manifests() == []
        finish(writer, store.versions, now=NOW)
        assert len(store.manifests()) == 1


@pytest.mark.parametrize("cuts", [[5], [0, 2, 0, 3], [1] * 5])
@pytest.mark.parametrize("kind", [np.int32, np.float16])
def test_an_array_written_in_blocks_has_the_bytes_of_one_written_at_once(
    cuts: list[int], kind: type[np.generic], tmp_path: Path
) -> None:
    whole = np.arange(15).reshape(5, 3).astype(kind)
    writer = VersionWriter(tmp_path)
    writer.add("at_once", whole)
    with writer.adding("in_blocks", whole.shape, kind) as array:
        for block in np.split(whole, np.cumsum(cuts)[:-1]):
            array.append(block)
    assert (tmp_path / "in_blocks.npy").read_bytes() == (tmp_path / "at_once.npy").read_bytes()


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (np.zeros((1, 3), np.int32), "has 1 of 2 rows"),
        (np.zeros((3, 3), np.int32), "has 3 of 2 rows"),
        (np.zeros((2, 3), np.int64), "no part of"),
        (np.zeros((2, 2), np.int32), "no part of"),
    ],
)
def test_blocks_that_do_not_make_up_the_array_are_refused(
    block: np.ndarray, why: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=why), VersionWriter(tmp_path).adding("a", (2, 3), np.int32) as array:
        array.append(block)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_told_with_the_file_also_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.npy").symlink_to("/dev/full")
    with (
        pytest.raises(OSError, match=r"a\.npy can't be written whole; is the disk full"),
        VersionWriter(tmp_path).adding("a", (2, 3), np.int32) as array,
    ):
        array.append(np.zeros((2, 3), np.int32))


def test_bytes_all_over_every_file_are_looked_at(folder: Path) -> None:
    for path in files_of(folder):
        whole = path.read_bytes()
        name = f"{folder.name}/{path.relative_to(folder).as_posix()}"
        for place in {*range(0, len(whole), 11), *range(max(len(whole) - 16, 0), len(whole))}:
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x01]) + whole[place + 1 :])
            assert refusal(folder).file == name, place
        path.write_bytes(whole)
    open_version(folder)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("harm", [cut, lengthen, empty, halve, zero, Path.unlink, make_a_folder])
def test_a_harmed_file_is_refused_by_its_name(folder: Path, harm: Callable[[Path], None]) -> None:
    for path in files_of(folder):
        mode_and_content = path.read_bytes()
        harmed = path.read_bytes() != b""
        if not harmed and harm in (cut, empty, halve, zero):
            continue  # nothing to take from
        harm(path)
        assert refusal(folder).file == f"{folder.name}/{path.relative_to(folder).as_posix()}"
        if path.is_dir():
            path.rmdir()
        path.write_bytes(mode_and_content)


def test_a_machine_that_lets_no_more_files_be_open_is_named_and_not_the_file(folder: Path) -> None:
    version = open_version(folder, verify=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_now = max(int(file.name) for file in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now, hard))
    held = []
    try:
        with suppress(OSError):
            while True:
                held.append(os.dup(0))
        with pytest.raises(DamagedVersionError, match="can't be opened: Too many open files"):
            version.array("popular/order")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)


def test_a_disk_that_fails_is_told_with_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = version_module.hashlib.file_digest

    def failing(file: io.BufferedReader, kind: str) -> object:
        if file.name.endswith("order.npy"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return whole(file, kind)

    monkeypatch.setattr(version_module.hashlib, "file_digest", failing)
    found = refusal(folder)
    assert (found.file, found.why) == (
        f"{folder.name}/popular/order.npy",
        "can't be opened: Input/output error",
    )


def test_a_manifest_that_can_not_be_opened_says_why(folder: Path) -> None:
    make_a_folder(folder / "manifest.json")
    assert refusal(folder).why == "can't be opened: Is a directory"


def test_swapped_files_of_one_size_are_refused(folder: Path) -> None:
    one, other = folder / "variants/blend/share.npy", folder / "popular/order.npy"
    content = other.read_bytes()
    shutil.copy(folder / "customers/hash.npy", other)
    assert refusal(folder).file.endswith("popular/order.npy")
    other.write_bytes(content)
    one.write_bytes(content)
    assert refusal(folder).file.endswith("variants/blend/share.npy")


def test_without_verifying_sizes_are_still_compared(folder: Path) -> None:
    path = folder / "popular/order.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x07")
    open_version(folder, verify=False)
    path.write_bytes(whole[:-1])
    with pytest.raises(DamagedVersionError, match="139 bytes instead of 140"):
        open_version(folder, verify=False)


def rewrite(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}, indent=1))


@pytest.mark.parametrize("schema", [0, 1, 99])
def test_another_schema_is_refused_with_both_numbers(folder: Path, schema: int) -> None:
    rewrite(folder, schema_version=schema)
    assert refusal(folder).why == f"schema {schema}, this nextbest reads 2"


@pytest.mark.parametrize(
    "changes", [{"default_variant": "popular"}, {"horizon_days": 8}, {"files": {}}, {"version_id": "other"}]
)
def test_a_manifest_that_reads_well_but_was_changed_is_refused(
    folder: Path, changes: dict[str, object]
) -> None:
    rewrite(folder, **changes)
    assert refusal(folder).file == f"{folder.name}/manifest.json"


def test_a_manifest_with_a_field_that_nobody_knows_is_refused(folder: Path) -> None:
    rewrite(folder, surprise=1)
    assert refusal(folder).why == "not a readable manifest"


def test_a_version_under_another_s_name_is_refused(folder: Path) -> None:
    copy = folder.with_name("20180202T023000Z-" + folder.name[-8:])
    shutil.copytree(folder, copy)
    assert refusal(copy).file == f"{copy.name}/manifest.json"


def test_a_version_under_a_name_that_was_made_to_fit_is_refused(folder: Path) -> None:
    seal = sha256((folder / "manifest.json").read_bytes()).hexdigest()[:8]
    copy = folder.with_name(f"20990101T000000Z-{seal}")
    shutil.copytree(folder, copy)
    assert refusal(copy).why == "content differs from what its folder is named after"


class Trap:
    """Unpickling it makes a folder: a sign that code ran."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.sign),)


def object_array(trap: Trap) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([trap, None], dtype=object), allow_pickle=True)
    return file.getvalue()


def archive(trap: Trap) -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.array([trap], dtype=object))
    return file.getvalue()


@pytest.mark.parametrize("plant", [object_array, pickle.dumps, archive])
def test_a_planted_pickle_is_never_run(store: Store, tmp_path: Path, plant: Callable[[Trap], bytes]) -> None:
    """Also where the manifest vouches for it."""
    sign = tmp_path / "code ran"
    with store.night_lock(NOW):
        writer = store.writer()
        writer.path("popular/order.npy").write_bytes(plant(Trap(sign)))
        folder = store.versions / finish(writer, store.versions, now=NOW).version_id
    version = open_version(folder)
    with pytest.raises(DamagedVersionError, match=r"popular/order\.npy: not (a readable|an) array"):
        version.array("popular/order")
    assert not sign.exists()


def test_the_trap_does_work(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Trap(tmp_path / "code ran")))  # noqa: S301 - that is the trap
    assert (tmp_path / "code ran").exists()


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        VersionWriter(tmp_path).add("popular/order", np.array([{}], dtype=object))


def test_an_array_that_the_manifest_does_not_know_is_refused(folder: Path) -> None:
    version = open_version(folder)
    for name in ("popular/score", "../../outside", "notes.txt"):
        with pytest.raises(DamagedVersionError, match="not in the manifest"):
            version.array(name)


@pytest.mark.parametrize(
    "trick", ["../x", "..", ".", "", "/", "a/b", "20180101T000000Z-0000000", "x\0y", "*"]
)
def test_what_is_no_version_s_name_is_unknown_wherever_it_leads(store: Store, trick: str) -> None:
    name = small_version(store, NOW)
    shutil.copytree(store.versions / name, store.root / "x")
    for wanted in (trick, f"../versions/{name}", f"./{name}", f"{name}/"):
        with pytest.raises(UnknownVersionError):
            store.open(wanted)
        with pytest.raises(UnknownVersionError):
            store.promote(wanted, now=NOW, why="")
    assert isinstance(store.open(name), Version)


def test_a_version_that_is_not_there_is_unknown(store: Store) -> None:
    with pytest.raises(UnknownVersionError, match="no version 20180101T000000Z-00000000 in this store"):
        store.open("20180101T000000Z-00000000")
