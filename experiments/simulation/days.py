"""Days of a made-up shop, played against a running service: everything goes through its own routes."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from experiments.simulation.client import ShopClient
from experiments.simulation.shop import SimulatedShop, Visit
from experiments.specification import Specification
from experiments.statistics.explored import OWN, lot_of, slate_of
from models.arrays import DAY_S

PLACES = 10
MS = timedelta(milliseconds=1)


@dataclass(eq=False)
class Simulation:
    """One run.

    Args:
        run: begins the id of every event, so that they can be told from real ones.
    Attributes:
        visited_ms: when each answer was shown, in simulated Unix milliseconds, by request.
        counts: visits and events of each kind, and events that were not recorded.
    """

    client: ShopClient
    shop: SimulatedShop
    experiment_id: str
    control: str
    run: str
    seed: int
    visited_ms: dict[str, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def play(self, start: datetime, days: int) -> None:
        """All days, each customer by their own chance; events are told at the end of each day."""
        rng = np.random.default_rng(self.seed)
        for day in range(days):
            events: list[dict[str, Any]] = []
            for second, customer_id in self._visitors(rng):
                events += self._visit(customer_id, start + timedelta(days=day, seconds=second), rng)
            if events:
                self.counts["not recorded"] += len(events) - self.client.events(events)

    def _visitors(self, rng: np.random.Generator) -> list[tuple[int, str]]:
        """Who comes on a day, in the order of time."""
        come = [name for name, taste in self.shop.tastes.items() if rng.random() < taste.visits_a_day]
        return sorted((int(rng.integers(DAY_S)), name) for name in come)

    def _visit(self, customer_id: str, at: datetime, rng: np.random.Generator) -> list[dict[str, Any]]:
        answer = self.client.recommend(customer_id, PLACES)
        request_id = str(answer["request_id"])
        arms = {one["id"]: one["variant"] for one in answer["experiments"]}
        arm = arms.get(self.experiment_id, self.control)
        shown = [one["product_id"] for one in answer["recommendations"]]
        taste = self.shop.tastes[customer_id]
        visit = self.shop.visit(taste, shown, has_lift=arm != self.control, rng=rng)
        self.visited_ms[request_id] = int(at.timestamp() * 1000)
        self.counts["visits"] += 1
        self.counts["exposed"] += self.experiment_id in arms
        return self._events(customer_id, request_id, at, visit)

    def _events(self, customer_id: str, request_id: str, at: datetime, visit: Visit) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = [
            {
                "type": "click",
                "request_id": request_id,
                "position": one.position,
                "product_id": one.product_id,
            }
            for one in visit.clicked
        ]
        order = {"type": "purchase", "order_id": f"{self.run}.{request_id}"}
        for product_id, n in Counter(one.product_id for one in visit.bought).items():
            price = self.shop.prices.get(product_id, 0.0)
            said.append(order | {"product_id": product_id, "quantity": n, "unit_price": round(price, 2)})
        if visit.bought:
            said.append({"type": "survey", "question": "nps"})
        if visit.nps is not None:
            said.append({"type": "survey", "question": "nps", "score": visit.nps})
        self.counts.update(event["type"] for event in said)
        return [
            event
            | {
                "event_id": f"{self.run}.{request_id}.{place}",
                "customer_id": customer_id,
                "occurred_at": (at + (place + 1) * MS).isoformat(),
            }
            for place, event in enumerate(said)
        ]


def dated(exposures: pl.DataFrame, visited_ms: dict[str, int]) -> pl.DataFrame:
    """Exposures of a run as of the simulated time of each; others are left out."""
    times = pl.DataFrame(
        {"request_id": list(visited_ms), "visited_ms": list(visited_ms.values())},
        schema={"request_id": pl.String, "visited_ms": pl.Int64},
    )
    found = exposures.join(times, on="request_id", how="inner", maintain_order="left")
    return (
        found.with_columns(at_ms=pl.col("visited_ms")).drop("visited_ms").sort("at_ms", maintain_order=True)
    )


def true_clicks(
    exposures: pl.DataFrame, shop: SimulatedShop, specification: Specification
) -> dict[str, dict[str, float]]:
    """What a report should find of places filled by lot: for each arm that has one, by who chooses, how many
    clicks an answer would get on average, of the answers that were given."""
    found: dict[str, dict[str, float]] = {}
    for arm in specification.arms:
        sums: dict[str, list[float]] = {}
        theirs = exposures.filter((pl.col("variant") == arm.name) & ~pl.col("is_forced"))
        for customer_id, items in theirs.select("customer_id", "items").iter_rows():
            lot = lot_of(items)
            if lot is None:
                continue
            for name, place in ({OWN: 0} | lot.rivals).items():
                slate = slate_of(items, lot, place)
                sums.setdefault(name, []).append(shop.clicks_of(shop.tastes[customer_id], slate))
        if arm.explore:
            found[arm.name] = {name: float(np.mean(values)) for name, values in sums.items()}
    return found
