"""`nbo-train versions`, `promote` and `rollback`: which version answers, and who changes that."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from models.errors import DamagedVersionError
from storage.store import Champion, Store

STORE = click.option(
    "--store",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the versions.",
)


@click.command()
@STORE
def versions(store: Path) -> None:
    """List the versions, newest first, and mark the champion."""
    shelf = Store(store)
    champion = shelf.champion()
    table = Table("", "version", "as of", "variant", "NDCG@10", "gate", "why", box=None, pad_edge=False)
    for manifest in shelf.manifests():
        if isinstance(manifest, DamagedVersionError):
            table.add_row("", manifest.file.split("/")[0], "", "", "", "damaged", manifest.why)
            continue
        is_champion = champion is not None and champion.current.version_id == manifest.version_id
        ndcg = manifest.gate.figures.get("challenger_ndcg")
        table.add_row(
            "*" if is_champion else "",
            manifest.version_id,
            f"{manifest.as_of:%Y-%m-%d}",
            manifest.default_variant,
            f"{ndcg:.4f}" if ndcg is not None else "",
            manifest.gate.decision,
            manifest.gate.why,
        )
    Console().print(table if table.row_count else "no versions yet: run `nbo-train nightly`")


@click.command()
@STORE
@click.argument("version_id")
@click.option("--variant", help="One of its variants with candidate lists.  [default: its default variant]")
def promote(store: Path, version_id: str, variant: str | None) -> None:
    """Make a version the champion, whatever the gate said of it."""
    champion = Store(store).promote(version_id, variant, now=datetime.now(UTC), why="promoted by hand")
    _tell(champion)


@click.command()
@STORE
def rollback(store: Path) -> None:
    """Go back to the champion before this one."""
    _tell(Store(store).rollback(now=datetime.now(UTC)))


def _tell(champion: Champion) -> None:
    now = champion.current
    click.echo(f"champion: {now.version_id}, variant {now.variant} ({now.why})")
