"""Exports of shops, written on the spot: a few lines by hand, or a web shop's file with all its quirks."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import polars as pl
import pytest

from models.errors import BadHistoryError
from storage.history.history import History
from storage.history.options import HistoryOptions
from storage.history.read import read_history

NOW = datetime(2026, 11, 22, tzinfo=UTC)
HEADER = "customer_id,product_id,purchased_at\n"
WEB_SHOP_HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID\n"
WEB_SHOP_OPTIONS = {
    "timezone": "Europe/London",
    "encoding": "cp1252",
    "purchases": {
        "path": "online.csv",
        "columns": {
            "customer_id": "CustomerID",
            "product_id": "StockCode",
            "purchased_at": "InvoiceDate",
            "order_id": "InvoiceNo",
            "quantity": "Quantity",
            "unit_price": "UnitPrice",
            "title": "Description",
        },
        "date_format": "%m/%d/%Y %H:%M",
        "id_cleanup": True,
        "cancellation": "^C",
        "exclude_products": ["POST", "D", "DCGS.*"],
        "skip_anonymous": True,
    },
}


def write(folder: Path, content: str | bytes, name: str = "purchases.csv") -> Path:
    """One file of a shop's folder, and the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(
    data: Path | str,
    *,
    as_of: datetime | None = None,
    now: datetime = NOW,
    rejects: Path | None = None,
    **options: object,
) -> History:
    """Read a history with these options; all lines may be bad unless the options say otherwise."""
    settings = HistoryOptions.model_validate({"max_reject_share": 1.0} | options)
    file = rejects or Path(str(data)) / "out" / "rejects.csv"
    return read_history(str(data), settings, as_of=as_of, rejects=file, now=now)


def refusal(folder: Path, **options: object) -> str:
    """Why a history can't be read."""
    with pytest.raises(BadHistoryError) as caught:
        read(folder, **options)
    return str(caught.value)


def rejected(folder: Path) -> pl.DataFrame:
    """What stands in the reject file that `read` left."""
    return pl.read_csv(folder / "out" / "rejects.csv", infer_schema=False, empty_string_is_null=False)


def web_shop_export(n: int) -> bytes:
    """n lines as a web shop writes them: cp1252, a quarter without customer, cancellations, postage."""
    random = Random(0)
    lines = []
    for i in range(n):
        at = datetime(2010, 12, 1, 8, 26) + timedelta(minutes=7 * i)
        order = f"{'C' if random.random() < 0.02 else ''}{536365 + i // 5}"
        product = random.choice(["85123A", "71053", "POST", "DCGS0003", "22752", "D"])
        quantity = -1 if order[0] == "C" else random.randint(1, 12)
        customer = "" if random.random() < 0.25 else f"{17850 + i // 10}.0"
        time = f"{at.month}/{at.day}/{at.year} {at.hour}:{at.minute:02}"
        lines.append(
            f'{order},{product},"CAFÉ SIGN, {product} £",{quantity},{time},{random.random():.2f},{customer}'
        )
    return (WEB_SHOP_HEADER + "\r\n".join(lines) + "\r\n").encode("cp1252")
