"""A night and an evaluation say of every table what became of the lines that nothing is learned from."""

from datetime import date, timedelta
from pathlib import Path

from tests.data.nights import QUICK, Ran, run

HEAD = "customer_id,product_id,purchased_at,order_id,quantity"
CONFIG = QUICK + '\n[history.purchases]\ncancellation = "^C"\n'
FOUND = {
    "cancellation": 2,
    "quantity: zero or negative": 1,
    "products: stock: not a number": 1,
    "products: listed again further down": 1,
}


def shop(folder: Path) -> Path:
    """Thirty customers who come every week; two cancellations, a quantity of 0, and two lines of products."""
    lines = [
        f"c{c},{(c + week) % 3},{date(2024, 1, 1) + timedelta(7 * week + c % 7)},{c}-{week},1"
        for c in range(30)
        for week in range(12)
    ]
    odd = ["c1,0,2024-02-01,C1,1", "c2,0,2024-02-01,C2,1", "c3,0,2024-02-01,3,0"]
    (folder / "purchases.csv").write_text("\n".join([HEAD, *lines, *odd, ""]))
    rows = [f"{n},Tea {n},1" for n in range(12)]
    (folder / "products.csv").write_text(
        "\n".join(["product_id,title,stock", *rows, "0,Tea,2", "1,Milk,some", ""])
    )
    (folder / "nextbest.toml").write_text(CONFIG)
    return folder


def lost(ran: Ran) -> dict[str, int]:
    assert ran.code == 0, ran.err
    found: dict[str, int] = next(each for each in ran.events if each["event"] == "not learned from")["lines"]
    return found


def test_a_night_tells_the_lines_that_it_did_not_learn_from_table_by_table(tmp_path: Path) -> None:
    data = shop(tmp_path)
    ran = run("nightly", "--data", data, "--store", data / "store", "--config", data / "nextbest.toml")
    assert lost(ran) == FOUND
    page = Path(ran.events[-1]["report"]).read_text()
    for reason in FOUND:
        assert reason in page
    assert "7.1%" in page  # one of the 14 lines of products


def test_an_evaluation_tells_them_too(tmp_path: Path) -> None:
    data = shop(tmp_path)
    common = ("--data", data, "--config", data / "nextbest.toml", "--variant", "popular")
    assert lost(run("evaluate", *common, "--out", data / "out")) == FOUND
