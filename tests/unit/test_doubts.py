"""What looks wrong with a history is said, and a history like others raises no doubt."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.data.coupons import START, day, history_of, table
from tests.data.nights import QUICK, run
from training.history.doubts import doubts

HEAD = "customer_id,product_id,purchased_at,order_id"
PRODUCTS = "product_id,title\n0,Tea\n1,Milk\n2,Salt\n"
END = START + timedelta(days=84)


def weekly(customers: int = 10, weeks: int = 12) -> list[str]:
    """Each buys two of three products every week, on the first to seventh day of it."""
    return [
        f"c{c},{(c + week + k) % 3},{day(7 * week + c % 7)},{week}"
        for c in range(customers)
        for week in range(weeks)
        for k in (0, 1)
    ]


def said(
    folder: Path, lines: list[str], *, head: str = HEAD, now: datetime | None = None, **more: str
) -> str:
    history = history_of(folder, purchases=table(head, lines), as_of=END, **more)
    return " ".join(doubts(history, 7, now))


def test_a_history_like_others_raises_no_doubt(tmp_path: Path) -> None:
    assert said(tmp_path, weekly(), products=PRODUCTS, now=END + timedelta(days=14)) == ""


def test_an_export_that_ended_long_ago_is_doubted_unless_the_night_stands_at_another_moment(
    tmp_path: Path,
) -> None:
    late = said(tmp_path, weekly(), now=END + timedelta(days=15))
    assert "15 days ago" in late
    assert said(tmp_path, weekly()) == ""


def test_the_last_purchase_s_day_is_the_shops(tmp_path: Path) -> None:
    purchases = table(HEAD, ["a,p,2024-03-01,1", "b,p,2024-02-01,2"])
    history = history_of(tmp_path, timezone="Europe/Berlin", purchases=purchases)
    assert doubts(history, 7, datetime(2025, 3, 1, tzinfo=UTC))[0].startswith(
        "The last purchase is of 2024-03-01, 365 days ago"
    )


def test_purchases_of_one_moment_are_doubted(tmp_path: Path) -> None:
    lines = [f"c{c},{c % 3},{day(0)},{c}" for c in range(30)]
    assert "the same time" in said(tmp_path, lines)


def test_purchases_of_one_of_the_shops_days_are_doubted(tmp_path: Path) -> None:
    head, times = HEAD, ("2024-03-01T23:10:00+01:00", "2024-03-01T00:05:00+01:00")
    purchases = table(head, [f"c{n},0,{at},{n}" for n, at in enumerate(times)])
    history = history_of(tmp_path, timezone="Europe/Berlin", purchases=purchases)
    assert doubts(history, 7, None)[0].startswith("All purchases are of one day, 2024-03-01: ")


def test_customers_who_never_come_again_are_doubted_but_not_few_of_them_nor_in_a_short_time(
    tmp_path: Path,
) -> None:
    """Every order is a customer of its own, as where customer_id is the number of the order."""
    once = [f"c{n},{n % 3},{day(n % 80)},{n}" for n in range(100)]
    assert "None of 100 customers has a second order" in said(tmp_path, once)
    assert said(tmp_path, once[:99]) == ""
    assert said(tmp_path, [f"c{n},{n % 3},{day(60 + n % 20)},{n}" for n in range(100)]) == ""
    assert said(tmp_path, [*once, f"c0,1,{day(80)},100"]) == ""


def test_a_week_far_below_the_others_is_doubted(tmp_path: Path) -> None:
    """20 lines are usual; 5 are under three tenths of them, 6 are not."""
    lines = weekly(weeks=11)
    assert "hold 5 purchase lines, where 20 are usual" in said(
        tmp_path, lines + [f"c{n},0,{day(80)},11" for n in range(5)]
    )
    assert said(tmp_path, lines + [f"c{n},0,{day(80)},11" for n in range(6)]) == ""


def test_a_shop_closed_for_the_season_is_not_doubted_for_its_quiet_end(tmp_path: Path) -> None:
    assert said(tmp_path, weekly(weeks=3)) == ""


def test_weeks_without_a_line_amid_others_are_doubted(tmp_path: Path) -> None:
    """Weeks 3 to 7 are missing: 35 days from the 22nd on, in which 49 days with 140 lines let expect 100."""
    lines = [line for line in weekly() if not 3 <= int(line.rpartition(",")[2]) < 8]
    told = said(tmp_path, lines)
    assert "No purchase is of 2026-01-22 to 2026-02-25, 35 days in which about 100 lines were to be" in told
    assert "is a file of the export missing" in told
    assert said(tmp_path, lines[: len(lines) * 9 // 10]) == ""  # of 90 lines chance may be the reason
    assert said(tmp_path, [line for line in weekly() if line.rpartition(",")[2] not in {"5", "6"}]) == ""


def test_a_market_that_opens_once_a_month_has_no_holes(tmp_path: Path) -> None:
    assert (
        said(tmp_path, [f"c{n},{n % 3},{day(28 * month)},{month}" for month in (0, 1, 2) for n in range(90)])
        == ""
    )


def test_products_that_got_new_ids_are_doubted_but_not_a_young_shop(tmp_path: Path) -> None:
    """10 of the last week's 20 lines are of products first sold in it; in two weeks all may be new."""
    lines = [line for line in weekly() if line.rpartition(",")[2] != "11"]
    last = [line for line in weekly() if line.rpartition(",")[2] == "11"]
    other = [line.replace(",", ",new-", 1) if n % 2 else line for n, line in enumerate(last)]
    assert "50% of the purchase lines of the last 7 days" in said(tmp_path, lines + other)
    young = [f"c{c},new-{k},{day(70 + c)},0" for c in range(10) for k in (0, 1)]
    assert said(tmp_path, young) == ""


def test_a_shop_whose_products_are_always_new_is_not_doubted_for_it(tmp_path: Path) -> None:
    """Of 50 lines a week 30 are of pieces that are sold once."""
    numbers = [(c, week) for c in range(30) for week in range(12)]
    pieces = [f"c{c % 10},{week}-{c},{day(7 * week + c % 7)},{week}" for c, week in numbers]
    assert said(tmp_path, [*pieces, *weekly()]) == ""


def test_new_ids_are_doubted_where_some_products_are_always_new(tmp_path: Path) -> None:
    """Of 25 lines a week 5 are of pieces that are sold once; in the last one all have new ids."""
    pieces = [f"c{c},{week}-{c},{day(7 * week + c)},{week}" for c in range(5) for week in range(12)]
    usual = [line for line in weekly() if line.rpartition(",")[2] != "11"]
    other = [line.replace(",", ",new-", 1) for line in weekly() if line.rpartition(",")[2] == "11"]
    assert "100% of the purchase lines of the last 7 days" in said(tmp_path, [*pieces, *usual, *other])


def test_products_that_all_got_new_ids_are_doubted_from_the_next_day_on_for_two_horizons(
    tmp_path: Path,
) -> None:
    """Each of three is bought 40 times every day."""
    for days, is_said in ((1, True), (14, True), (15, False)):
        new = range(84 - days, 84)
        lines = [
            f"c{c},{'new-' if d in new else ''}{c % 3},{day(d)},{d}" for d in range(84) for c in range(120)
        ]
        known = "only 0% are of products known before, where 100% are usual: were products given new ids?"
        upto = min(84 - days + 6, 83)
        found = said(tmp_path, lines)
        assert (f"Of the purchase lines of {day(84 - days)} to {day(upto)} {known}" in found) == is_said
        assert found.count("new ids") == is_said


@pytest.mark.parametrize("every_days", [5, 7, 10, 14, 21, 28])
def test_a_shop_that_always_changes_all_it_sells_is_not_doubted_for_it(
    tmp_path: Path, every_days: int
) -> None:
    """The last change was a few days ago."""
    numbers = [(c, d, (d + 84 - 80) // every_days) for d in range(84) for c in range(120)]
    assert said(tmp_path, [f"c{c},{turn}-{c % 3},{day(d)},{d}" for c, d, turn in numbers]) == ""


def test_customers_who_all_got_new_ids_on_a_day_are_doubted_also_weeks_later(tmp_path: Path) -> None:
    """60 customers have 120 lines a week; from the sixth week on, those of everybody are of new ids."""
    lines = weekly(customers=60)
    other = [f"new-{line}" if int(line.rpartition(",")[2]) >= 6 else line for line in lines]
    known = "only 0% are of customers known before, where 100% are usual"
    assert f"Of the purchase lines of {day(42)} to {day(48)} {known}" in said(tmp_path, other)
    assert said(tmp_path, lines) == ""


def test_customers_who_all_got_new_ids_are_doubted_from_the_next_day_on(tmp_path: Path) -> None:
    """Each comes every day; the history ends with the second day of the new ids."""
    lines = [f"{'new-' if d > 81 else ''}c{c},{c % 3},{day(d)},{d}" for d in range(84) for c in range(100)]
    known = "only 0% are of customers known before, where 100% are usual"
    assert f"Of the purchase lines of {day(82)} to {day(83)} {known}" in said(tmp_path, lines)


def test_new_customers_who_come_beside_the_others_are_no_new_ids(tmp_path: Path) -> None:
    """Nine lines of ten in the sixth week are of people who come that once; and a shop may live on these."""
    guests = [f"guest{n},{n % 3},{day(42 + n % 7)},{n}" for n in range(1080)]
    assert said(tmp_path, [*weekly(customers=60), *guests]) == ""
    passing = [f"guest{n},{n % 3},{day(n % 84)},{n}" for n in range(1080)]
    assert said(tmp_path, [*weekly(customers=10), *passing]) == ""


def test_a_week_in_which_few_come_of_whom_all_are_known_has_no_new_ids(tmp_path: Path) -> None:
    """The shop was closed for most of it: 120 lines instead of 1,200."""
    other_weeks = [line for line in weekly(customers=600) if not line.endswith(",6")]
    few = [line for line in weekly(customers=60) if line.endswith(",6")]
    assert said(tmp_path, [*other_weeks, *few]) == ""


def test_a_young_shop_to_which_customers_come_back_late_has_no_new_ids(tmp_path: Path) -> None:
    """Each of 1,440 comes once more after six weeks, so that at first everybody is new."""
    visits = [(c, week) for c in range(1440) for week in (c % 12, c % 12 + 6) if week < 12]
    lines = [f"c{c},{c % 3},{day(7 * week + c % 7)},{week}" for c, week in visits]
    assert said(tmp_path, lines) == ""


def test_products_whose_ids_differ_in_capitals_alone_are_doubted(tmp_path: Path) -> None:
    """One of a hundred products is there twice; of 101 it is less than one in a hundred."""
    lines = [f"c{n},{n}B,{day(n % 80)},{n}" for n in range(100)]
    twice = [*lines, f"c0,7b,{day(9)},100"]
    assert "1 of 100 products have more than one id, if '7B' and '7b' are the same" in said(tmp_path, twice)
    assert "more than one id" not in said(tmp_path, [*twice, f"c0,more,{day(9)},101"])


def test_a_table_of_other_products_is_doubted_with_an_id_of_each(tmp_path: Path) -> None:
    others = "product_id,title\nP-0,Tea\n"
    found = said(tmp_path, weekly(), products=others)
    assert "only 0% of the purchase lines" in found
    assert "the table 'P-0': are the ids written the same way?" in found


def test_a_table_that_describes_half_of_the_lines_is_not_doubted(tmp_path: Path) -> None:
    assert said(tmp_path, weekly(), products="product_id,title\n0,Tea\n1,Milk\n") == ""


def test_one_customer_with_a_tenth_of_all_lines_is_doubted_without_a_name(tmp_path: Path) -> None:
    """99 others have 2 lines each: the till has 22 of 220."""
    lines = [f"c{c},{k},{day(c % 84)},{c}" for c in range(99) for k in (0, 1)]
    till = [f"zz9,0,{day(40 + n)},{n}" for n in range(22)]
    found = said(tmp_path, lines + till)
    assert "One of 100 customers has 10% of all purchase lines" in found
    assert "zz9" not in found
    assert said(tmp_path, lines + till[:21]) == ""


def test_an_order_id_that_numbers_the_lines_is_doubted(tmp_path: Path) -> None:
    lines = [f"{line.rpartition(',')[0]},{n}" for n, line in enumerate(weekly())]
    assert "50% have the customer and the second of another" in said(tmp_path, lines)


def test_orders_of_one_product_each_are_not_doubted(tmp_path: Path) -> None:
    """The same with a line a day: small baskets are no fault."""
    lines = [f"c{c},{(c + d) % 3},{day(d)},{c}-{d}" for c in range(10) for d in range(84)]
    assert said(tmp_path, lines) == ""


def test_a_doubt_stands_in_the_head_of_the_report_and_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "nextbest.toml").write_text(QUICK)
    (tmp_path / "purchases.csv").write_text(table(HEAD, weekly(customers=30)))
    store = tmp_path / "store"
    ran = run("nightly", "--data", tmp_path, "--store", store, "--config", tmp_path / "nextbest.toml")
    assert ran.code == 0, ran.err
    told = [event["why"] for event in ran.events if event["event"] == "doubt"]
    assert len(told) == 1
    assert told[0].startswith("The last purchase is of")
    (report,) = (store / "runs").glob("*/report.html")
    assert told[0].partition(",")[0] in report.read_text()


OFFERS = "offer_id,product_ids,starts_at,ends_at,segment\n"


def test_offers_that_nobody_can_be_shown_are_named(tmp_path: Path) -> None:
    lines = [
        f"turned,0,{day(200)},{day(100)},",
        f"comma,0 1,{day(0)},{day(100)},",
        f"strange,9,{day(0)},,",
        f"unheard,0,{day(0)},{day(100)},fanz",
        f"over,9,{day(0)},{day(50)},fanz",
        f"some,9;0,{day(0)},{day(100)},fans",
    ]
    audiences = "segment,customer_id\nfans,c1\n"
    assert said(tmp_path, weekly(), offers=OFFERS + "\n".join(lines), audiences=audiences) == (
        "Some offers can't be shown to anybody. One ends before it starts ('turned'); one has no product "
        "that is known: are the ids joined by semicolons? ('comma' and 1 more); one is for a segment that no "
        "audience has ('unheard')."
    )


def test_offers_that_can_be_shown_raise_no_doubt(tmp_path: Path) -> None:
    lines = f"one,0;9,{day(0)},{day(100)},\ntwo,1,,,\nlater,1,{day(100)},{day(101)},\n"
    assert said(tmp_path, weekly(), offers=OFFERS + lines) == ""


@pytest.mark.parametrize(("known", "is_doubted"), [(2, False), (1, True)])
def test_redemptions_of_offers_that_the_table_lacks_are_doubted(
    tmp_path: Path, known: int, is_doubted: bool
) -> None:
    lines = [f"{offer},c1,{day(50)}" for offer in ["one"] * known + ["gone", "lost"]]
    redemptions = "offer_id,customer_id,redeemed_at\n" + "\n".join(lines)
    found = said(tmp_path, weekly(), offers=OFFERS + f"one,0,,{day(100)},\n", redemptions=redemptions)
    assert ("Of the redemptions 67% are" in found) is is_doubted
    assert ("('gone' and 1 more)" in found) is is_doubted


def test_an_export_that_is_there_twice_is_doubted_by_whole_orders(tmp_path: Path) -> None:
    """Of 120 orders 12 are there again, line by line; one of them fewer is less than a tenth."""
    orders = [f"c{n % 30},{n % 3 + k},{day(n % 80)},{n}" for n in range(120) for k in (0, 1)]
    found = said(tmp_path, orders + orders[:24])
    assert "12 of 120 orders of two products or more are there again, line by line" in found
    assert "again, line by line" not in said(tmp_path, orders + orders[:22])


def test_lines_that_stand_twice_in_an_order_are_no_second_export(tmp_path: Path) -> None:
    """As where a till writes a line for each piece: orders have two of one product and one of another."""
    orders = [f"c{n % 30},{n % 3 + k},{day(n % 80)},{n}" for n in range(120) for k in (0, 0, 1)]
    singles = [f"c{n % 30},{n % 3},{day(n % 80)},s{n}" for n in range(120) for _ in (0, 1)]
    assert "again, line by line" not in said(tmp_path, orders + singles)


def test_a_column_whose_name_is_nearly_ours_is_said_since_it_is_not_read(tmp_path: Path) -> None:
    lines = [f"{line},3,note" for line in weekly()]
    found = said(tmp_path, lines, head=f"{HEAD},Quantity,Unit Cost")
    assert (
        "A column 'Quantity' of purchases isn't read as quantity: name it so, or map it in "
        "[history.purchases.columns]."
    ) in found
    assert "Unit Cost" not in found
    assert "isn't read" not in said(tmp_path, lines, head=f"{HEAD},quantity,QUANTITY")


def test_a_consent_whose_column_is_nearly_called_so_is_said_since_it_is_not_obeyed(tmp_path: Path) -> None:
    found = said(tmp_path, weekly(), customers="customer_id,Train,tier\nc1,no,gold\n")
    assert "A column 'Train' of customers isn't read as train" in found
