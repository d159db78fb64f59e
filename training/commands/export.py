"""`nbo-train export`: the lists of all customers as one file, for a mail tool or a spreadsheet."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import polars as pl

from models.arrays import BoolArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.errors import BadConfigError
from models.registry import VARIANTS
from storage.files.safe_cell import safe_cell
from storage.files.shop_files import note_shop_file
from storage.files.written_aside import written_aside
from storage.record_options import consent_option
from storage.store_option import store_option
from storage.versions.store import Store
from storage.versions.version import Version
from training.config import RecordOptions
from training.fitting import recipe_of
from training.history.recorded import may_be_listed, services_default
from training.publishing.candidates import OwnHistory, evidence
from training.ranking import as_one, ranked_blocks

PIECE = 100_000  # customers of whom lists are in memory at a time
SOURCES = ["popular", "due_again", "because_you_bought", "new_in"]
COLUMNS: dict[str, type[pl.DataType]] = {
    "customer_id": pl.String,
    "product_id": pl.String,
    "rank": pl.Int32,
    "probability": pl.Float32,
    "source": pl.String,
}


@click.command()
@store_option
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
    champion = Store(store).require_champion()
    version = Store(store).open(champion.current.version_id)
    model = fitted(version, variant or champion.current.variant)
    options = RecordOptions(url=record, consent_default=consent_default)
    if other := services_default(Store(store), options):
        said = f"the preset {other}, this command {consent_default}: give it NEXTBEST_CONSENT_DEFAULT too"
        click.echo(f"warning: the service allows customers who said nothing {said}", err=True)
    is_wanted = _may_be_listed(Store(store), version, options)
    try:
        note_shop_file(store, out, "nbo-train export", now=datetime.now(UTC))
        n_rows = _write(lists(version, model, k, np.flatnonzero(is_wanted).astype(np.int32)), out)
    except (OSError, pl.exceptions.ComputeError) as err:  # the latter is polars' word for a full disk
        why = err.strerror if isinstance(err, OSError) and err.strerror else err
        raise BadConfigError("--out", f"{out} can't be written: {why}") from err
    click.echo(f"{out}: {np.count_nonzero(is_wanted)} customers, {n_rows} rows")
    if not is_wanted.all():
        click.echo(f"left out, erased or not to be personal: {np.count_nonzero(~is_wanted)}")


def _may_be_listed(store: Store, version: Version, options: RecordOptions) -> BoolArray:
    """Of which customers of a version, by row, a list may be written now."""
    ids = version.ids("customers")
    known_erasures = version.manifest.history.tombstone or 0
    pieces = (range(start, min(start + PIECE, len(ids))) for start in range(0, len(ids), PIECE))
    told = [may_be_listed(store, options, [ids[row] for row in piece], known_erasures) for piece in pieces]
    return np.concatenate([np.zeros(0, np.bool_), *told])


def _write(tables: Iterable[pl.DataFrame], out: Path) -> int:
    """Write tables one after the other; returns how many rows they have together."""
    n_rows, empty = 0, pl.DataFrame(schema=COLUMNS)
    with written_aside(out) as part:
        if out.suffix == ".parquet":
            pieces = [part.with_suffix(".0.parquet")]
            empty.write_parquet(pieces[0])
            for table in tables:
                pieces.append(part.with_suffix(f".{len(pieces)}.parquet"))
                table.write_parquet(pieces[-1])
                n_rows += table.height
            pl.scan_parquet(pieces, glob=False, hive_partitioning=False).sink_parquet(part)
        else:
            ids = pl.col("customer_id", "product_id").map_elements(safe_cell, return_dtype=pl.String)
            with part.open("wb") as file:
                empty.write_csv(file)
                for table in tables:
                    table.with_columns(ids).write_csv(file, include_header=False)
                    n_rows += table.height
    return n_rows


def _probabilities(
    probability: FloatArray | None, n: int, customer: LongArray, place: LongArray
) -> pl.Series:
    """The probability of each place of a list; null where it isn't known."""
    if probability is None:
        return pl.Series([None] * n, dtype=pl.Float32)
    return pl.Series(probability[customer, place], dtype=pl.Float32).fill_nan(None)


def fitted(version: Version, variant: str) -> Model[Any]:
    """A variant of a version.

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
    return VARIANTS[variant].from_state(version.state(variant))


def lists(version: Version, model: Model[Any], k: int, rows: IntArray) -> Iterator[pl.DataFrame]:
    """The first k products of each customer that are not out of stock, by customer row and rank.

    Args:
        rows: of the customers, shape (n,).
    Returns:
        tables of COLUMNS, each of PIECE customers: rank from 1; probability null where it isn't known; source
        the code of the reason.
    """
    customers, products = version.ids("customers"), version.ids("products")
    product_ids = pl.Series([products[row] for row in range(len(products))], dtype=pl.String)
    sold_out, is_unsold = version.array("products/stock") == 0, version.array("popular/buyers") == 0
    own = OwnHistory(**{name: version.array(f"history/{name}") for name in OwnHistory.names()})
    order, owned = version.array("popular/order"), own.matrix(len(products))
    similar = version.array("similar/product"), version.array("similar/score")
    for start in range(0, len(rows), PIECE):
        theirs = rows[start : start + PIECE]
        ranked = ranked_blocks(model, theirs, k, fill=order, owned=owned, hidden=sold_out)
        _, best, probability = as_one(ranked)
        entry = evidence(best, theirs, own, *similar)
        customer, place = np.nonzero(best >= 0)
        listed, entry = best[customer, place], entry[customer, place]
        explained = own.product[np.minimum(own.indptr[theirs[customer]] + entry, len(own.product) - 1)]
        of_all = np.where(is_unsold[listed], 3, 0)
        source = np.where(entry < 0, of_all, np.where(explained == listed, 1, 2))
        yield pl.DataFrame(
            {
                "customer_id": pl.Series([customers[row] for row in theirs]).gather(customer),
                "product_id": product_ids.gather(listed),
                "rank": (place + 1).astype(np.int32),
                "probability": _probabilities(probability, len(listed), customer, place),
                "source": pl.Series(SOURCES).gather(source),
            },
            schema=COLUMNS,
        )
