"""A published version's folder, opened: its files compared with the manifest, its arrays mapped."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from models.arrays import AnyArray
from models.errors import DamagedVersionError, UnknownVersionError
from models.state import ModelState
from storage.versions.manifest import SCHEMA_VERSION, Manifest
from storage.versions.signing import Signers
from storage.versions.strings import IdIndex, StringTable, hash_of, is_rising

MANIFEST = "manifest.json"
PURCHASES = "purchases.parquet"  # that it was made from, with the ids of customers and products
SAMPLE = 1000  # ids whose hashes are looked at; all of a million would take a second


class Version:
    """A published folder, opened. Arrays are mapped read-only: all workers of a machine share their pages."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @property
    def version_id(self) -> str:
        return self.manifest.version_id

    def key(self) -> bytes:
        """32 bytes that only a reader of the version knows: the same wherever a copy of it is, whichever
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

    def check_has(self, name: str) -> None:
        """Raises: DamagedVersionError, where it has no array of this name."""
        if not self.has(name):
            raise self.damaged(name, "not in the manifest, as in versions of an older release: run a night")

    def array(self, name: str) -> AnyArray:
        """The array of this name, mapped.

        Raises:
            DamagedVersionError: it isn't there, can't be opened, or isn't an array.
        """
        self.check_has(name)
        file = f"{name}.npy"
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


def read_manifest(folder: Path, signers: Signers | None = None) -> Manifest:
    """The manifest of a version's folder.

    Args:
        signers: one of whom must have signed it; None: nobody need have.
    Raises:
        UnknownVersionError: no such folder.
        DamagedVersionError: the manifest can't be read, is not as it was written, was written by a newer
            nextbest, or by nobody who is trusted.
    """
    where = f"{folder.name}/{MANIFEST}"
    with _refused(folder):
        if not folder.is_dir():
            raise UnknownVersionError(folder.name)
        text = (folder / MANIFEST).read_bytes()
    if signers is not None:
        signers.check(folder, text)
    try:
        manifest = Manifest.model_validate_json(text)
    except ValueError as err:  # pydantic's own is one of these
        raise DamagedVersionError(where, "not a readable manifest") from err
    if manifest.schema_version != SCHEMA_VERSION:
        raise DamagedVersionError(
            where, f"schema {manifest.schema_version}, this nextbest reads {SCHEMA_VERSION}"
        )
    is_sealed = seal_of(text.replace(folder.name.encode(), b"", 1)) == folder.name[-8:]
    if not is_sealed or manifest.version_id != folder.name:
        raise DamagedVersionError(where, "content differs from what its folder is named after")
    return manifest


def open_version(folder: Path, *, verify: bool = True, signers: Signers | None = None) -> Version:
    """Open a version's folder.

    Args:
        folder: `STORE/versions/<version_id>`.
        verify: compare every file's checksum; otherwise only sizes.
        signers: as in `read_manifest`.
    Raises:
        DamagedVersionError: with the name of the first file that can't be read or is not as it was written.
    """
    manifest = read_manifest(folder, signers)
    with _refused(folder):
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


@contextmanager
def _refused(folder: Path) -> Iterator[None]:
    """What the machine doesn't let us read, for want of rights or by a failing disk, is refused by name."""
    try:
        yield
    except OSError as err:
        where = os.path.relpath(err.filename or folder, folder.parent)
        raise DamagedVersionError(where, f"can't be opened: {err.strerror or err}") from err


def sha256_of_all(paths: Sequence[Path]) -> list[str]:
    """Of each file, on all cores: a service that starts waits for it. The largest ones go first."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
        largest_first = sorted(paths, key=lambda path: path.stat().st_size, reverse=True)
        found = dict(zip(largest_first, pool.map(sha256_of, largest_first), strict=True))
    return [found[path] for path in paths]


def sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:  # one of reading names no file
        raise OSError(err.errno, err.strerror, str(path)) from err


def seal_of(manifest: bytes) -> str:
    """The end of a version's id, from its manifest without the id."""
    return hashlib.sha256(manifest).hexdigest()[:8]


def sync(path: Path) -> None:
    """Return once a file's content, or a folder's list of names, would outlast a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
