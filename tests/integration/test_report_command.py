"""`nbo-train report` tells of any shop, and holds the champion's lists against what followed."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.data.coupons import START, coupon_shop
from tests.data.nights import champion, ids, quick_config, run
from tests.data.webshop import habits, write_shop


def test_lists_are_held_against_later_purchases(tmp_path: Path) -> None:
    """Ten products, ten listed: who bought anything later bought one of theirs, and none was never bought."""
    shop, store, out = tmp_path / "shop", tmp_path / "store", tmp_path / "out"
    shop.mkdir()
    coupon_shop(shop)
    as_of = f"{START + timedelta(days=100):%Y-%m-%d}"
    config = quick_config(tmp_path)
    assert run("nightly", "--data", shop, "--store", store, "--config", config, "--as-of", as_of).code == 0
    assert len(ids(champion(store), "products")) == 10
    ran = run("report", "--data", shop, "--store", store, "--out", out)
    assert ran.code == 0, ran.err
    found = json.loads((out / "shop-report.json").read_text())
    figures = found["never_bought"]["figures"]
    assert (figures["with_a_hit"], figures["never_bought"], figures["products"]) == (1.0, 0, 10)
    assert found["stock"]["why_not"] == "no product has a stock told"
    page = (out / "shop-report.html").read_text()
    assert "no product has a stock told" in page
    assert ">Last day</th>" in page  # a campaign counts to its end
    assert ">Before</th>" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_what_is_out_of_stock_and_who_is_new_are_no_part_of_what_was_recommended(tmp_path: Path) -> None:
    """Of 30 products 3 are out of stock, which no answer shows; customer 99 comes after the night."""
    lines = habits(customers=40, products=30, days=80)
    last = max(lines, key=lambda line: line.at)
    lines.append(replace(last, customer=99, order=10**6))
    shop, store = write_shop(tmp_path / "shop", lines, sold_out=(0, 1, 2)), tmp_path / "store"
    as_of = f"{last.at - timedelta(days=10):%Y-%m-%d}"
    config = quick_config(tmp_path)
    assert run("nightly", "--data", shop, "--store", store, "--config", config, "--as-of", as_of).code == 0
    assert run("report", "--data", shop, "--store", store, "--out", tmp_path / "out").code == 0
    found = json.loads((tmp_path / "out" / "shop-report.json").read_text())["never_bought"]
    came = {line.customer for line in lines if f"{line.at:%Y-%m-%d}" >= as_of} - {99}
    assert (found["figures"]["products"], found["figures"]["customers"]) == (27, len(came))
    assert not {line["product_id"] for line in found["lines"]} & {"p0", "p1", "p2"}


def test_a_store_without_champion_is_refused(tmp_path: Path) -> None:
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\na,<b>,2026-01-01\n")
    (tmp_path / "store").mkdir()
    refused = run("report", "--data", tmp_path, "--store", tmp_path / "store", "--out", tmp_path / "out")
    assert (refused.code, "no champion" in refused.message) == (1, True)


def test_lines_that_were_rejected_are_told_where_the_figures_are(tmp_path: Path) -> None:
    lines = [f"a,p,2026-01-{day:02}\n" for day in range(1, 21)]
    header = "customer_id,product_id,purchased_at\n"
    (tmp_path / "purchases.csv").write_text(header + "".join(lines) + "b,p,tomorrow\n")
    ran = run("report", "--data", tmp_path, "--out", tmp_path / "out")
    assert (ran.code, "rejected: purchases 1; see" in ran.err) == (0, True)
    found = json.loads((tmp_path / "out" / "shop-report.json").read_text())
    assert found["history"]["rejected"] == {"purchases": 1}
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert "Rejected lines: purchases 1 (rejects.csv says why)." in page


def test_what_was_left_out_and_what_is_doubted_stand_where_the_figures_are(tmp_path: Path) -> None:
    """Of three sales one is a guest's, and one of NULL."""
    header = "customer_id,product_id,purchased_at,title\n"
    lines = "a,p,2026-01-01,Tea\n,p,2026-01-02,Tea\nNULL,p,2026-01-03,Tea\n"
    (tmp_path / "purchases.csv").write_text(header + lines)
    (tmp_path / "nextbest.toml").write_text("[history.purchases]\nskip_anonymous = true\n")
    ran = run("report", "--data", tmp_path, "--config", tmp_path / "nextbest.toml", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    (why,) = [event["why"] for event in ran.events if event["event"] == "doubt"]
    assert why.startswith("Words for nothing are taken as they stand: ")
    found = json.loads((tmp_path / "out" / "shop-report.json").read_text())["history"]
    assert (found["left_out"], found["notes"]) == ({"no customer": 1}, [why])
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert "Purchase lines left out: no customer 1; nothing below counts them." in page
    assert '<p class="warning">Words for nothing' in page


@pytest.mark.parametrize(("last", "until"), [("", "2026-03-09"), (" 18:30:00", "2026-03-09 18:30")])
def test_a_history_of_dates_goes_to_the_end_of_its_last_day_and_names_no_midnight(
    tmp_path: Path, last: str, until: str
) -> None:
    lines = [f"{who},p,2026-{month:02}-09{last}\n" for who in "ab" for month in (1, 2, 3)]
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\n" + "".join(lines))
    assert run("report", "--data", tmp_path, "--out", tmp_path / "out").code == 0
    assert f"Until {until} (UTC)." in (tmp_path / "out" / "shop-report.html").read_text()


def test_a_part_without_a_line_says_so_and_has_no_empty_table(tmp_path: Path) -> None:
    lines = [f"{who},p,2026-{month:02}-{day:02}\n" for who in "ab" for month in (1, 2, 3) for day in (3, 9)]
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\n" + "".join(lines))
    (tmp_path / "offers.csv").write_text("offer_id,product_ids,starts_at\no,p,2027-01-01\n")
    ran = run("report", "--data", tmp_path, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert "No product of 20 regulars or more lost more of them than usual." in page
    assert "None has begun." in page
    assert not re.search(r"<tbody>\s*</tbody>", page)


def test_a_campaign_without_a_segment_is_for_everybody(tmp_path: Path) -> None:
    (tmp_path / "purchases.csv").write_text(
        "customer_id,product_id,purchased_at\na,p,2026-01-01\na,p,2026-02-01\n"
    )
    (tmp_path / "offers.csv").write_text("offer_id,product_ids,starts_at\no,p,2026-01-10\n")
    assert run("report", "--data", tmp_path, "--out", tmp_path / "out").code == 0
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert '<th scope="row">everybody</th>' in page
    found = json.loads((tmp_path / "out" / "shop-report.json").read_text())
    assert found["campaigns"]["lines"][0]["segment"] is None


def test_what_lies_is_told_in_whole_days_and_by_what_pace(tmp_path: Path) -> None:
    days = "".join(f"a,p,2026-{day}\n" for day in ("01-01", "03-30", "04-01"))
    (tmp_path / "purchases.csv").write_text(f"customer_id,product_id,purchased_at\n{days}")
    (tmp_path / "products.csv").write_text("product_id,title,stock\np,P,200\n")
    assert run("report", "--data", tmp_path, "--out", tmp_path / "out").code == 0
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert "Sold is what was sold in the last 30.3 days" in page
    assert re.search(r">P</th>\n?<td>p</td>\n?<td>200</td>\n?<td>2</td>\n?<td>3,033</td>", page)


def test_titles_are_text_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\na,p,2026-01-01\n")
    (tmp_path / "products.csv").write_text("product_id,title,stock\np,<script>x</script>,3\n")
    assert run("report", "--data", tmp_path, "--out", tmp_path / "out").code == 0
    page = (tmp_path / "out" / "shop-report.html").read_text()
    assert "<script>x" not in page
    assert "&lt;script&gt;" in page
