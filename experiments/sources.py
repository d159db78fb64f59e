"""Where the report finds its specification, its two logs and its earlier looks: files that a shop gives."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from experiments.errors import BadLogError
from experiments.looks import LedgerInMemory, Look
from models.errors import NoChampionError
from storage.record.consent import Consent
from storage.record.personal import allowing
from storage.record.record import Record
from storage.store import Store, write_atomic

PURCHASES = "purchases.parquet"
NEEDED = ("personalise", "experiment")  # consents of who may take part


@dataclass(frozen=True, eq=False)
class Logs:
    """What an experiment is judged by.

    Attributes:
        exposures, outcomes: by `frames`, in the order of arrival.
        dropped: exposures that were counted and never written.
    """

    exposures: pl.DataFrame
    outcomes: pl.DataFrame
    dropped: int


def read_log(path: Path) -> pl.DataFrame:
    """A log from a Parquet file.

    Raises:
        BadLogError: it can't be read.
    """
    try:
        return pl.read_parquet(path, glob=False)
    except (OSError, pl.exceptions.PolarsError) as err:
        raise BadLogError(str(path), f"can't be read as Parquet ({err})") from err


def champion_purchases(root: Path) -> pl.DataFrame:
    """The purchases beside the version that answers now.

    Raises:
        NoChampionError: no night has published yet.
    """
    store = Store(root)
    champion = store.champion()
    if champion is None:
        raise NoChampionError(str(root))
    return read_log(store.versions / champion.current.version_id / PURCHASES)


def purchases_to_plan_on(root: Path, record: Record | None, default: Consent) -> pl.DataFrame:
    """The same of customers who may take part in an experiment: not of who was erased since the night, nor of
    who allows no experiments or no personal answers.

    Args:
        record: None where there is none: then nobody said anything.
        default: of who said nothing.
    Raises:
        NoChampionError: no night has published yet.
        RecordUnavailableError: it can't be read.
    """
    if record is not None:
        return purchases_of_those(root, record, NEEDED, default)
    purchases = champion_purchases(root)
    return purchases if all(getattr(default, name) for name in NEEDED) else purchases.clear()


def purchases_of_those(root: Path, record: Record, consents: Sequence[str], default: Consent) -> pl.DataFrame:
    """The same of customers who allow all of this, and of nobody who was erased since the night.

    Raises:
        NoChampionError: no night has published yet.
        RecordUnavailableError: it can't be read.
    """
    purchases = champion_purchases(root)
    customer_ids = purchases["customer_id"].unique().to_list()
    champion = Store(root).champion()
    assert champion is not None  # it had purchases
    known = Store(root).open(champion.current.version_id, verify=False).manifest.history.tombstone or 0
    may = allowing(record, customer_ids, consents, tombstone=known, default=default)
    if all(may):
        return purchases
    return purchases.filter(pl.col("customer_id").is_in(pl.Series(customer_ids).filter(pl.Series(may))))


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
