"""How far lists move by day is learned by the night, unless the shop says it."""

from datetime import datetime, timedelta
from pathlib import Path

from models.session import SessionFigures
from models.strangers import Counts
from tests.data.nights import champion, quick_config, run

START = datetime(2018, 1, 1, 8)
PURCHASES = "customer_id,product_id,purchased_at,order_id\n"


def test_a_night_learns_what_the_shop_does_not_say(tmp_path: Path) -> None:
    """Each customer has a dozen products and buys four of them in turn: what was bought isn't needed again
    before the others are."""
    lines = [
        f"c{customer},p{(customer + 4 * (n % 3) + more) % 60},{START + timedelta(days=day)},o{customer}-{n}"
        for customer in range(40)
        for n, day in enumerate(range(customer % 6, 120, 6))
        for more in range(4)
    ]
    (tmp_path / "purchases.csv").write_text(PURCHASES + "\n".join(lines))
    config = quick_config(tmp_path, "[session]\nsimilar = 0.2\n")
    store = tmp_path / "store"
    ran = run(
        "nightly", "--data", tmp_path, "--store", store, "--config", config, "--horizon-days", 28, "--force"
    )
    assert ran.code == 0, ran.err
    version = champion(store)
    figures = SessionFigures(*version.array("session/figures"), *version.array("session/similar"))
    assert figures.half_life > SessionFigures().half_life
    assert (figures.similar, figures.first) == (0.2, 2.0)
    (said,) = (event for event in ran.events if event["event"] == "lists by day")
    assert {name: said[name] for name in figures._fields} == figures._asdict()
    assert said["strangers"] == Counts(*version.array("session/stranger_counts"))._asdict()
