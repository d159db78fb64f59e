"""What an attacker with one key can move in lists: a made-up shop, real records and real nights.

    python -m tests.benchmarks.bench_poison [--customers 600] [--products 150] [--identities 1,5,20]
        [--cap 500] [--sleepers]

Each line is a store of its own: so many invented customers buy one of the least famous products together with
the most famous one, as often as the daily cap lets them, the evening before the night; with --sleepers each
had bought something three weeks before, so that nobody is new. The night has the variants of `nbo-train` but
the ranker. Lists are those of the shop's real customers, before and after.
"""

import argparse
import tempfile
from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

from storage.record.events import DailyCaps, Fate
from tests.data.nights import BLEND, run
from tests.data.poison import CAPS, STOLEN, Lists, Shop, pairs, place_of, sent
from tests.data.webshop import START, habits, write_shop

DAYS = 90


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--customers", type=int, default=600)
    parser.add_argument("--products", type=int, default=150)
    parser.add_argument("--identities", default="1,5,20")
    parser.add_argument("--cap", type=int, default=CAPS.trade, help="of a customer's purchases a day")
    parser.add_argument("--sleepers", action="store_true", help="invented customers are known already")
    given = parser.parse_args()
    numbers = [int(number) for number in given.identities.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        caps = DailyCaps(given.cap, CAPS.others)
        attacked(Path(folder), given.customers, given.products, numbers, caps, given.sleepers)


def attacked(
    folder: Path, customers: int, products: int, numbers: list[int], caps: DailyCaps, are_sleepers: bool
) -> None:
    """Print a table, a line for each number of invented customers."""
    write_shop(folder / "data", habits(customers, products, DAYS), unsold=range(products))
    (folder / "blend.toml").write_text(BLEND)
    real, target = [f"c{number}" for number in range(customers)], f"p{products - 2}"
    known = frozenset(f"p{number}" for number in range(products))
    print(f"{customers} customers, {products} products; at most {caps.trade} purchases of one a day")
    print(
        "| invented customers | sent | counted | with it in ten | of ten new | in popular | similar to p0 |"
    )
    print("|---|---|---|---|---|---|---|")
    before: Lists | None = None
    for number in [0, *numbers]:
        store = Shop(folder / f"store-{number}", known, _ms(DAYS + 1), caps)
        fakes = [f"fake{one}" for one in range(number)]
        if are_sleepers:
            early = _ms(DAYS - 21)
            first = [sent(f"s-{one}", one, f"p{number % 9}", early) for number, one in enumerate(fakes)]
            replace(store, now_ms=early).send(first, STOLEN)
        flood = pairs(fakes, (target, "p0"), orders=caps.trade, days=1, now_ms=_ms(DAYS + 1))
        counted = sum(one.fate is Fate.RECORDED for one in store.send(flood, STOLEN))
        _night(folder, store.store)
        lists = Lists.of(store.store, real, "p0")
        before = before or lists
        places = [
            place_of(target, listed) or "-" for listed in (lists.of_all["popular"], lists.of_all["similar"])
        ]
        print(
            f"| {number} | {len(flood):,} | {counted:,} | {lists.share_with(target):.1%} "
            f"| {lists.moved_from(before):.1%} | {places[0]} | {places[1]} |",
            flush=True,
        )


def _ms(day: int) -> int:
    return int((START.replace(tzinfo=UTC) + timedelta(days=day)).timestamp() * 1000)


def _night(folder: Path, store: Path) -> None:
    as_of = (START + timedelta(days=DAYS + 2)).strftime("%Y-%m-%d")
    where = ["--data", folder / "data", "--store", store, "--config", folder / "blend.toml"]
    ran = run("nightly", *where, "--as-of", as_of)
    if ran.code:
        raise SystemExit(ran.err)


if __name__ == "__main__":
    main()
