"""`nbo-serve record`: bring the record up to date, say what it holds, copy it, and look after it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import IO

import click

from service.commands.record_upkeep import expire_old, purge_sent, quarantine
from storage.lazy_commands import WholeLines
from storage.record.copying import copy_record
from storage.record.engine import file_of
from storage.record.holding import holding
from storage.record.products import said_of_products
from storage.record.record import record_url
from storage.record.replay import lines_of, parse_lines, replay, stones_of
from storage.record.schema import prepare
from storage.record.tables import SCHEMA
from storage.record_options import RecordPlace, opened_record, record_options, url_option
from storage.store_option import store_option


@click.group(cls=WholeLines)
def record() -> None:
    """The database for what must last: events, consent, erasures."""


@record.command()
@store_option
@url_option
def migrate(store: Path, url: str | None) -> None:
    """Make the record's tables, or bring them up to date."""
    found = record_url(store, url)
    before = prepare(found)
    now = "is up to date" if before == SCHEMA else f"had schema {before}, and has {SCHEMA} now"
    click.echo(f"{found.render_as_string(hide_password=True)} {now}")


@record.command()
@record_options
def status(place: RecordPlace) -> None:
    """How much the record holds, and what is in quarantine."""
    with opened_record(place) as opened:
        held = holding(opened)
    click.echo(f"{opened.name}: schema {held.schema}")
    for name, counts in (("event", held.events), ("quarantine", held.quarantine)):
        for kind, n in counts.items():
            click.echo(f"{name:<12}{kind:<32}{n:>12,}")
    click.echo(f"{'customers':<44}{held.customers:>12,}")
    click.echo(f"{'erased':<44}{held.erased:>12,}")


@record.command()
@record_options
def products(place: RecordPlace) -> None:
    """What `PUT /products` says of products now, which goes before the history until it is taken back."""
    with opened_record(place) as opened, opened.reading() as connection:
        found = list(said_of_products(connection))  # not in a pager's time: nobody writes meanwhile
    if not found:
        click.echo("none yet: `PUT /products` changed nothing", err=True)  # others read the lines
    for said, since in found:
        values = {"stock": said.stock, "price": said.price, "margin": said.margin}
        told = ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)
        shown = json.dumps(said.product_id, ensure_ascii=False)
        click.echo(f"{shown}\t{told}\tsince {since:%Y-%m-%d %H:%M} UTC")


@record.command()
@record_options
@click.argument("target", type=click.Path(path_type=Path))
def backup(place: RecordPlace, target: Path) -> None:
    """Copy a record in SQLite to the file TARGET while the service runs; in Postgres pg_dump does."""
    with opened_record(place) as opened:
        opened.back_up(target)
    click.echo(f"{target}: {target.stat().st_size:,} bytes")


@record.command("copy")
@record_options
@click.argument("target")
def copy(place: RecordPlace, target: str) -> None:
    """Copy the whole record to the empty one at the URL TARGET, from SQLite to Postgres or back.

    Its tables are made. Stop all services and nights of the record first.
    """
    found, own = record_url(place.store, target), record_url(place.store, place.url)
    if found == own or _is_one_file(file_of(found), file_of(own)):  # which would wait for its own lock
        raise click.UsageError("TARGET is the record itself")
    with opened_record(place) as source:
        prepare(found)
        with opened_record(replace(place, url=target)) as filled:
            copied = copy_record(source, filled)
    for name, n in copied.items():
        click.echo(f"{name:<44}{n:>12,}")
    shown = found.render_as_string(hide_password=True)
    click.echo(f"{shown} has all of {own.render_as_string(hide_password=True)} now", err=True)


def _is_one_file(one: Path | None, other: Path | None) -> bool:
    """Whether two paths are one file, however they are written."""
    return one is not None and other is not None and one.exists() and other.exists() and one.samefile(other)


@record.command("tombstones")
@record_options
@click.argument("target", type=click.File("w", atomic=True))
def write_tombstones(place: RecordPlace, target: IO[str]) -> None:
    """Write who was erased, as hashes, to TARGET: what a restore needs. No id is in it."""
    with opened_record(place) as opened:
        stones = stones_of(opened)
    target.writelines(f"{line}\n" for line in lines_of(stones))
    click.echo(f"{len(stones):,} erasures", err=True)


@record.command("replay")
@record_options
@click.argument("source", type=click.File("r"))
def replay_tombstones(place: RecordPlace, source: IO[str]) -> None:
    """Erase again whom SOURCE names, in a record restored from a backup. Before the service starts."""
    stones = parse_lines(source)
    with opened_record(place) as opened:
        click.echo(f"{replay(opened, stones):,} erased again")


for command in (quarantine, purge_sent, expire_old):
    record.add_command(command)
