"""Somebody has a key of the shop's: what of it counts, how far lists move, and that one night undoes it.

Real record, real nights, real commands; the shop is made up. `bench_poison` says how far lists move by the
number of identities.
"""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.arrays import DAY_MS
from service.cli import main
from storage.record.events import DailyCaps, Event, Fate
from storage.record.intake import OVER_CAP
from tests.data.nights import Ran, champion, ids, quick_config, run
from tests.data.poison import CAPS, HONEST, STOLEN, Lists, Shop, pairs, place_of, returns, sent, utc_second
from tests.data.webshop import START, habits, write_shop
from training.exit_codes import GATE_REFUSED

DAYS, CUSTOMERS, PRODUCTS = 60, 80, 40
NOW = START.replace(tzinfo=UTC) + timedelta(days=DAYS + 3)
NOW_MS = int(NOW.timestamp() * 1000)
TARGET, FAMOUS, UNKNOWN = "p38", "p0", "no such product"
REAL = [f"c{number}" for number in range(CUSTOMERS)]


SMALL = DailyCaps(trade=30, others=30)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop with small caps after a night; ten customers bought since its history ends."""
    folder = tmp_path_factory.mktemp("before")
    write_shop(folder / "data", habits(CUSTOMERS, PRODUCTS, DAYS), unsold=range(PRODUCTS))
    shop = shop_in(folder)
    assert {one.fate for one in shop.send(honest(2), HONEST)} == {Fate.RECORDED}
    night(shop)
    return folder


def shop_in(folder: Path) -> Shop:
    known = frozenset(f"p{number}" for number in range(PRODUCTS))
    return Shop(folder / "store", known, NOW_MS - DAY_MS, SMALL)


@pytest.fixture
def shop(before: Path, tmp_path: Path) -> Shop:
    """That shop, of which no attacker knows yet."""
    return shop_in(Path(shutil.copytree(before, tmp_path / "shop")))


def honest(day: int) -> list[Event]:
    """A purchase of ten customers, so many days ago."""
    return [
        sent(f"o{n}-{day}", f"c{n}", f"p{n}", NOW_MS - day * DAY_MS, order=f"o{n}-{day}") for n in range(10)
    ]


def night(shop: Shop) -> dict[str, str]:
    """What a night makes, as `hashes`."""
    ran = run_night(shop)
    assert ran.code == 0, ran.err
    return hashes(shop)


def hashes(shop: Shop) -> dict[str, str]:
    """The hash of every file of the champion, by name."""
    return {name: entry.sha256 for name, entry in champion(shop.store).manifest.files.items()}


def refused(shop: Shop) -> str:
    """Why a night doesn't publish."""
    ran = run_night(shop)
    assert ran.code == GATE_REFUSED, ran.err
    return ran.err


def run_night(shop: Shop) -> Ran:
    folder = shop.store.parent
    if not (folder / "data").exists():
        folder = folder.parent
    as_of = (NOW - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
    where = ["--data", folder / "data", "--store", shop.store, "--config", quick_config(folder)]
    return run("nightly", *where, "--as-of", as_of)


def record(shop: Shop, *arguments: str) -> str:
    ran = CliRunner().invoke(main, ["record", *arguments, "--store", str(shop.store)])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_of_a_flood_the_daily_cap_counts_and_the_rest_lies_aside(shop: Shop) -> None:
    # a day is that on which it comes in: to say that it was bought on several doesn't help
    flood = pairs(["fake"], (TARGET, FAMOUS), orders=SMALL.trade, days=2, now_ms=NOW_MS)
    fates = Counter(one.fate for one in shop.send(flood, STOLEN))
    assert fates == {Fate.RECORDED: SMALL.trade, Fate.QUARANTINED: len(flood) - SMALL.trade}
    (outcome,) = shop.send([sent("u", "fake2", UNKNOWN, NOW_MS)], STOLEN)
    assert (outcome.fate, outcome.reason) == (Fate.QUARANTINED, "unknown product")
    listed = record(shop, "quarantine", "list")
    assert OVER_CAP in listed
    assert STOLEN in listed
    assert HONEST not in listed
    wrong = ["record", "quarantine", "drop", "--store", str(shop.store), "--reason", "unknown products"]
    refused = CliRunner().invoke(main, wrong)
    assert refused.exit_code == 2
    assert "'unknown product'" in refused.output


def attacked(shop: Shop, identities: int, day: int = 1) -> tuple[Lists, Lists]:
    """Lists before and after invented customers bought the target with the famous product all they could.

    Args:
        day: they say that they bought so many days ago.
    """
    before = Lists.of(shop.store, REAL, FAMOUS)
    fakes = [f"fake{number}" for number in range(identities)]
    flood = pairs(fakes, (TARGET, FAMOUS), orders=shop.caps.trade, days=1, now_ms=NOW_MS - (day - 1) * DAY_MS)
    assert Fate.RECORDED in {one.fate for one in shop.send(flood, STOLEN)}
    night(shop)
    return before, Lists.of(shop.store, REAL, FAMOUS)


def test_one_identity_hardly_moves_the_lists_of_others_whatever_it_sends(shop: Shop) -> None:
    before, after = attacked(replace(shop, caps=CAPS), 1)
    assert after.share_with(TARGET) - before.share_with(TARGET) <= 0.05
    assert after.moved_from(before) <= 0.03


@pytest.fixture(scope="module")
def raised(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Lists, Lists]:
    """The shop after twenty identities bought all they could, and the lists before and after."""
    copy = shutil.copytree(before, tmp_path_factory.mktemp("raised") / "shop")
    shop = replace(shop_in(Path(copy)), caps=CAPS)
    return shop, *attacked(shop, 20)


def raised_in_no_list(before: Lists, after: Lists) -> None:
    assert after.share_with(TARGET) - before.share_with(TARGET) <= 0.001
    for name, listed in before.of_all.items():
        was, now = place_of(TARGET, listed), place_of(TARGET, after.of_all[name])
        assert now is None or (was is not None and now >= was), name


def test_twenty_identities_raise_a_product_in_no_list(raised: tuple[Shop, Lists, Lists]) -> None:
    raised_in_no_list(*raised[1:])


def test_nor_do_they_by_purchases_of_a_month_ago(shop: Shop) -> None:
    raised_in_no_list(*attacked(replace(shop, caps=CAPS), 20, day=30))


def test_the_night_says_which_product_it_holds_and_counts_it(raised: tuple[Shop, Lists, Lists]) -> None:
    shop, *_ = raised
    gate = champion(shop.store).manifest.gate
    assert gate.figures["held_products"] >= 1
    assert "Products held, since mostly new customers bought them" in gate.why
    latest = max((shop.store / "runs").iterdir())
    assert (
        f"customers who bought {TARGET} in the last horizon were new to the shop"
        in (latest / "report.html").read_text()
    )
    assert "nextbest_night_held_products" in (shop.store / "nextbest.prom").read_text()


def test_a_rollback_a_purge_and_one_night_undo_all_of_it_byte_for_byte(shop: Shop) -> None:
    customers = ids(champion(shop.store), "customers")
    fakes = [f"fake{number}" for number in range(20)]
    attack = [
        *pairs(fakes, (TARGET, FAMOUS), orders=SMALL.trade, days=1, now_ms=NOW_MS),
        *pairs(REAL[:10], (TARGET, FAMOUS), orders=SMALL.trade, days=2, now_ms=NOW_MS),
        *returns(REAL[10:], FAMOUS, NOW_MS - DAY_MS),
        sent("of-tomorrow", "c20", TARGET, NOW_MS - DAY_MS),  # an id that the shop will use
    ]
    fates = Counter(one.fate for one in shop.send(attack, STOLEN))
    assert fates[Fate.QUARANTINED] > fates[Fate.RECORDED] > 0
    # the shop's own purchases of that day come too late for the cap, and one has an id that is used up
    tomorrow = sent("of-tomorrow", "c20", "p3", NOW_MS - DAY_MS)
    fates_of_honest = [one.fate for one in shop.send([*honest(1), tomorrow], HONEST)]
    assert fates_of_honest == [*[Fate.QUARANTINED] * 10, Fate.CONFLICT]
    night(shop)
    assert set(fakes) < set(ids(champion(shop.store), "customers"))

    purge = ["purge", "--client", STOLEN, "--since", utc_second(shop.now_ms)]
    counted = f"{fates[Fate.RECORDED]:,} events"
    assert f"{counted} of {20 + CUSTOMERS} customers would be deleted" in record(shop, *purge)
    assert f"{counted} deleted" in record(shop, *purge, "--yes")
    assert STOLEN not in record(shop, "quarantine", "list")
    crowded_out = ["release", "--reason", OVER_CAP, "--client", HONEST]
    assert "10 events released" in record(shop, "quarantine", *crowded_out)
    assert [one.fate for one in shop.send([tomorrow], HONEST)] == [Fate.RECORDED]
    assert "27% fewer than the champion's" in refused(shop)  # as long as what was invented answers
    assert run("rollback", "--store", shop.store).code == 0
    healed = night(shop)

    never = replace(shop, store=shop.store.parent / "never" / "store")
    never.store.parent.mkdir()
    never.send([*honest(2), *honest(1), tomorrow], HONEST)
    assert healed == night(never)
    assert ids(champion(shop.store), "customers") == customers


def test_a_rollback_a_purge_and_a_night_give_the_version_before_the_attack(shop: Shop) -> None:
    version_id, clean = champion(shop.store).version_id, hashes(shop)
    shop.send(pairs(["fake", "c1"], (TARGET, FAMOUS), orders=5, days=3, now_ms=NOW_MS), STOLEN)
    assert night(shop) != clean
    record(shop, "purge", "--client", STOLEN, "--since", utc_second(shop.now_ms), "--yes")
    # nobody bought anything since: while the poisoned version answers, the gate takes it for an old export
    assert "before the champion's" in refused(shop)
    assert run("rollback", "--store", shop.store).code == 0
    assert champion(shop.store).version_id == version_id
    assert night(shop) == clean
