"""What variety costs in NDCG@10 and brings in categories: a store of a past day, and the week after it.

    python -m tests.benchmarks.bench_variety --store DIR --data DIR

asks the store's champion for ten products of everybody who bought in the seven days from its as_of, without a
rule and with rules of some strengths, and compares the answers with what they bought: the same customers, so
that differences are paired. `make bench-replay` leaves such stores of the Complete Journey.
"""

import argparse
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from models.arrays import NONE
from service.answering.first_level import FirstLevel
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.versions.store import Store
from tests.benchmarks.bench_replay import K, ndcg_of
from training.evaluation.bootstrap import resample

DAYS = 7
STRENGTHS = (0.0, 0.25, 0.5, 1.0)
RULE = 'schema = 1\n[[rules]]\nid = "varied"\nkind = "diversity"\nstrength = {}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    given = parser.parse_args()
    store = Store(given.store)
    champion = store.champion()
    if champion is None:
        raise SystemExit(f"{given.store} has no champion: run a night first")
    served = ServedVersion(store.open(champion.current.version_id), champion.current.variant)
    print(page(served, bought_after(given.data, served)))


def bought_after(data: Path, served: ServedVersion) -> dict[str, set[str]]:
    """What each customer of the version bought in the days after it."""
    at = pl.col("purchased_at")
    found = (
        pl.scan_parquet(data / "purchases.parquet")
        .filter((at >= served.as_of) & (at < served.as_of + timedelta(days=DAYS)))
        .select("customer_id", "product_id")
        .unique()
        .collect()
    )
    bought: dict[str, set[str]] = {}
    for customer, product in found.sort("customer_id", "product_id").iter_rows():
        if served.customers.find(customer) != NONE:
            bought.setdefault(customer, set()).add(product)
    return bought


def page(served: ServedVersion, bought: dict[str, set[str]]) -> str:
    """A table, a line for each strength."""
    figures = np.array([_figures(served, bought, strength) for strength in STRENGTHS])
    customers = np.arange(len(bought), dtype=np.int32)
    found = resample(figures[:, 0].T, customers, np.zeros(len(bought), np.int32))
    lines = [
        f"{len(bought):,} customers, {DAYS} days from {served.as_of:%Y-%m-%d}, {served.variant}",
        f"| strength | NDCG@{K} | against none | categories in {K} | brands in {K} |",
        "|---|---|---|---|---|",
    ]
    for place, strength in enumerate(STRENGTHS):
        ndcg, categories, brands = figures[place].mean(axis=1)
        gain = found.difference(place, 0)
        against = f"{gain.mean:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})" if place else ""
        lines.append(f"| {strength} | {ndcg:.4f} | {against} | {categories:.2f} | {brands:.2f} |")
    return "\n".join(lines)


def _figures(served: ServedVersion, bought: dict[str, set[str]], strength: float) -> list[list[float]]:
    """NDCG, categories and brands of each customer's answer."""
    book = RuleBook(parse_rules(RULE.format(strength)))
    recommender = Recommender(FirstLevel(1, 0), None, book=book)
    found = []
    for customer, products in bought.items():
        rows = [pick[0] for pick in recommender.recommend(served, customer, Query(K)).picks]
        ndcg = ndcg_of([served.products[row] for row in rows], products)
        groups = ({column[row] for row in rows} for column in (served.category_row, served.brand_row))
        found.append([ndcg, *(float(len(group - {NONE})) for group in groups)])
    return np.array(found).T.tolist()


if __name__ == "__main__":
    main()
