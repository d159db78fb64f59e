"""`nbo-train export`: the lists of all customers as one file, for a mail tool or a spreadsheet."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import click
import numpy as np
import polars as pl

from models.arrays import FloatArray, LongArray
from models.errors import BadConfigError, NoChampionError
from models.registry import VARIANTS
from storage.record_options import consent_option
from storage.safe_cell import safe_cell
from storage.shop_files import note_shop_file
from storage.store import Store
from storage.versions import Version
from storage.written_aside import written_aside
from training.candidates import OwnHistory, evidence
from training.config import RecordOptions
from training.fitting import recipe_of
from training.options import store_option
from training.ranking import as_one, ranked_blocks
from training.recorded import may_be_listed

SOURCES = ["popular", "due_again", "because_you_bought"]


@click.command()
@store_option()
@click.option(
    "--k", default=20, show_default=True, type=click.IntRange(1, 1000), help="Products for each customer."
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="File to write: .parquet or .csv."
)
@click.option("--variant", help="Any fitted variant of the champion's version.  [default: the champion's]")
@click.option(
    "--record",
    envvar="NEXTBEST_RECORD_URL",
    help="URL of the service's record.  [env: NEXTBEST_RECORD_URL; default: the store's, if it is there]",
)
@consent_option
def export(
    store: Path,
    k: int,
    out: Path,
    variant: str | None,
    record: str | None,
    consent_default: Literal["all", "no_personalisation", "nothing"],
) -> None:
    """Write customer_id, product_id, rank, probability, source for every known customer.

    Customers who were erased since the night, or who allow no personal lists, are left out.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise BadConfigError("--out", f"{out.name} must end in .parquet or .csv")
    champion = Store(store).champion()
    if champion is None:
        raise NoChampionError(str(store))
    version = Store(store).open(champion.current.version_id)
    options = RecordOptions(url=record, consent_default=consent_default)
    unwanted = _unwanted(Store(store), version, options)
    table = lists(version, variant or champion.current.variant, k)
    table = table.filter(~pl.col("customer_id").is_in(unwanted))
    try:
        note_shop_file(store, out, "nbo-train export", now=datetime.now(UTC))
        _write(table, out)
    except (OSError, pl.exceptions.ComputeError) as err:  # the latter is polars' word for a full disk
        why = err.strerror if isinstance(err, OSError) and err.strerror else err
        raise BadConfigError("--out", f"{out} can't be written: {why}") from err
    click.echo(f"{out}: {table['customer_id'].n_unique()} customers, {table.height} rows")
    if unwanted:
        click.echo(f"left out, erased or not to be personal: {len(unwanted)}")


def _unwanted(store: Store, version: Version, options: RecordOptions) -> list[str]:
    """Customers of a version of whom no list is written now."""
    ids = version.ids("customers")
    customer_ids = [ids[row] for row in range(len(ids))]
    known_erasures = version.manifest.history.tombstone or 0
    is_wanted = may_be_listed(store, options, customer_ids, known_erasures)
    return [customer_id for customer_id, wanted in zip(customer_ids, is_wanted, strict=True) if not wanted]


def _write(table: pl.DataFrame, out: Path) -> None:
    with written_aside(out) as part:
        if out.suffix == ".parquet":
            table.write_parquet(part)
        else:
            ids = pl.col("customer_id", "product_id")
            table.with_columns(ids.map_elements(safe_cell, return_dtype=pl.String)).write_csv(part)


def _told(probability: FloatArray | None, n: int, customer: LongArray, place: LongArray) -> pl.Series:
    """The probability of each place of a list; null where it isn't known."""
    if probability is None:
        return pl.Series([None] * n, dtype=pl.Float32)
    return pl.Series(probability[customer, place], dtype=pl.Float32).fill_nan(None)


def lists(version: Version, variant: str, k: int) -> pl.DataFrame:
    """The first k products of every known customer that are not out of stock, by customer row and rank.

    Returns:
        customer_id, product_id String; rank Int32 from 1; probability Float32, null where it isn't known;
        source String, the code of the reason: `due_again`, `because_you_bought` or `popular`.
    Raises:
        BadConfigError: the version has no such variant, or other code made it.
    """
    if variant not in version.manifest.variants:
        able = ", ".join(version.manifest.variants)
        raise BadConfigError("--variant", f"{variant!r} is not in {version.version_id}, which has {able}")
    made = version.manifest.variants[variant]
    if made.recipe != recipe_of(variant, made.options):
        raise BadConfigError(
            "--variant",
            f"{variant!r} of {version.version_id} was made by another release of nextbest: "
            "export with that one, or run a night first",
        )
    customers, products = version.ids("customers"), version.ids("products")
    rows = np.arange(len(customers), dtype=np.int32)
    model = VARIANTS[variant].from_state(version.state(variant))
    sold_out = version.array("products/stock") == 0
    own = OwnHistory(**{name: version.array(f"history/{name}") for name in OwnHistory.names()})
    order, owned = version.array("popular/order"), own.matrix(len(products))
    ranked = ranked_blocks(model, rows, k, fill=order, owned=owned, hidden=sold_out)
    _, best, probability = as_one(ranked)
    entry = evidence(best, rows, own, version.array("similar/product"), version.array("similar/score"))
    customer, place = np.nonzero(best >= 0)
    listed, entry = best[customer, place], entry[customer, place]
    explained = own.product[np.minimum(own.indptr[customer] + entry, len(own.product) - 1)]
    source = np.where(entry < 0, 0, np.where(explained == listed, 1, 2))
    return pl.DataFrame(
        {
            "customer_id": pl.Series([customers[row] for row in range(len(customers))]).gather(customer),
            "product_id": pl.Series([products[row] for row in range(len(products))]).gather(listed),
            "rank": (place + 1).astype(np.int32),
            "probability": _told(probability, len(listed), customer, place),
            "source": pl.Series(SOURCES).gather(source),
        }
    )
