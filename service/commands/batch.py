"""`nbo-serve batch`: a campaign's lists as a file, by the same use case as the route."""

import contextlib
import logging
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import click
import structlog

from models.arrays import DAY_S
from models.errors import NextbestError
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.answering.languages import ENGLISH, LANGUAGES
from service.answering.showings import Showings
from service.cache.redis_cache import RedisCache
from service.cache.server import SOCKET
from service.commands.campaign import Campaign
from service.commands.campaign_file import WRITERS, BadOutError, write_lists
from service.errors import RefusedError
from service.live.changes import ChangesFollower
from service.live.customers import LiveCustomers
from service.live.reader import LiveReader
from service.offers.campaign_promises import CampaignPromises
from service.offers.desk import OfferDesk
from service.processes.private_folder import private_folder
from service.recommender import Recommender
from service.record import RecordDoor, prepare_now
from service.rules.book import RuleBook
from service.rules.kept import KeptRules
from service.rules.watch import read_rules_file
from service.settings import Settings
from service.trials.plan import PlanFollower
from service.versions.champion import Serving
from service.versions.opened import StoreChampion, store_of
from service.web.parameters import N_DEFAULT, OBJECTIVES, parse_personal_query
from storage.files.shop_files import note_shop_file
from storage.record.consent import PRESETS
from storage.record.service_default import other_default
from storage.store_option import store_option

RECORD_TIMEOUT_MS = 10_000  # nobody waits for a page here
REDIS_TIMEOUT_MS = 1000
REDIS_LOST_S = 5.0  # what isn't asked is shown too often
TELL_EACH_S = 5.0
HEADING = re.compile("customer[_ -]?id", re.IGNORECASE)
BOM = "\ufeff"  # within a file, too, where several were joined

ids_file = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@store_option
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File to write: {', '.join(WRITERS)}.",
)
@click.option(
    "--customers", type=ids_file, help="Whose lists, an id on each line.  [default: everybody who bought]"
)
@click.option(
    "--suppress", type=ids_file, multiple=True, help="Who must not get any, an id on each line; once or more."
)
@click.option(
    "--without-consent",
    type=click.Choice(["leave-out", "popular"]),
    default="leave-out",
    show_default=True,
    help="What becomes of those who allow no personal answers.",
)
@click.option("--placement", help="Where it will be shown, such as mail: the rules of that placement hold.")
@click.option("--n", default=N_DEFAULT, show_default=True, help="Products for each.")
@click.option("--objective", type=click.Choice(OBJECTIVES), default=OBJECTIVES[0], show_default=True)
@click.option("--category", help="Only products of this category.")
@click.option("--exclude", help="Product ids that may not be shown, joined by commas.")
@click.option(
    "--language", type=click.Choice(LANGUAGES), default=ENGLISH, show_default=True, help="Of the reasons."
)
def batch(
    store: Path,
    out: Path,
    customers: Path | None,
    suppress: tuple[Path, ...],
    without_consent: str,
    language: str,
    **asked: object,
) -> None:
    """Write what each customer of a campaign would be recommended now, by rules, stock, consent and erasures.

    Settings of the service hold here too, from the same NEXTBEST_ variables. Exit code 1 and no file where
    consents, erasures or rules can't be read.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if out.suffix not in WRITERS:
        raise BadOutError(out, f"must end in {', '.join(WRITERS)}")
    told = {name: value for name, value in asked.items() if value is not None}
    query = parse_personal_query(urlencode(told).encode())
    settings = Settings(store=store, record_timeout_ms=RECORD_TIMEOUT_MS)  # type: ignore[call-arg]
    suppressed = frozenset(one for path in suppress for one in ids_of(path))
    campaign = open_campaign(settings, suppressed, is_for_all=without_consent == "popular")
    named = ids_of(customers) if customers else campaign.everybody()
    answers = _with_progress(campaign, campaign.lists(named, query, language))

    def note() -> frozenset[str]:
        campaign.keep_promises()
        note_shop_file(store, out, "nbo-serve batch", now=datetime.now(UTC))
        return campaign.withdrawn()  # whoever is erased after this has a receipt that names the file

    try:
        write_lists(out, answers, note)
    finally:
        with contextlib.suppress(RefusedError):  # after a file that was written there is nothing left to keep
            campaign.keep_promises()
    _say_what_came_of_it(campaign, out, len(suppressed))


def _warn_of_another_default(door: RecordDoor, own: str) -> None:
    if other := door.do(lambda record: other_default(record, own)):
        click.echo(
            f"warning: the service allows customers who said nothing the preset {other}, this command {own}: "
            "set NEXTBEST_CONSENT_DEFAULT here too",
            err=True,
        )


def _say_what_came_of_it(campaign: Campaign, out: Path, suppressed: int) -> None:
    """How many got a list and who was left out, and what looks wrong about it.

    Args:
        suppressed: how many ids were to suppress.
    """
    tally = campaign.tally
    click.echo(f"{out}: {tally.listed} customers")
    if tally.strangers:
        click.echo(f"no known customer, so with what is popular: {tally.strangers} of them")
    for why, number in sorted(tally.left_out.items()):
        click.echo(f"left out, {why}: {number}")
    if unmet := campaign.unmet():
        click.echo(f"to suppress, but no known customer: {unmet} of {suppressed} ids")
    if tally.strangers and tally.strangers == tally.listed:
        click.echo("warning: none of these is a known customer: are these the right ids?", err=True)
    elif tally.first_stranger is not None:
        click.echo(
            f"warning: the first line names {tally.first_stranger!r}, who is no known customer: is it a "
            "heading? Only customer_id is taken for one",
            err=True,
        )
    if not tally.looked_at:
        click.echo("warning: there was nobody to write to", err=True)
    if campaign.showings is not None and campaign.showings.is_alone:
        click.echo(
            "warning: no Redis: rules of frequency knew these lists alone, and these won't be known", err=True
        )
    if running := ", ".join(entry.experiment_id for entry in campaign.plan().entries):
        click.echo(
            f"warning: {running} runs: its customers got the champion's lists here, whatever their variant",
            err=True,
        )
    if suppressed and not tally.left_out["suppressed"]:
        click.echo(
            "warning: nobody of those to suppress was among the customers: are these the right ids?", err=True
        )


def open_campaign(settings: Settings, suppressed: frozenset[str], *, is_for_all: bool) -> Campaign:
    """What a worker knows after its start: the champion, the rules, live products, consents and purchases.

    Raises:
        NextbestError: some of it can't be had, and then nobody is written to.
    """
    champion = StoreChampion(store_of(settings))
    served = champion.required()
    prepare_now(settings)
    book = RuleBook()
    if settings.rules:
        book.take(read_rules_file(settings.rules))
    default = PRESETS[settings.consent_default]
    known = LiveCustomers(default, most=settings.live_customers)
    door = RecordDoor(settings, _NobodyCounts())
    kept = KeptRules(private_folder(settings.store) / "rules.json")
    changes = ChangesFollower(door, champion.live, None if settings.rules else book, kept)
    reader = LiveReader(door, known, lambda: served.since)

    showings = Showings(known, _showings_store(settings))
    offers = OfferDesk(known.of, book, showings=showings)
    promises = offers.promises = CampaignPromises(
        door,
        lambda: offers.book_of(served).budgets,
        f"batch {socket.gethostname()}-{os.getpid()}",
        life_s=settings.promise_days * DAY_S,
        stores_by_default=default.store,
    )

    plans = PlanFollower(door)

    def look() -> None:
        plans.look()
        changes.look()
        reader.look()
        while reader.is_behind:
            reader.go_on()

    look()
    _warn_of_another_default(door, settings.consent_default)
    recommender = Recommender(
        FirstLevel(1, 0), None, known.of, book=book, showings=showings, costs_of=offers.costs
    )
    serving = Serving(served, AnswerWriter(served))
    return Campaign(
        serving,
        recommender,
        offers,
        known,
        look,
        suppressed=suppressed,
        is_for_all=is_for_all,
        turn=promises.turn,
        poll_s=settings.changes_poll_s,
        showings=showings,
        plan=lambda: plans.current,
    )


def _showings_store(settings: Settings) -> RedisCache | None:
    """The Redis of the service: the shop's own, or that which a running service keeps for this store."""
    own = private_folder(settings.store) / SOCKET
    if settings.redis_url:
        url = settings.redis_url.get_secret_value()
    elif own.exists():
        url = f"unix://{own}"
    else:
        return None
    return RedisCache(
        url,
        timeout_ms=REDIS_TIMEOUT_MS,
        ttl_s=settings.list_ttl_s,
        counters=_NobodyCounts(),
        lost_s=REDIS_LOST_S,
    )


def ids_of(path: Path) -> Iterator[str]:
    """The ids of a file, one on each line; a first line `customer_id` is a heading, in capitals or not.

    As those of events they lose the blanks around them, and the quotes of a CSV cell.

    Raises:
        NextbestError: it isn't UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file):
                customer_id = _id_in(line)
                if customer_id and not (number == 0 and HEADING.fullmatch(customer_id)):
                    yield customer_id
    except UnicodeDecodeError as err:
        raise NextbestError(f"{path.name} is not UTF-8") from err


def _id_in(line: str) -> str:
    cell = line.replace(BOM, "").strip()
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].replace('""', '"').strip()
    return cell


def _with_progress(campaign: Campaign, answers: Iterator[str]) -> Iterator[str]:
    """The answers; now and then a line on standard error says how far it is."""
    next_s = time.monotonic() + TELL_EACH_S
    for answer in answers:
        yield answer
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + TELL_EACH_S
            tally = campaign.tally
            click.echo(f"{tally.looked_at} customers so far, {tally.listed} with a list", err=True)


class _NobodyCounts:
    def record_failed(self) -> None:
        """There is no page of metrics here: the command ends and says why."""

    def cache(self, outcome: str) -> None: ...
    def redis_down(self, is_down: bool) -> None: ...
