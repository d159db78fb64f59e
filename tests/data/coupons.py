"""A small shop with coupons: who likes a brand redeems its coupons, so that there is something to learn."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from storage.history.history import History
from storage.history.options import HistoryOptions
from storage.history.read import read_history

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 1, tzinfo=UTC)
CAMPAIGN_DAYS = (30, 60, 90, 120, 150)


def history_of(
    folder: Path, *, as_of: datetime | None = None, timezone: str = "UTC", **tables: str
) -> History:
    """A history of CSV tables, by name."""
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)
    options = HistoryOptions(timezone=timezone)
    return read_history(str(folder), options, as_of=as_of, rejects=folder / "rejects.csv", now=NOW)


def coupon_shop(folder: Path) -> History:
    """Ten products of ten brands; five campaigns of all customers but the last, the last one yet to come.

    Each customer has two favourites, buys them weekly and redeems their coupons half of the time, others
    once in 30.
    """
    n_customers, rng = 60, np.random.default_rng(0)
    favourites = [rng.choice(10, 2, replace=False) for _ in range(n_customers)]
    bought, redeemed = [], []
    for customer, liked in enumerate(favourites):
        for week in range(22):
            product = rng.choice(liked) if rng.random() < 0.7 else rng.integers(10)
            bought.append(f"c{customer},p{product},{day(week * 7 + int(rng.integers(7)))}")
        for number, start in enumerate(CAMPAIGN_DAYS[:-1]):
            redeemed += [
                f"o{number}-{product},c{customer},{day(start + int(rng.integers(20)))}"
                for product in range(10)
                if rng.random() < (0.5 if product in liked else 0.03)
            ]
    offers = [
        f"o{number}-{product},p{product},0.5,{day(start)},{day(start + 19)},all,"
        for number, start in enumerate(CAMPAIGN_DAYS)
        for product in range(10)
    ]
    return history_of(
        folder,
        as_of=START + timedelta(days=149),
        purchases=table("customer_id,product_id,purchased_at", bought),
        products=table(
            "product_id,category,brand,price,margin",
            [f"p{n},drinks,b{n},{n + 1},{'' if n else 2}" for n in range(10)],
        ),
        offers=table("offer_id,product_ids,discount,starts_at,ends_at,segment,budget", offers),
        redemptions=table("offer_id,customer_id,redeemed_at", redeemed),
        audiences=table("segment,customer_id", [f"all,c{n}" for n in range(n_customers - 1)]),
    )


def table(header: str, lines: list[str]) -> str:
    return "\n".join([header, *lines]) + "\n"


def day(number: int) -> str:
    return f"{START + timedelta(days=number):%Y-%m-%d}"
