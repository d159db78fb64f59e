"""The benchmark of the night: what a copy of a shop is, and how the page takes the table."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from tests.benchmarks.bench_night import OF_CUSTOMERS, Cost, multiplied, table
from tests.benchmarks.page_marks import put_between


def shop(folder: Path) -> Path:
    at = datetime(2017, 1, 1, tzinfo=UTC)
    folder.mkdir()
    lines = pl.DataFrame(
        {
            "customer_id": ["a", "b"],
            "order_id": ["1", "2"],
            "product_id": ["p", "p"],
            "purchased_at": [at, at],
        }
    )
    lines.write_parquet(folder / "purchases.parquet")
    for name in OF_CUSTOMERS[1:]:
        pl.DataFrame({"customer_id": ["a", "b"]}).write_parquet(folder / f"{name}.parquet")
    pl.DataFrame({"product_id": ["p"]}).write_parquet(folder / "products.parquet")
    return folder


def test_a_copy_is_every_customer_again_with_orders_of_their_own_over_the_same_catalogue(
    tmp_path: Path,
) -> None:
    assert multiplied(shop(tmp_path / "shop"), tmp_path / "twice", 2) == 4
    purchases = pl.read_parquet(tmp_path / "twice" / "purchases.parquet")
    assert purchases["customer_id"].to_list() == ["a", "b", "a-1", "b-1"]
    assert purchases["order_id"].to_list() == ["1", "2", "1-1", "2-1"]
    assert purchases["product_id"].unique().to_list() == ["p"]
    assert pl.read_parquet(tmp_path / "twice" / "audiences.parquet").height == 4
    assert pl.read_parquet(tmp_path / "twice" / "products.parquet").height == 1


def test_each_cost_stands_beside_the_first() -> None:
    text = table([Cost(1, 1000, 10.0, 20.0, 1.5), Cost(2, 2000, 15.0, 50.0, 3.0)])
    assert "| 2 | 2,000 | 15 | 1.50 | 50 | 2.50 | 3.0 | 2.00 |" in text


def test_only_what_is_between_the_marks_is_rewritten() -> None:
    text = "by hand\n\n<!-- night: begin -->\nold\n<!-- night: end -->\n\nby hand too\n"
    written = "by hand\n\n<!-- night: begin -->\n\nnew\n\n<!-- night: end -->\n\nby hand too\n"
    assert put_between(text, "night", "new") == written
    assert put_between(written, "night", "new") == written


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(SystemExit, match="has no <!-- night: begin -->"):
        put_between("by hand\n", "night", "new")
