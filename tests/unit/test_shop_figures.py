"""Every figure of the shop's report by hand, and what it says where there is nothing to say."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.data.coupons import START, day, history_of, table
from training.reports import shop_figures

PURCHASES = """customer_id,product_id,purchased_at,order_id
ann,tea,2026-01-01,1
ann,milk,2026-01-01,1
ann,tea,2026-01-05,2
ann,tea,2026-03-06,3
bob,milk,2026-02-01,4
"""
ONE_LINE = "customer_id,product_id,purchased_at\nann,tea,2026-01-01\n"


def test_who_comes_again(tmp_path: Path) -> None:
    """Ann's gaps are 4 and 60 days; of three customers' products tea alone was bought again."""
    found = shop_figures.coming_again(history_of(tmp_path, purchases=PURCHASES)).figures
    assert (found["customers"], found["orders"], found["with_two_orders"]) == (2, 4, 0.5)
    assert found["days_between_median"] == 32
    assert found["days_between_lower_quarter"] == 18
    assert found["products_bought_again"] == pytest.approx(1 / 3)


def test_cohorts_are_months_of_the_first_order(tmp_path: Path) -> None:
    """Ann came in January and March, Bob in February alone; March is the last month."""
    found = shop_figures.cohorts(history_of(tmp_path, purchases=PURCHASES)).lines
    assert found == [
        {"month": "2026-01", "customers": 1, "shares": [1.0, 0.0, 1.0]},
        {"month": "2026-02", "customers": 1, "shares": [1.0, 0.0]},
    ]


def test_a_product_that_regulars_leave_stands_first(tmp_path: Path) -> None:
    """25 customers buy tea and milk twice, then milk alone; a customer who left altogether doesn't count."""
    lines = [f"c{n},{p},{day(d)}" for n in range(25) for p in ("tea", "milk") for d in (100, 110)]
    lines += [f"c{n},milk,{day(200)}" for n in range(25)]
    lines += [f"gone,tea,{day(100)}", f"gone,tea,{day(110)}", f"old,tea,{day(0)}", f"old,tea,{day(251)}"]
    history = history_of(
        tmp_path,
        as_of=START + timedelta(days=252),
        purchases=table("customer_id,product_id,purchased_at", lines),
    )
    found = shop_figures.losing(history)
    assert found.figures == {"window_days": 84.0, "usual_share": 0.5, "products": 2}
    assert [(one["product_id"], one["regulars"], one["lost"]) for one in found.lines] == [("tea", 25, 25)]


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_a_campaign_counts_customers_and_redemptions_and_has_the_shop_s_dates(
    tmp_path: Path, timezone: str
) -> None:
    history = history_of(
        tmp_path,
        timezone=timezone,
        as_of=datetime(2026, 4, 1, tzinfo=UTC),
        purchases=PURCHASES,
        offers="offer_id,product_ids,starts_at,ends_at,segment\n"
        "a,tea,2026-01-01,2026-02-01,fans\nb,milk,2026-01-01,2026-02-01,fans\nc,tea,2026-09-01,,\n",
        redemptions="offer_id,customer_id,redeemed_at\na,ann,2026-01-05\nb,ann,2026-01-05\n",
        audiences="segment,customer_id\nfans,ann\nfans,bob\n",
    )
    found = shop_figures.campaigns(history)
    assert found.lines == [
        {
            "segment": "fans",
            "starts": "2026-01-01",
            "ends": "2026-02-01",
            "offers": 2,
            "sent": 2,
            "redeemed": 2,
            "customers": 1,
            "conversion": 0.5,
        }
    ]


def test_stock_lasts_as_long_as_sales_let_it(tmp_path: Path) -> None:
    """A window of 21 days: 7 pieces of tea sold in it, 14 left, so 42 days; milk lies still."""
    history = history_of(
        tmp_path,
        as_of=START + timedelta(days=63),
        purchases=f"customer_id,product_id,purchased_at,quantity\na,tea,{day(0)},5\na,tea,{day(60)},7\n",
        products="product_id,title,stock\ntea,Tea,14\nmilk,Milk,6\nout,Out,0\n",
    )
    found = shop_figures.stock(history)
    assert [(line["product_id"], line["days_left"]) for line in found.lines] == [
        ("milk", None),
        ("tea", 42.0),
    ]
    assert (found.figures["pieces"], found.figures["unsold_products"]) == (20, 1)
    assert found.figures["turns_a_year"] == pytest.approx(7 / 20 * 365 / 21)


def test_stock_that_stands_for_no_end_is_counted_beyond_32_bits(tmp_path: Path) -> None:
    history = history_of(
        tmp_path,
        purchases=PURCHASES,
        products="product_id,title,stock\n" + "".join(f"p{n},P,2000000000\n" for n in range(5)),
    )
    assert shop_figures.stock(history).figures["pieces"] == 10_000_000_000


def test_a_shop_of_one_line_has_a_reason_for_each_part_that_is_empty(tmp_path: Path) -> None:
    history = history_of(tmp_path, purchases=ONE_LINE)
    assert shop_figures.coming_again(history).figures["days_between_median"] is None
    assert shop_figures.cohorts(history).lines == [{"month": "2026-01", "customers": 1, "shares": [1.0]}]
    for section in (
        shop_figures.losing(history),
        shop_figures.campaigns(history),
        shop_figures.stock(history),
        shop_figures.never_bought(history, None, None),
    ):
        assert section.why_not
