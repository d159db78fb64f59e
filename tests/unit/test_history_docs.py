"""docs/data.md is true: its examples read other shops' exports and tables, and every column stands in it."""

import re
import sqlite3
import tomllib
from pathlib import Path

import pytest

from storage.history.contract import TABLES
from storage.history.history import History
from tests.data.exports import read, web_shop_export, write

MAGENTO = """
CREATE TABLE sales_order (entity_id, customer_id, created_at, state);
CREATE TABLE sales_order_item (order_id, parent_item_id, product_id, name, qty_ordered, price);
INSERT INTO sales_order VALUES
    (1, 7, '2026-11-01 10:00:00', 'complete'), (2, NULL, '2026-11-02 10:00:00', 'complete'),
    (3, 8, '2026-11-03 10:00:00', 'canceled'), (4, 8, '2026-11-04 10:00:00', 'processing');
INSERT INTO sales_order_item VALUES
    (1, NULL, 100, 'Tee', 2.0, 20.0), (1, 1, 101, 'Tee S', 2.0, 0.0), (2, NULL, 102, 'Mug', 1.0, 9.0),
    (3, NULL, 102, 'Mug', 1.0, 9.0), (4, NULL, 102, '"Big" mug', 1.0, 9.0);
"""
WOOCOMMERCE = """
CREATE TABLE wp_wc_order_stats (order_id, date_created_gmt, status);
CREATE TABLE wp_wc_order_product_lookup (order_id, product_id, customer_id, product_qty, product_net_revenue);
CREATE TABLE wp_wc_customer_lookup (customer_id, user_id);
CREATE TABLE wp_posts (ID, post_title);
INSERT INTO wp_posts VALUES (100, 'Tee'), (102, '"Big" mug');
INSERT INTO wp_wc_customer_lookup VALUES (1, 7), (2, NULL), (3, 8);
INSERT INTO wp_wc_order_stats VALUES
    (1, '2026-11-01 10:00:00', 'wc-completed'), (2, '2026-11-02 10:00:00', 'wc-completed'),
    (3, '2026-11-03 10:00:00', 'wc-cancelled'), (4, '2026-11-04 10:00:00', 'wc-processing'),
    (5, '2026-11-05 10:00:00', 'wc-completed');
INSERT INTO wp_wc_order_product_lookup VALUES
    (1, 100, 1, 2, 40.0), (2, 102, 2, 1, 9.0), (3, 102, 3, 1, 9.0), (4, 102, 3, 1, 9.0),
    (5, 100, 1, -1, -20.0);
"""
SHOPIFY = """Name,Email,Paid at,Created at,Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku
#1,7,2026-11-01 11:00:00 +0100,2026-11-01 11:00:00 +0100,2,Tee,20.00,100
#4,8,,2026-11-04 11:00:00 +0100,1,Big mug,9.00,102
#2,,,2026-11-02 11:00:00 +0100,1,Mug,9.00,102
"""
PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text()


def block(language: str, place: int = 0) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[place]


def test_the_example_reads_a_web_shops_export(tmp_path: Path) -> None:
    history = read(
        write(tmp_path, web_shop_export(1_000), "online.csv"), **tomllib.loads(block("toml"))["history"]
    )
    assert history.rejected == 0
    assert set(history.products["product_id"]) == {"85123A", "71053", "22752"}
    assert history.products["title"].null_count() == 0


def test_of_a_file_of_clicks_the_example_reads_what_was_bought(tmp_path: Path) -> None:
    lines = "1433221332117,7,view,100,\n1433221399000,7,transaction,100,4\n1433221399000,8,addtocart,100,\n"
    write(tmp_path, "timestamp,visitorid,event,itemid,transactionid\n" + lines, "events.csv")
    history = read(tmp_path, **tomllib.loads(block("toml", 1))["history"])
    assert history.customer_ids == ["7"]
    assert history.purchases["at_s"].to_list() == [1433221399]
    assert history.rejected == 0


@pytest.mark.parametrize(("place", "tables"), [(0, MAGENTO), (1, WOOCOMMERCE)])
def test_what_the_queries_give_out_of_other_shops_tables_is_read(
    tmp_path: Path, place: int, tables: str
) -> None:
    shop = sqlite3.connect(":memory:")
    shop.executescript(tables)
    found = shop.execute(block("sql", place))
    lines = [[column[0] for column in found.description], *found]
    export = "".join("\t".join(map(str, line)) + "\n" for line in lines)  # as MySQL's client writes it
    check_two_orders(read(write(tmp_path, export), **tomllib.loads(block("toml", 2))["history"]))


def test_shopifys_export_of_orders_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, SHOPIFY, "orders_export_1.csv")
    check_two_orders(read(file, **tomllib.loads(block("toml", 3))["history"]))


def check_two_orders(history: History) -> None:
    """Customer 7 bought two tees for 20 each on 1 November 2026, customer 8 a mug for 9 on the fourth."""
    assert history.rejected == 0
    figures = history.purchases.sort("at_s").select("customer_row", "product_row", "quantity", "unit_price")
    ids, products = history.customer_ids, history.products["product_id"].to_list()
    assert [(ids[customer], products[product], *more) for customer, product, *more in figures.rows()] == [
        ("7", "100", 2.0, 20.0),
        ("8", "102", 1.0, 9.0),
    ]
    assert sorted(history.products["title"]) == ["Big mug", "Tee"]


def test_the_first_nights_file_needs_no_configuration(tmp_path: Path) -> None:
    assert set(read(write(tmp_path, block("csv"))).customer_ids) == {"42", "007"}


def test_every_column_stands_on_the_page() -> None:
    words = set(re.findall(r"\w+", PAGE))
    assert {column.name for table in TABLES.values() for column in table.columns} <= words
