"""Do answers get better by what happened since the night? A week of the Complete Journey as live events.

    make bench-replay

runs a night up to the week, then sends every basket of the week to the service in the order of time, by POST
/events into a real record, and asks GET /recommend just before each. The same version, frozen at the start of
the week, is asked beside it. --validation takes the week that choices were made on, and writes nothing.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.arrays import NONE
from service.versions.served import ServedVersion
from storage.versions.store import Store
from tests.benchmarks.page_marks import put_between
from tests.benchmarks.replay_shop import Clock, ReplayShop
from training.commands.complete_journey import source_folder, write_demo
from training.evaluation.bootstrap import Interval, resample

PAGE = Path("docs/benchmarks.md")
VALIDATION, TEST = date(2017, 11, 15), date(2017, 12, 1)
DAYS, K = 7, 10
NIGHT_S = 240
CLI = "from training.cli import main; main()"


@dataclass(frozen=True, slots=True)
class Basket:
    """What a customer bought at once.

    Attributes:
        lines: of each product its quantity.
    """

    customer_id: str
    order_id: str
    at: datetime
    lines: dict[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """How good two answers were just before a basket: NDCG@10.

    Attributes:
        earlier: how many baskets of the week the customer had before this one.
    """

    customer_id: str
    earlier: int
    live: float
    frozen: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--validation", action="store_true", help="the week before; writes nothing")
    parser.add_argument("--folder", type=Path, default=Path(".nextbest/bench"))
    given = parser.parse_args()
    day = VALIDATION if given.validation else TEST
    data, store = given.folder / "complete-journey-data", given.folder / f"replay-{day}"
    if not (data / "nextbest.toml").exists():
        write_demo(source_folder(), data)
    if not (store / "champion.json").exists():
        run_night(data, store, day)
    baskets = baskets_of(data, day)
    text = page(replay(store, baskets), lifted(store, baskets), day)
    print(text)
    if not given.validation:
        PAGE.write_text(put_between(PAGE.read_text(), "replay", text))


def run_night(data: Path, store: Path, day: date) -> None:
    command = [sys.executable, "-c", CLI, "nightly", "--data", data, "--config", data / "nextbest.toml"]
    until = ["--store", store, "--as-of", str(day), "--time-budget", str(NIGHT_S)]
    subprocess.run([*command, *until], check=True)


def baskets_of(data: Path, day: date) -> list[Basket]:
    """The baskets of the week, in the order of time."""
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    at = pl.col("purchased_at")
    found = (
        pl.scan_parquet(data / "purchases.parquet")
        .filter((at >= begins) & (at < begins + timedelta(days=DAYS)))
        .group_by("customer_id", "order_id", "product_id")
        .agg(pl.col("purchased_at").min(), pl.col("quantity").sum())
        .sort("purchased_at", "customer_id", "order_id", "product_id")
        .collect()
    )
    baskets: dict[tuple[str, str], Basket] = {}
    for customer, order, product, when, quantity in found.iter_rows():
        basket = baskets.setdefault((customer, order), Basket(customer, order, when, {}))
        basket.lines[product] = quantity
    return sorted(baskets.values(), key=lambda basket: (basket.at, basket.order_id))


def replay(store: Path, baskets: list[Basket]) -> list[Asked]:
    """Ask before each basket, then send it."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        clock = Clock(baskets[0].at.timestamp())
        live = ReplayShop(store, Path(one), clock)
        frozen = ReplayShop(store, Path(other), Clock(clock.now_s))
        earlier: dict[str, int] = {}
        asked = []
        for basket in baskets:
            clock.now_s = basket.at.timestamp()
            customer, bought = basket.customer_id, set(basket.lines)
            good = [ndcg_of(shop.recommend(customer, K), bought) for shop in (live, frozen)]
            asked.append(Asked(customer, earlier.get(customer, 0), *good))
            earlier[customer] = earlier.get(customer, 0) + 1
            live.send(list(_events(basket)))
        return asked


def lifted(store: Path, baskets: list[Basket]) -> tuple[list[Asked], list[Asked]]:
    """The frozen lists with the lift of orders that follow another on everybody's, in place of what happened.

    Returns:
        before each basket, and of all that each customer bought in the week, `live` being with the lift; of
        customers whom the night knew.
    """
    shop = Store(store)
    champion = shop.champion()
    assert champion is not None
    served = ServedVersion(shop.open(champion.current.version_id), champion.current.variant)
    earlier: dict[str, int] = {}
    week: dict[str, set[str]] = {}
    each: list[Asked] = []

    def asked(customer: str, bought: set[str]) -> Asked:
        rows = np.asarray(served.candidates(served.customers.find(customer)).rows)
        scores = served.moves.lift[rows] / (served.session.first + np.arange(len(rows)))
        better = rows[np.argsort(-scores, kind="stable")]
        lists = ([served.products[row] for row in some[:K].tolist()] for some in (better, rows))
        return Asked(customer, earlier.get(customer, 0), *(ndcg_of(one, bought) for one in lists))

    for basket in baskets:
        customer = basket.customer_id
        if served.customers.find(customer) != NONE:
            each.append(asked(customer, set(basket.lines)))
            earlier[customer] = earlier.get(customer, 0) + 1
            week.setdefault(customer, set()).update(basket.lines)
    return each, [asked(customer, bought) for customer, bought in week.items()]


def _events(basket: Basket) -> Iterator[dict[str, Any]]:
    for product, quantity in basket.lines.items():
        yield {
            "event_id": f"{basket.order_id}-{product}",
            "type": "purchase",
            "customer_id": basket.customer_id,
            "product_id": product,
            "order_id": basket.order_id,
            "quantity": max(quantity, 1.0),
            "occurred_at": basket.at.isoformat(),
        }


def ndcg_of(listed: list[str], bought: set[str], k: int = K) -> float:
    """NDCG@k of a list with binary gain."""
    gains = 1 / np.log2(np.arange(2, k + 2))
    hits = np.array([product in bought for product in listed[:k]], bool)
    return float(gains[: len(hits)][hits].sum() / gains[: min(k, len(bought))].sum())


def page(asked: list[Asked], lift: tuple[list[Asked], list[Asked]], day: date) -> str:
    """The part of the page; `lift` is of `lifted`."""
    each, whole_week = lift
    again = _later(asked)
    customers = len({one.customer_id for one in asked})
    week = f"the week from {day.isoformat()}: {len(asked):,} baskets of {customers:,} customers"
    return f"""`make bench-replay`, Complete Journey, {week},
sent to `POST /events` in the order of time, each after `GET /recommend` was asked for ten products. The same
version, frozen at the start of the week, is asked beside it. NDCG@{K} over the products of the basket;
intervals are 95 %, from customers drawn with replacement, and paired.

| baskets | number | frozen | live | gain |
|---|---|---|---|---|
| all | {len(asked):,} | {_row(asked)} |
| of customers who bought before in the week | {len(again):,} | {_row(again)} |

How much of it is the lift that the night counted in [orders that follow
another](models.md#orders-that-follow-another), and where it belongs: the same lift on everybody's frozen
list, without any event, is worth

| | number | frozen | lifted | gain |
|---|---|---|---|---|
| before the first basket of the week | {len(_first(each)):,} | {_row(_first(each))} |
| before later ones | {len(_later(each)):,} | {_row(_later(each))} |
| for all that a customer buys in the week | {len(whole_week):,} | {_row(whole_week)} |"""


def _first(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if not one.earlier]


def _later(asked: list[Asked]) -> list[Asked]:
    return [one for one in asked if one.earlier]


def _row(asked: list[Asked]) -> str:
    _, customers = np.unique([one.customer_id for one in asked], return_inverse=True)
    values = np.array([(one.frozen, one.live) for one in asked])
    found = resample(values, customers.astype(np.int32), np.zeros(len(asked), np.int32))
    gain = found.difference(1, 0)
    frozen, live = found.mean
    return f"{frozen:.4f} | {live:.4f} | {_signed(gain)}"


def _signed(gain: Interval) -> str:
    return f"{gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"


if __name__ == "__main__":
    main()
