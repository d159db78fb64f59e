"""`nbo-train versions`, `promote` and `rollback`: which version answers, and who changes that."""

from datetime import UTC, datetime
from pathlib import Path

import click

from models.errors import DamagedVersionError
from storage.local_days import local_day
from storage.store_option import store_option
from storage.versions.manifest import Manifest
from storage.versions.store import Champion, Pointer, Store


@click.command()
@store_option
def versions(store: Path) -> None:
    """List the versions, newest first; `*` marks the champion."""
    shelf = Store(store)
    try:
        champion = shelf.champion()
    except DamagedVersionError as err:
        champion = None
        click.echo(f"{err}: none is marked; `nbo-train promote` writes a new one")
    pointer = champion.current if champion else None
    current = pointer.version_id if pointer else None
    entries = [_described(entry, pointer) for entry in shelf.manifests(check_sizes=True)]
    for version_id, facts, why in entries:
        click.echo(f"{'*' if version_id == current else ' '} {version_id}  {facts}")
        click.echo(f"    {why}")
    if not entries:
        click.echo("no versions yet: run `nbo-train nightly`")


def _described(entry: Manifest | DamagedVersionError, pointer: Pointer | None) -> tuple[str, str, str]:
    """A version's id, what it is, and why it may be published or can't be used."""
    if isinstance(entry, DamagedVersionError):
        folder, _, file = entry.file.partition("/")
        return folder, "damaged", f"{file}: {entry.why}"
    ndcg = entry.gate.figures.get("challenger_ndcg")
    told = f"NDCG@10 {ndcg:.4f}" if ndcg is not None else "NDCG@10 unknown"
    day = local_day(int(entry.as_of.timestamp()), entry.history.timezone)
    facts = f"as of {day}  {entry.default_variant}  {told}  {entry.gate.decision}"
    why = entry.gate.why
    if pointer and pointer.version_id == entry.version_id and pointer.variant != entry.default_variant:
        why += f"\n    {pointer.variant} answers: {pointer.why}"
    return entry.version_id, facts, why


@click.command()
@store_option
@click.argument("version_id")
def promote(store: Path, version_id: str) -> None:
    """Make a version the champion, whatever the gate said of it."""
    champion = Store(store).promote(version_id, now=datetime.now(UTC), why="promoted by hand")
    _tell(champion)


@click.command()
@store_option
def rollback(store: Path) -> None:
    """Go back to the champion before this one."""
    _tell(Store(store).rollback(now=datetime.now(UTC)))


def _tell(champion: Champion) -> None:
    now = champion.current
    click.echo(f"champion: {now.version_id}, variant {now.variant} ({now.why})")
