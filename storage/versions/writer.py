"""A version in the making: written aside, each file with its checksum, and renamed into place."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from models.arrays import AnyArray
from models.state import ModelState
from storage.versions.manifest import (
    SCHEMA_VERSION,
    FileEntry,
    GateEntry,
    HistoryEntry,
    Manifest,
    VariantEntry,
)
from storage.versions.signing import SIGNATURE, Signer
from storage.versions.strings import IdIndex, StringTable
from storage.versions.version import MANIFEST, seal_of, sha256_of_all, sync


class ArrayFile:
    """An array that is written a block of rows after the other, to the same bytes as all at once."""

    def __init__(self, path: Path, file: FileIO, shape: tuple[int, ...], kind: DTypeLike) -> None:
        self._path, self._file, self._shape, self._dtype = path, file, shape, np.dtype(kind)
        self._n_rows = 0
        description = np.lib.format.dtype_to_descr(self._dtype)
        with _naming_file(path):
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
        with _naming_file(self._path):
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
        with _naming_file(path), path.open("wb") as file:
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
        self, name: str, state: ModelState, *, recipe: str, options: Mapping[str, Any], has_candidates: bool
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
        seal = seal_of(manifest.model_dump_json(indent=1).encode())
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


@contextmanager
def _naming_file(path: Path) -> Iterator[None]:
    """A full disk, with the file's name: numpy says how many values it wrote, and neither where nor why."""
    try:
        yield
    except OSError as err:
        raise OSError(f"{path} can't be written whole; is the disk full? ({err})") from err
