"""`nbo-serve record`: bring the record up to date, and say what it holds."""

from pathlib import Path

import click

from service.access.options import store_option
from storage.record.erasure_key import load_erasure_key
from storage.record.holding import holding
from storage.record.record import Record, record_url
from storage.record.schema import prepare
from storage.record.tables import SCHEMA

LOCK_MS = 10_000
STATEMENT_MS = 600_000

url_option = click.option(
    "--url",
    envvar="NEXTBEST_RECORD_URL",
    help="Of the record.  [env: NEXTBEST_RECORD_URL; default: in the store]",
)
key_option = click.option("--erasure-key", envvar="NEXTBEST_ERASURE_KEY", hidden=True)


@click.group()
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
@store_option
@url_option
@key_option
def status(store: Path, url: str | None, erasure_key: str | None) -> None:
    """How much the record holds, and what is in quarantine."""
    key = load_erasure_key(store, erasure_key)
    opened = Record(record_url(store, url), key, lock_ms=LOCK_MS, statement_ms=STATEMENT_MS)
    try:
        with opened.reading() as connection:
            held = holding(connection)
    finally:
        opened.close()
    click.echo(f"{opened.name}: schema {held.schema}")
    for name, counts in (("event", held.events), ("quarantine", held.quarantine)):
        for kind, n in counts.items():
            click.echo(f"{name:<12}{kind:<32}{n:>12,}")
    click.echo(f"{'customers':<44}{held.customers:>12,}")
    click.echo(f"{'erased':<44}{held.erased:>12,}")
