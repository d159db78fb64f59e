"""One night's folder: arrays and JSON with checksums, written aside, renamed into place, never changed."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from models.arrays import AnyArray
from models.errors import DamagedVersionError, UnknownVersionError
from models.state import ModelState
from storage.manifest import SCHEMA_VERSION, FileEntry, GateEntry, HistoryEntry, Manifest, VariantEntry
from storage.signing import SIGNATURE, Signer, Signers
from storage.strings import IdIndex, StringTable, hash_of, is_rising

MANIFEST = "manifest.json"
SAMPLE = 1000  # ids whose hashes are looked at; all of a million would take a second


class Version:
    """A published folder, opened. Arrays are mapped read-only: all workers of a machine share their pages."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def version_id(self) -> str:
        return self.manifest.version_id

    def key(self) -> bytes:
        """32 bytes that only who can read the version knows: the same wherever a copy of it is, whichever
        release reads it.

        Raises:
            DamagedVersionError: the manifest can't be read any more.
        """
        try:
            return hashlib.sha256((self.folder / MANIFEST).read_bytes()).digest()
        except OSError as err:
            raise DamagedVersionError(f"{self.version_id}/{MANIFEST}", "not a readable manifest") from err

    def has(self, name: str) -> bool:
        """Whether it has an array of this name."""
        return f"{name}.npy" in self.manifest.files

    def array(self, name: str) -> AnyArray:
        """The array of this name, mapped.

        Raises:
            DamagedVersionError: it isn't there, can't be opened, or isn't an array.
        """
        file = f"{name}.npy"
        if file not in self.manifest.files:
            raise self.damaged(name, "not in the manifest")
        try:
            empty = self.manifest.files[file].size_bytes <= 128  # numpy can't map an array without bytes
            mapped = np.load(self.folder / file, mmap_mode=None if empty else "r", allow_pickle=False)
        except OSError as err:  # of the machine: too many open files, rights
            raise self.damaged(name, f"can't be opened: {err.strerror or err}") from err
        except (ValueError, EOFError) as err:
            raise self.damaged(name, "not a readable array") from err
        if not isinstance(mapped, np.ndarray):  # numpy opens archives too
            raise self.damaged(name, "not an array")
        return np.asarray(mapped)  # a view without memmap's own indexing, which is many times slower

    def array_of(
        self, name: str, kind: type[np.generic], shape: int | tuple[int, ...] | None = None
    ) -> AnyArray:
        """The array of this name, mapped, of this type.

        Args:
            shape: the whole of it, or how many rows; None: any.
        Raises:
            DamagedVersionError: it isn't there, or another.
        """
        array = self.array(name)
        found = array.shape if isinstance(shape, tuple) else array.shape[0] if array.shape else None
        if array.dtype != kind or (shape is not None and found != shape):
            raise self.damaged(name, f"{array.dtype} of shape {array.shape} does not fit the others")
        return array

    def damaged(self, name: str, why: str) -> DamagedVersionError:
        """What is wrong with the array of this name."""
        return DamagedVersionError(f"{self.version_id}/{name}.npy", why)

    def strings(self, name: str) -> StringTable:
        """The strings of this name.

        Raises:
            DamagedVersionError: they are none.
        """
        offsets, blob = self.array(f"{name}/offsets"), self.array(f"{name}/blob")
        if not (is_rising(offsets) and offsets[0] == 0 and offsets[-1] == len(blob)):
            raise self.damaged(f"{name}/offsets", "not from 0 to the end")
        return StringTable(offsets, blob)

    def ids(self, name: str) -> IdIndex:
        """The ids of this name.

        Raises:
            DamagedVersionError: they can't be found by their hashes.
        """
        found = IdIndex(self.array(f"{name}/hash"), self.strings(name))
        some = range(0, len(found), max(1, len(found) // SAMPLE))
        fits = len(found.table) == len(found) and (not len(found) or is_rising(found.hashes))
        try:
            fits = fits and all(hash_of(found[row]) == found.hashes[row] for row in some)
        except UnicodeDecodeError:
            fits = False
        if not fits:
            raise self.damaged(f"{name}/hash", "not the hashes of these ids")
        return found

    def state(self, variant: str) -> ModelState:
        """The fitted state of a variant, for `Model.from_state`."""
        entry = self.manifest.variants[variant]
        arrays = {name: self.array(f"variants/{variant}/{name}") for name in entry.arrays}
        return ModelState(arrays, entry.facts)


class ArrayFile:
    """An array that is written a block of rows after the other, to the same bytes as all at once."""

    def __init__(self, path: Path, file: FileIO, shape: tuple[int, ...], kind: DTypeLike) -> None:
        self._path, self._file, self._shape, self._dtype = path, file, shape, np.dtype(kind)
        self._n_rows = 0
        description = np.lib.format.dtype_to_descr(self._dtype)
        with _told_where(path):
            np.lib.format.write_array_header_1_0(
                file, {"descr": description, "fortran_order": False, "shape": shape}
            )

    def append(self, block: AnyArray) -> None:
        """Write the rows that follow.

        Raises:
            ValueError: they are not of the array's kind and width.
            OSError: they can't be written whole.
        """
        if block.dtype != self._dtype or block.shape[1:] != self._shape[1:]:
            raise ValueError(f"{block.dtype} of shape {block.shape} is no part of {self._path.name}")
        with _told_where(self._path):
            left = memoryview(np.ascontiguousarray(block).reshape(-1).view(np.uint8))
            while left:
                left = left[self._file.write(left) :]
        self._n_rows += len(block)

    def check_whole(self) -> None:
        """Raises: ValueError, where there are more or fewer rows than were said."""
        if self._n_rows != self._shape[0]:
            raise ValueError(f"{self._path.name} has {self._n_rows} of {self._shape[0]} rows")


class VersionWriter:
    """A version in the making. Nothing of it can be seen under `versions/` before `finish`."""

    def __init__(self, folder: Path, signer: Signer | None = None) -> None:
        self.folder, self._signer = folder, signer
        self.variants: dict[str, VariantEntry] = {}

    def path(self, file: str) -> Path:
        """Where to write a file that isn't an array; every file of the folder gets into the manifest."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def add(self, name: str, array: AnyArray) -> None:
        path = self.path(f"{name}.npy")
        with _told_where(path), path.open("wb") as file:
            np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)

    @contextmanager
    def adding(self, name: str, shape: tuple[int, ...], kind: DTypeLike) -> Iterator[ArrayFile]:
        """An array too large to be held, of this shape and type: its rows are appended in blocks.

        Raises:
            ValueError: at the end, where there are more or fewer rows than were said.
            OSError: it can't be written whole.
        """
        path = self.path(f"{name}.npy")
        with path.open("wb", buffering=0) as file:  # closing a buffer tries again what failed, and fails
            array = ArrayFile(path, file, shape, kind)
            yield array
            array.check_whole()

    def add_strings(self, name: str, values: Sequence[str]) -> None:
        table = StringTable.build(values)
        self.add(f"{name}/offsets", table.offsets)
        self.add(f"{name}/blob", table.blob)

    def add_ids(self, name: str, ids: Sequence[str]) -> None:
        self.add(f"{name}/hash", IdIndex.build(ids).hashes)
        self.add_strings(name, ids)

    def add_variant(
        self,
        name: str,
        state: ModelState,
        *,
        recipe: str,
        options: Mapping[str, Any],
        has_candidates: bool,
    ) -> None:
        """One fitted variant; `recipe` and `options` as VariantEntry has them."""
        for array_name, array in state.arrays.items():
            self.add(f"variants/{name}/{array_name}", array)
        self.variants[name] = VariantEntry(
            recipe=recipe,
            options=dict(options),
            facts=state.facts,
            arrays=sorted(state.arrays),
            has_candidates=has_candidates,
        )

    def finish(
        self,
        versions: Path,
        *,
        created_at: datetime,
        as_of: datetime,
        horizon_days: int,
        default_variant: str,
        history: HistoryEntry,
        gate: GateEntry,
        libraries: dict[str, str],
    ) -> Manifest:
        """Write the manifest and move the folder to `versions/<version_id>` in one step.

        The id ends with a hash of the manifest, which has every file's: a name stands for one content.
        """
        paths = [path for path in sorted(self.folder.rglob("*")) if path.is_file()]
        files = {
            path.relative_to(self.folder).as_posix(): FileEntry(sha256=sha256, size_bytes=path.stat().st_size)
            for path, sha256 in zip(paths, sha256_of_all(paths), strict=True)
        }
        manifest = Manifest(
            schema_version=SCHEMA_VERSION,
            version_id="",
            created_at=created_at,
            as_of=as_of,
            horizon_days=horizon_days,
            default_variant=default_variant,
            history=history,
            variants=self.variants,
            gate=gate,
            libraries=libraries,
            files=files,
        )
        seal = _seal(manifest.model_dump_json(indent=1).encode())
        manifest = manifest.model_copy(update={"version_id": f"{created_at:%Y%m%dT%H%M%SZ}-{seal}"})
        text = manifest.model_dump_json(indent=1).encode()
        self.path(MANIFEST).write_bytes(text)
        if self._signer is not None:
            self.path(SIGNATURE).write_bytes(self._signer.sign(text))
        for path in [self.folder, *self.folder.rglob("*")]:
            if path.is_file():
                path.chmod(0o444)
            sync(path)
        versions.mkdir(exist_ok=True)
        target = versions / manifest.version_id
        if target.exists():  # the same content in the same second: it is there already
            shutil.rmtree(self.folder)
        else:
            self.folder.rename(target)
        sync(versions)
        return manifest


def read_manifest(folder: Path, signers: Signers | None = None) -> Manifest:
    """The manifest of a version's folder.

    Args:
        signers: one of whom must have signed it; None: nobody need have.
    Raises:
        UnknownVersionError: no such folder.
        DamagedVersionError: the manifest is not as it was written, was written by a newer nextbest, or by
            nobody who is trusted.
    """
    if not folder.is_dir():
        raise UnknownVersionError(folder.name)
    where = f"{folder.name}/{MANIFEST}"
    try:
        text = (folder / MANIFEST).read_bytes()
        if signers is not None:
            signers.check(folder, text)
        manifest = Manifest.model_validate_json(text)
    except (OSError, ValueError) as err:  # pydantic's own is one of the latter
        raise DamagedVersionError(where, "not a readable manifest") from err
    if manifest.schema_version != SCHEMA_VERSION:
        raise DamagedVersionError(
            where, f"schema {manifest.schema_version}, this nextbest reads {SCHEMA_VERSION}"
        )
    if _seal(text.replace(folder.name.encode(), b"", 1)) != folder.name[-8:]:
        raise DamagedVersionError(where, "content differs from what its folder is named after")
    return manifest


def open_version(folder: Path, *, verify: bool = True, signers: Signers | None = None) -> Version:
    """Open a version's folder.

    Args:
        folder: `STORE/versions/<version_id>`.
        verify: compare every file's checksum; otherwise only sizes.
        signers: as in `read_manifest`.
    Raises:
        DamagedVersionError: with the name of the first file that is not as it was written.
    """
    manifest = read_manifest(folder, signers)
    for name, entry in manifest.files.items():
        where = f"{folder.name}/{name}"
        path = folder / name
        if not path.is_file():
            raise DamagedVersionError(where, "missing")
        if path.stat().st_size != entry.size_bytes:
            raise DamagedVersionError(where, f"{path.stat().st_size} bytes instead of {entry.size_bytes}")
    if verify:
        found = sha256_of_all([folder / name for name in manifest.files])
        for (name, entry), sha256 in zip(manifest.files.items(), found, strict=True):
            if sha256 != entry.sha256:
                raise DamagedVersionError(f"{folder.name}/{name}", "content differs from its checksum")
    return Version(folder, manifest)


def sha256_of_all(paths: Sequence[Path]) -> list[str]:
    """Of each file, on all cores: a service that starts waits for it. The largest ones go first."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        largest_first = sorted(paths, key=lambda path: path.stat().st_size, reverse=True)
        found = dict(zip(largest_first, pool.map(sha256_of, largest_first), strict=True))
    return [found[path] for path in paths]


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _told_where(path: Path) -> Iterator[None]:
    """A full disk, with the file's name: numpy says how many values it wrote, and neither where nor why."""
    try:
        yield
    except OSError as err:
        raise OSError(f"{path} can't be written whole; is the disk full? ({err})") from err


def _seal(manifest: bytes) -> str:
    """The end of a version's id, from its manifest without the id."""
    return hashlib.sha256(manifest).hexdigest()[:8]


def sync(path: Path) -> None:
    """Return once a file's content, or a folder's list of names, would outlast a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
