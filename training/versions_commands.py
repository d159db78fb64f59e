"""`nbo-train versions`, `promote` and `rollback`: which version answers, and who changes that."""

from datetime import UTC, datetime
from pathlib import Path

import click

from models.errors import DamagedVersionError
from storage.manifest import Manifest
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
    """List the versions, newest first; `*` marks the champion."""
    shelf = Store(store)
    champion = shelf.champion()
    current = champion.current.version_id if champion else None
    entries = [_described(entry) for entry in shelf.manifests()]
    for version_id, facts, why in entries:
        click.echo(f"{'*' if version_id == current else ' '} {version_id}  {facts}")
        click.echo(f"    {why}")
    if not entries:
        click.echo("no versions yet: run `nbo-train nightly`")


def _described(entry: Manifest | DamagedVersionError) -> tuple[str, str, str]:
    """A version's id, what it is, and why it may be published or can't be used."""
    if isinstance(entry, DamagedVersionError):
        folder, _, file = entry.file.partition("/")
        return folder, "damaged", f"{file}: {entry.why}"
    ndcg = entry.gate.figures.get("challenger_ndcg")
    told = f"NDCG@10 {ndcg:.4f}" if ndcg is not None else "NDCG@10 unknown"
    facts = f"as of {entry.as_of:%Y-%m-%d}  {entry.default_variant}  {told}  {entry.gate.decision}"
    return entry.version_id, facts, entry.gate.why


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
