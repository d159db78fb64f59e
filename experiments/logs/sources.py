"""The two logs and the earlier looks in files that a shop gives."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from experiments.errors import BadLogError
from experiments.statistics.looks import LedgerInMemory, Look
from storage.versions.store import write_atomic


@dataclass(frozen=True, eq=False)
class Logs:
    """What an experiment is judged by.

    Attributes:
        exposures, outcomes: by `frames`, in the order of arrival.
        dropped: exposures that were counted and never written.
        withdrawn: customers who are left out, since they don't allow any more what they took part in.
    """

    exposures: pl.DataFrame
    outcomes: pl.DataFrame
    dropped: int
    withdrawn: int = 0


def read_log(path: Path) -> pl.DataFrame:
    """A log from a Parquet file.

    Raises:
        BadLogError: it can't be read.
    """
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as err:
        raise BadLogError(str(path), f"can't be read as Parquet ({err})") from err


@dataclass(frozen=True)
class LedgerFile:
    """Looks in a JSON file, for logs that come from elsewhere than the record."""

    path: Path

    def looks(self, experiment_id: str, version: int) -> list[Look]:
        return list(self._all().looks(experiment_id, version))

    def add(self, looks: Sequence[Look]) -> None:
        if not looks:
            return
        kept = self._all()
        kept.add(looks)
        write_atomic(self.path, json.dumps([asdict(look) for look in kept.all()], indent=1) + "\n")

    def _all(self) -> LedgerInMemory:
        found = LedgerInMemory()
        if self.path.exists():
            try:
                found.add([Look(**line) for line in json.loads(self.path.read_text())])
            except (ValueError, TypeError) as err:
                raise BadLogError(str(self.path), f"holds no looks ({err})") from err
        return found
