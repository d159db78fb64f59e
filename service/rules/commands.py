"""`nbo-serve rules`: check a file, try it on a store, put it in force."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from datetime import MAXYEAR, datetime
from http import HTTPStatus
from pathlib import Path

import click

from models.errors import NextbestError
from service.live.changes import ChangesFollower
from service.live.sample import news_of
from service.live.told import NOT_PERSONAL, Told
from service.recommender import nothing_new
from service.record import AtHand
from service.rules.doubts import warnings_of
from service.rules.dry_run import DryRun, dry_run, sample
from service.rules.reading import NO_RULES
from service.rules.watch import read_rules_file
from service.versions.opened import StoreChampion
from storage.lazy_commands import WholeLines
from storage.record.consent import PRESETS
from storage.record_options import RecordPlace, consent_option, key_option, record_if_any, url_option
from storage.store_option import store_option_that
from storage.versions.store import Store

TIMEOUT_S = 60
WHERE = "rules are put through the operator's listener, which NEXTBEST_OPERATOR_PORT of the service opens"
FIRST_YEAR = 1970
file_argument = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
store_option = store_option_that(is_required=False)


@click.group(cls=WholeLines)
def rules() -> None:
    """The merchandiser's rules: docs/rules.md."""


@rules.command()
@file_argument
@store_option
def check(file: Path, store: Path | None) -> None:
    """Say what is wrong with FILE; with a store also what of it does nothing there."""
    found = read_rules_file(file)
    warnings = warnings_of(StoreChampion(Store(store)).required(), found, time.time()) if store else []
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    counts = f"rules: {len(found.rules)}, warnings: {len(warnings)}"
    click.echo(f"{file.name} can be used: version {found.version}, {counts}")


@rules.command("dry-run")
@file_argument
@store_option
@click.option(
    "--against",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Rules to compare with; none without.",
)
@click.option(
    "--at",
    type=click.DateTime([*click.DateTime().formats, "%Y-%m-%dT%H:%M:%S%z"]),
    help="Try it at this moment, in the shop's time zone where it has no offset; else now.",
)
@click.option("--json", "as_json", is_flag=True, help="All of it, as JSON.")
@url_option
@key_option
@consent_option
def try_out(
    file: Path,
    store: Path | None,
    against: Path | None,
    at: datetime | None,
    as_json: bool,
    url: str | None,
    erasure_key: str | None,
    consent_default: str,
) -> None:
    """Say what FILE would change for 1,000 customers."""
    if store is None:
        raise click.UsageError("--store is needed: the version of a store is what rules are tried on")
    if at is not None and not FIRST_YEAR <= at.year < MAXYEAR:
        raise click.BadParameter(f"must be of {FIRST_YEAR} to {MAXYEAR - 1}", param_hint="'--at'")
    champion = StoreChampion(Store(store))
    served = champion.required()
    before = read_rules_file(against) if against else NO_RULES
    now_s = at.replace(tzinfo=at.tzinfo or served.zone).timestamp() if at else time.time()
    after = read_rules_file(file)
    news: Callable[[str], Told | None] = nothing_new
    default = PRESETS[consent_default]
    with record_if_any(RecordPlace(store, url, erasure_key)) as record:
        if record is not None:
            news = news_of(record, served, sample(served), default)
            ChangesFollower(AtHand(record), champion.live).look()
        elif not default.personalise:
            news = _nobody_is_personal
    found = dry_run(served, before, after, now_s=now_s, news_of=news)
    if as_json:
        click.echo(json.dumps(asdict(found) | {"warnings": warnings_of(served, after, now_s)}, indent=1))
        return
    for warning in warnings_of(served, after, now_s):
        click.echo(f"warning: {warning}", err=True)
    click.echo(dry_run_text(found))


def _nobody_is_personal(customer_id: str) -> Told:
    """What is new of every customer where consent is asked for first, and no record has any."""
    return NOT_PERSONAL


@rules.command()
@file_argument
@click.option("--url", default="http://127.0.0.1:9000", show_default=True, help="The operator's listener.")
def put(file: Path, url: str) -> None:
    """Put FILE in force, through the operator's listener. The key is read from NEXTBEST_KEY."""
    read_rules_file(file)
    headers = {"Content-Type": "application/toml"}
    if key := os.environ.get("NEXTBEST_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    if not url.startswith(("http://", "https://")):
        raise click.UsageError("--url must begin with http:// or https://")
    request = urllib.request.Request(f"{url.rstrip('/')}/rules", file.read_bytes(), headers, method="PUT")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310  # nosec B310
            click.echo(answer.read().decode())
    except urllib.error.HTTPError as err:
        click.echo(err.read().decode("utf-8", "replace"), err=True)
        if err.code == HTTPStatus.NOT_FOUND:
            click.echo(f"{url} has no rules: {WHERE}", err=True)
        sys.exit(1)
    except urllib.error.URLError as err:
        raise NextbestError(f"{url} can't be asked ({err.reason}): {WHERE}") from err


def dry_run_text(found: DryRun) -> str:
    """A dry run for a terminal."""
    lines = [
        f"{found.customers} customers, version {found.version}: {found.rules_before} → {found.rules_after}"
    ]
    for change in found.placements:
        lines.append(
            f"{change.placement}: {change.changed} of {change.lists} lists change; probabilities add up to "
            f"{change.expected_after:.3f} in ten products, before {change.expected_before:.3f}"
        )
        if change.shorter:
            lines.append(f"  shorter: {change.shorter} lists, of which {change.empty} are empty")
        for word, products in (("enters", change.entering), ("leaves", change.leaving)):
            lines += [
                f"  {word} {moved.lists:>5}  {moved.product_id}  {moved.title}" for moved in products[:10]
            ]
    lines += [
        f"rule {pin.rule}: not at its place in {pin.lists} lists: {pin.why}" for pin in found.pins_not_shown
    ]
    lines += [f"rule {rule}: touches none of these lists" for rule in found.never_fired]
    lines += [f"rule {rule}: not now" for rule in found.asleep]
    return "\n".join(lines)
