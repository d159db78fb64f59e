"""`nbo-serve record quarantine`, `purge` and `expire`: what an operator does to events that were sent."""

from datetime import UTC, datetime

import click

from models.arrays import DAY_MS
from service.access.options import now_utc
from storage.lazy_commands import WholeLines
from storage.record.intake import REASONS
from storage.record.upkeep import Chosen, count_sent, drop, expire, in_quarantine, purge, release
from storage.record_options import RecordPlace, opened_record, record_if_any, record_options

BY_HAND = "command line"


def _now_ms() -> int:
    return int(now_utc().timestamp() * 1000)


@click.group(cls=WholeLines)
def quarantine() -> None:
    """Events that were kept aside: of unknown products, or over a customer's daily cap."""


reason_option = click.option(
    "--reason", required=True, type=click.Choice(REASONS), help="As `quarantine list` shows it."
)
client_option = click.option("--client", help="Only what this key sent, by its id.")


@quarantine.command("list")
@record_options
def list_aside(place: RecordPlace) -> None:
    """What is there: why, of which type and key, how many events of how many customers, from when to when."""
    with opened_record(place) as opened, opened.reading() as connection:
        found = in_quarantine(connection)
    if not found:
        click.echo("nothing is kept aside")
    for one in found:
        first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (one.first_ms, one.last_ms))
        click.echo(
            f"{one.reason:<32}{one.type:<14}{one.client or '-':<12}{one.events:>10,} events"
            f"{one.customers:>10,} customers  {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        )


@quarantine.command("release")
@record_options
@reason_option
@client_option
def release_aside(place: RecordPlace, reason: str, client: str | None) -> None:
    """Let them count, such as those of a product that the catalogue has by now."""
    with opened_record(place) as opened:
        moved, known = release(opened, Chosen(client, reason=reason), now_ms=_now_ms(), client=BY_HAND)
    already = f", {known:,} were recorded already" if known else ""
    click.echo(f"{moved:,} events released{already}")


@quarantine.command("drop")
@record_options
@reason_option
@client_option
def drop_aside(place: RecordPlace, reason: str, client: str | None) -> None:
    """Delete them."""
    with opened_record(place) as opened:
        dropped = drop(opened, Chosen(client, reason=reason), now_ms=_now_ms(), client=BY_HAND)
    click.echo(f"{dropped:,} events dropped")


@click.command("purge")
@record_options
@click.option(
    "--client", required=True, help="Id of the key that sent it, as `nbo-serve keys list` shows it."
)
@click.option(
    "--since",
    required=True,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    help="What came in at or after this moment, UTC.",
)
@click.option("--yes", is_flag=True, help="Do it; without this it is only counted.")
def purge_sent(place: RecordPlace, client: str, since: datetime, yes: bool) -> None:
    """Delete all events that one key sent since a moment: what undoes an attack, with the night after it."""
    chosen = Chosen(client, int(since.replace(tzinfo=UTC).timestamp() * 1000))
    with opened_record(place) as opened:
        if yes:
            click.echo(f"{purge(opened, chosen, now_ms=_now_ms(), client=BY_HAND):,} events deleted")
            return
        events, customers = count_sent(opened, chosen)
    click.echo(f"{events:,} events of {customers:,} customers would be deleted: say --yes")


@click.command("expire")
@record_options
@click.option("--trade-days", type=click.IntRange(1), help="Of purchases and returns.  [default: for ever]")
@click.option(
    "--other-days", type=click.IntRange(1), default=400, show_default=True, help="Of all other events."
)
@click.option("--quarantine-days", type=click.IntRange(1), default=90, show_default=True)
@click.option(
    "--exposure-days",
    type=click.IntRange(1),
    default=90,
    show_default=True,
    help="After the end of their experiment.",
)
def expire_old(
    place: RecordPlace, trade_days: int | None, other_days: int, quarantine_days: int, exposure_days: int
) -> None:
    """Delete old events and exposures, and ids without purchase or consent: a line for cron.

    Let purchases go only once the shop's own history has them: a night knows no others.
    """
    now_ms = _now_ms()
    with record_if_any(place) as opened:
        if opened is None:
            click.echo("there is no record yet: nothing to delete")
            return
        deleted = expire(
            opened,
            trade_before_ms=now_ms - trade_days * DAY_MS if trade_days else 0,
            others_before_ms=now_ms - other_days * DAY_MS,
            quarantine_before_ms=now_ms - quarantine_days * DAY_MS,
            exposures_before_ms=now_ms - exposure_days * DAY_MS,
            now_ms=now_ms,
            client=BY_HAND,
        )
    click.echo(", ".join(f"{name}: {n:,}" for name, n in deleted.items()) + " deleted")
