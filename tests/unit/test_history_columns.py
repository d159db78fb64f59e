"""Which source and which column of it a shop means: what nobody can tell is refused."""

from pathlib import Path

import polars as pl
import pytest

from models.errors import BadConfigError
from tests.data.exports import HEADER, read, refusal, write


@pytest.mark.parametrize(
    ("data", "table", "options", "told"),
    [
        (
            "sqlite:///shop.db",
            "purchases",
            {"path": "sales.csv", "query": "SELECT * FROM sales"},
            "[history.purchases] path: --data is a database URL, of which no table is read by path: "
            "take it out, or use query",
        ),
        (
            "shop",
            "products",
            {"query": "SELECT * FROM articles"},
            "[history.products] query: --data is a folder, of which no table is read by query: "
            "take it out, or use path",
        ),
    ],
)
def test_where_a_table_is_in_another_kind_of_source_is_refused(
    tmp_path: Path, data: str, table: str, options: dict[str, str], told: str
) -> None:
    with pytest.raises(BadConfigError) as refused:
        read(data, rejects=tmp_path / "rejects.csv", **{table: options})
    assert str(refused.value) == told


def test_a_missing_column_is_named_with_what_there_is(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "customer_id,sku,purchased_at\n")) == (
        "purchases.csv: no column 'product_id'; it has customer_id, sku, purchased_at."
        " Map product_id in [history.purchases.columns]"
    )
    both = {"columns": {"customer_id": "buyer", "order_id": "invoice"}}
    assert refusal(tmp_path, purchases=both) == (
        "purchases.csv: no columns 'buyer' for customer_id, 'product_id', 'invoice' for order_id; it has "
        "customer_id, sku, purchased_at. Map them in [history.purchases.columns]"
    )
    mapped = {"columns": {"product_id": "sku", "order_id": "invoice"}}
    assert "no column 'invoice' for order_id" in refusal(tmp_path, purchases=mapped)


@pytest.mark.parametrize("end", ["", '"open\n'])  # read quickly, and line by line
@pytest.mark.parametrize("second", ["product_id", " product_id"])
def test_two_columns_of_a_name_that_is_looked_for_are_refused(tmp_path: Path, second: str, end: str) -> None:
    write(tmp_path, f"customer_id,product_id,{second},purchased_at,note,note,,\na,p,q,2020-01-01,,,,\n{end}")
    assert refusal(tmp_path) == (
        "purchases.csv: 2 columns 'product_id': rename all but one, or name others in"
        " [history.purchases.columns]"
    )
    write(tmp_path, f"customer_id,product_id,{second},purchased_at,sku\na,p,q,2020-01-01,r\n{end}")
    history = read(tmp_path, purchases={"columns": {"product_id": "sku"}})
    assert history.products["product_id"].to_list() == ["r"]


def test_two_of_a_shops_own_columns_of_one_name_are_refused_where_they_are_kept(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    write(tmp_path, "customer_id,city,city,,\na,Ulm,Bonn,,\n", "customers.csv")
    assert refusal(tmp_path).startswith("customers.csv: 2 columns 'city': ")


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    lines = pl.DataFrame({"customer_id": ["a"], "noteA": ["1"], "noteB": ["2"]})
    lines.write_parquet(tmp_path / "purchases.parquet")
    content = (tmp_path / "purchases.parquet").read_bytes().replace(b"noteB", b"noteA")
    write(tmp_path, content, "purchases.parquet")
    assert refusal(tmp_path) == (
        "purchases.parquet: column with name 'noteA' has more than one occurrence:"
        " a name must be that of one column"
    )


def test_columns_that_are_not_read_are_counted_by_name_over_all_files(tmp_path: Path) -> None:
    write(tmp_path, "customer_id,product_id,purchased_at, Qty,note\na,p,2020-01-01,2,x\n", "purchases-1.csv")
    frame = pl.DataFrame(
        {"customer_id": ["b"], "product_id": ["p"], "purchased_at": ["2020-01-01"], "Land": 1}
    )
    frame.write_parquet(tmp_path / "purchases-2.parquet")
    write(tmp_path, "customer_id,tier\na,gold\n", "customers.csv")
    counts = read(tmp_path).counts
    assert counts["purchases"].unread == ("Qty", "note", "Land")
    assert counts["customers"].unread == ()
    assert counts["purchases"].nearly_ours == ()


def test_a_file_whose_column_is_nearly_called_as_that_of_another_is_told_too(tmp_path: Path) -> None:
    write(tmp_path, "customer_id,product_id,purchased_at,quantity\na,p,2020-01-01,2\n", "purchases-1.csv")
    write(tmp_path, "customer_id,product_id,purchased_at,Quantity\nb,p,2020-01-01,2\n", "purchases-2.csv")
    assert read(tmp_path).counts["purchases"].nearly_ours == (("Quantity", "quantity"),)


def test_lines_that_all_end_in_a_separator_which_the_header_lacks_are_said_to(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01,\n" * 2)
    assert refusal(tmp_path, max_reject_share=0.1).endswith(
        "; a cell with a separator is quoted, and where lines end in one, so does the header"
    )
