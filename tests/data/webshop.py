"""A made-up shop whose customers have habits, written in our contract or as a foreign web shop's export."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

COLUMNS = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
FEES = [("POST", "POSTAGE"), ("DOT", "DOTCOM POSTAGE"), ("BANK CHARGES", "Bank Charges")]
START = datetime(2010, 12, 1, 8, 26)  # a Wednesday
CONFIG = """
[history]
timezone = "Europe/London"
encoding = "latin-1"

[history.purchases]
path = "online.csv"
date_format = "%m/%d/%Y %H:%M"
id_cleanup = true
cancellation = "^C"
exclude_products = ["POST", "DOT", "BANK CHARGES"]
skip_anonymous = true

[history.purchases.columns]
customer_id = "CustomerID"
product_id = "StockCode"
purchased_at = "InvoiceDate"
order_id = "InvoiceNo"
quantity = "Quantity"
unit_price = "UnitPrice"
title = "Description"
"""


@dataclass(frozen=True)
class Line:
    """One product of one order; customer and product are numbers from 0, at is the shop's local time."""

    order: int
    customer: int
    product: int
    quantity: int
    at: datetime


def habits(customers: int = 200, products: int = 80, days: int = 100, seed: int = 0) -> list[Line]:
    """What they bought, by time. Each comes every 4 to 14 days and takes its own favourites by turns, and
    sometimes what is popular: product 0 the most, each next one less. Every tenth order has a product twice.
    """
    random = Random(seed)
    fame = [1 / (place + 3) for place in range(products)]
    visits: list[tuple[datetime, int, list[int]]] = []
    for customer in range(customers):
        favourites = [random.randrange(products) for _ in range(6)]
        pause, turn = random.uniform(4, 14), random.randrange(6)
        day = random.uniform(0, pause)
        while day < days:
            opened = START + timedelta(days=int(day))
            taken = {favourites[turn % 6], favourites[(turn + 1) % 6]}
            taken |= set(random.choices(range(products), fame, k=random.randint(1, 3)))
            visits.append((opened + timedelta(minutes=random.randrange(600)), customer, sorted(taken)))
            day, turn = day + pause * random.uniform(0.7, 1.3), turn + 1
    return [
        Line(order, customer, product, random.randint(1, 12), at)
        for order, (at, customer, taken) in enumerate(sorted(visits))
        for product in (taken + taken[:1] if order % 10 == 0 else taken)
    ]


def write_shop(
    folder: Path, lines: Iterable[Line], *, sold_out: Sequence[int] = (), unsold: Iterable[int] = ()
) -> Path:
    """Purchases and products in our contract; customers are c0, c1, ..., products p0, p1, ...

    The table of products has those of the lines, and `unsold`.
    """
    lines = list(lines)
    folder.mkdir(parents=True, exist_ok=True)
    _write(
        folder / "purchases.csv",
        ["customer_id", "product_id", "purchased_at", "order_id", "quantity"],
        [(f"c{x.customer}", f"p{x.product}", x.at.isoformat(), x.order, x.quantity) for x in lines],
    )
    _write(
        folder / "products.csv",
        ["product_id", "title", "category", "price", "stock"],
        [
            (
                f"p{number}",
                title(number),
                f"Aisle {number % 5}",
                price(number),
                0 if number in sold_out else 9,
            )
            for number in sorted({line.product for line in lines}.union(unsold))
        ],
    )
    return folder


def write_foreign(folder: Path, lines: Iterable[Line]) -> Path:
    """`online.csv` and its `nextbest.toml`: a quarter more lines without customer, every 50th order cancelled
    later, postage on every tenth, ids that went through a spreadsheet, latin-1.
    """
    random = Random(0)
    rows: list[tuple[object, ...]] = []
    for line in lines:
        invoice, at = 536365 + line.order, written(line.at)
        customer = f"{customer_number(line.customer)}.0"
        row = (stock_code(line.product), title(line.product), line.quantity, at, price(line.product))
        rows.append((invoice, *row, customer))
        if random.random() < 1 / 3:
            rows.append((f"{900000 + line.order}", *row, ""))
        if line.order % 50 == 0:
            later = written(line.at + timedelta(hours=3))
            rows.append((f"C{invoice}", *row[:2], -line.quantity, later, price(line.product), customer))
        if line.order % 10 == 0:
            code, name = FEES[line.order // 10 % 3]
            rows.append((invoice, code, name, 1, at, 18.0, customer))
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "online.csv", COLUMNS, rows, encoding="latin-1")
    (folder / "nextbest.toml").write_text(CONFIG)
    return folder


def title(product: int) -> str:
    return f"SET OF {product} CAFÉ SIGNS, £{price(product)} EACH"


def price(product: int) -> float:
    return round(0.85 + product * 0.1, 2)


def stock_code(product: int) -> str:
    """Some codes end in a letter, as colours do."""
    return f"{21000 + product}{'B' if product % 3 else ''}"


def customer_number(customer: int) -> int:
    return 17000 + customer


def written(at: datetime) -> str:
    return f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02}"


def _write(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], encoding: str = "utf-8"
) -> None:
    with path.open("w", newline="", encoding=encoding) as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows(rows)
