"""The store: versions, the champion among them, and the lock that lets one night work at a time."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import (
    DamagedVersionError,
    NextbestError,
    NightRunningError,
    NoChampionError,
    UnknownVersionError,
    UnroutedVariantError,
)
from storage.versions.manifest import Manifest
from storage.versions.required import check_answers
from storage.versions.signing import Signer, Signers
from storage.versions.version import Version, open_version, read_manifest, sync
from storage.versions.writer import VersionWriter

CHAMPION = "champion.json"
LAST_SUCCESS = "last_success.json"  # when the last night that published began
KEPT_POINTERS = 50
VERSION_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")


class Pointer(BaseModel):
    """A champion: which version and which of its variants answers customers outside experiments."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    version_id: str
    variant: str
    since: datetime
    why: str


class Champion(BaseModel):
    """The pointer in force and those before it, newest first; `sequence` grows with each change."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    sequence: int
    current: Pointer
    previous: list[Pointer] = []


class Store:
    """A folder with `versions/`, `champion.json`, `runs/` (reports and rejects of each night) and a lock.

    Args:
        signer: signs what is written here.
        signers: one of whom must have signed what is opened here; None: nobody need have.
    """

    def __init__(self, root: Path, *, signer: Signer | None = None, signers: Signers | None = None) -> None:
        self.root, self._signer, self._signers = root, signer, signers
        self.versions = root / "versions"
        self.runs = root / "runs"
        self._aside = root / "tmp"

    @contextmanager
    def night_lock(self, now: datetime) -> Iterator[None]:
        """Hold the store for one night; the system frees it when the process ends, however it ends.

        Raises:
            NightRunningError: another process holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "night.lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                file.seek(0)
                raise NightRunningError(str(self.root), file.read().strip()) from err
            shutil.rmtree(self._aside, ignore_errors=True)  # a killed night's may fill the disk
            file.truncate(0)
            file.write(f"process {os.getpid()} since {now:%Y-%m-%d %H:%M:%S} UTC")
            file.flush()
            try:
                yield
            finally:  # of a disk that is full, half a version may be what filled it
                shutil.rmtree(self._aside, ignore_errors=True)

    def writer(self) -> VersionWriter:
        """A new version in the making, in a folder of its own on the same disk. Only under `night_lock`."""
        # Not mkdtemp: what only its owner may enter, a service of another user can't serve.
        folder = self._aside / uuid4().hex
        folder.mkdir(parents=True)
        return VersionWriter(folder, self._signer)

    def manifests(self, *, check_sizes: bool = False) -> list[Manifest | DamagedVersionError]:
        """Every version's manifest, newest first; a damaged one as the error that says why.

        Args:
            check_sizes: a version with a file that is missing or of another size is damaged too, and so is
                one that a service would refuse.
        """
        found: list[Manifest | DamagedVersionError] = []
        for folder in self._folders():
            try:
                if check_sizes:
                    version = open_version(folder, verify=False)
                    check_answers(version, version.manifest.default_variant)
                    found.append(version.manifest)
                else:
                    found.append(read_manifest(folder))
            except DamagedVersionError as err:
                found.append(err)
        return found

    def _folders(self) -> list[Path]:
        """Versions' folders, newest first; whatever else lies beside them is not ours."""
        return [
            folder
            for folder in sorted(self.versions.glob("*"), reverse=True)
            if VERSION_ID.fullmatch(folder.name) and folder.is_dir()
        ]

    def open(self, version_id: str, *, verify: bool = True) -> Version:
        """See `open_version`; what is no version's id, such as "../x", is unknown."""
        if not VERSION_ID.fullmatch(version_id):
            raise UnknownVersionError(version_id)
        return open_version(self.versions / version_id, verify=verify, signers=self._signers)

    def champion(self) -> Champion | None:
        """The champion, None in a store that has none yet.

        Raises:
            DamagedVersionError: the pointer can't be read.
        """
        try:
            return Champion.model_validate_json((self.root / CHAMPION).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as err:
            raise DamagedVersionError(CHAMPION, f"can't be opened: {err.strerror or err}") from err
        except ValidationError as err:
            raise DamagedVersionError(CHAMPION, "not a readable pointer") from err

    def require_champion(self) -> Champion:
        """The champion.

        Raises:
            NoChampionError: no night has published yet.
            DamagedVersionError: the pointer can't be read.
        """
        champion = self.champion()
        if champion is None:
            raise NoChampionError(str(self.root))
        return champion

    def _readable_champion(self) -> Champion | None:
        """The champion; None also where the pointer can't be read."""
        try:
            return self.champion()
        except DamagedVersionError:
            return None

    def promote(self, version_id: str, *, now: datetime, why: str, variant: str | None = None) -> Champion:
        """Make a version the champion, after checking every one of its files.

        Args:
            variant: that answers; None: the version's default.

        A pointer that can't be read is replaced: its sequence and those before it are lost.

        Raises:
            UnknownVersionError, DamagedVersionError: it is not there, not whole, or lacks what is required.
            UnroutedVariantError: it has no lists of this variant.
        """
        version = self.open(version_id)
        manifest = version.manifest
        variant = variant or manifest.default_variant
        if variant not in manifest.routed:
            raise UnroutedVariantError(version_id, variant, manifest.routed)
        check_answers(version, variant)
        pointer = Pointer(version_id=manifest.version_id, variant=variant, since=now, why=why)
        with self._pointer_lock():
            if not (self.versions / version_id).is_dir():  # a night has deleted it since
                raise UnknownVersionError(version_id)
            old = self._readable_champion()
            before = [old.current, *old.previous] if old else []
            new = Champion(
                sequence=old.sequence + 1 if old else 1, current=pointer, previous=before[:KEPT_POINTERS]
            )
            self._write(new)
        return new

    def rollback(self, *, now: datetime) -> Champion:
        """Go back to the newest earlier champion that is another one and whose version can still answer.

        Which were refused on the way, and why, stands in `why` of the pointer.

        Raises:
            NoChampionError: there is none to go back to; with what was refused.
            DamagedVersionError: the pointer can't be read.
        """
        with self._pointer_lock():
            old = self.require_champion()
            now_serving = (old.current.version_id, old.current.variant)
            refused: dict[str, None] = {}  # in order, each once
            for place, pointer in enumerate(old.previous):
                if (pointer.version_id, pointer.variant) == now_serving:
                    continue
                try:
                    check_answers(self.open(pointer.version_id), pointer.variant)
                except UnknownVersionError:
                    continue  # pruned: one further back
                except NextbestError as err:
                    refused[str(err)] = None
                    continue
                why = "; ".join([f"rolled back from {old.current.version_id}", *refused])
                current = pointer.model_copy(update={"since": now, "why": why})
                new = Champion(sequence=old.sequence + 1, current=current, previous=old.previous[place + 1 :])
                self._write(new)
                return new
            why = "; ".join(["no earlier champion is left to go back to", *refused])
            raise NoChampionError(str(self.root), why)

    def prune(self, *, keep: int, max_age: timedelta, now: datetime) -> list[str]:
        """Delete versions beyond the newest `keep` or older than that, never the last two champions.

        Nothing goes while the pointer can't be read: any version may be the champion.

        Returns:
            the ids of what was deleted.
        """
        with self._pointer_lock():  # else what is just being promoted might go
            try:
                champion = self.champion()
            except DamagedVersionError:
                return []
            folders = self._folders()
            there = {folder.name for folder in folders}
            pointers = [champion.current, *champion.previous] if champion else []
            champions = [pointer.version_id for pointer in pointers if pointer.version_id in there]
            safe = list(dict.fromkeys(champions))[:2]
            oldest = f"{(now - max_age).astimezone(UTC):%Y%m%dT%H%M%SZ}"
            deleted = []
            for place, folder in enumerate(folders):
                if folder.name not in safe and (place >= keep or folder.name < oldest):
                    shutil.rmtree(folder)  # unlinking is safe for workers that still map its files
                    deleted.append(folder.name)
            return deleted

    @contextmanager
    def _pointer_lock(self) -> Iterator[None]:
        with (self.root / "champion.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _write(self, champion: Champion) -> None:
        write_atomic(self.root / CHAMPION, champion.model_dump_json(indent=1))


def write_atomic(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file in one step, durably: a reader sees the old or the new text, never a part.

    What root writes belongs to whom the folder belongs to, so that the service's own user can still read it.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if os.geteuid() == 0:
                facts = path.parent.stat()
                os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException as err:
        Path(name).unlink(missing_ok=True)
        if isinstance(err, OSError) and err.filename is None:
            err.filename = str(path)  # a full disk names none
        raise
    sync(path.parent)
