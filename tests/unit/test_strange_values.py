"""Cells that were hardly meant as they were read are said; those of other shops aren't."""

from pathlib import Path

import pytest

from tests.data.coupons import day, history_of, table
from tests.data.exports import read, write
from training.history.doubts import doubts
from training.history.strange_values import strange_values

HEAD = "customer_id,product_id,purchased_at"
PLAIN = [f"c{n % 20},{n % 7},{day(n % 80)}" for n in range(120)]


def said(folder: Path, lines: list[str], *, head: str = HEAD, timezone: str = "UTC", **more: str) -> str:
    history = history_of(folder, timezone=timezone, purchases=table(head, lines), **more)
    found = strange_values(history)
    assert set(found) <= set(doubts(history, 7, None))
    return " ".join(found)


def test_values_like_others_are_not_strange(tmp_path: Path) -> None:
    titles = "product_id,title\n0,Café Noël\n1,Nullarbor honey\n2,SÃO PAULO\n3,Âge tendre\n"
    assert said(tmp_path, PLAIN, products=titles) == ""


NOTHING = ["NULL", "null", "None", "nan", "NaN", "\\N", "(null)", "undefined", "<NA>", "n/a", "#N/A", "-"]


@pytest.mark.parametrize("word", NOTHING)
def test_words_that_stand_for_nothing_are_said_by_column(tmp_path: Path, word: str) -> None:
    lines = [*PLAIN, f"{word},0,{day(3)}", f"{word},1,{day(4)}", f"c1,{word},{day(5)}"]
    assert said(tmp_path, lines, products=f"product_id,title\n0,{word}\n1,Tea\n") == (
        f"Words for nothing are taken as they stand: the customer of 2 purchase lines is {word!r}; the "
        f"product of 1 purchase line is {word!r}; the title of 1 product is {word!r}. Export an "
        "empty cell instead."
    )


def test_categories_and_brands_of_nothing_are_said(tmp_path: Path) -> None:
    products = "product_id,category,brand\n0,Uncategorized,\n1,Uncategorized,N/A\n2,Tea,No name\n"
    assert said(tmp_path, PLAIN, products=products).startswith(
        "Words for nothing are taken as they stand: the category of 2 products is 'Uncategorized'; the brand "
        "of 1 product is 'N/A'."
    )


@pytest.mark.parametrize("title", ["Salt &amp; Pepper", "It&#39;s", "<b>Tea</b>", "Tea<br />"])
def test_titles_with_codes_of_html_are_said(tmp_path: Path, title: str) -> None:
    assert said(tmp_path, PLAIN, products=f"product_id,title\n0,{title}\n1,Tea\n") == (
        f"1 of 2 titles hold HTML, such as {title!r}, and are answered as they stand: a page that writes "
        "them as text shows its codes. Export them as text."
    )
    more = "".join(f"{n},Tea < 3 > 2 & more; {n}\n" for n in range(1, 101))
    assert said(tmp_path, PLAIN, products=f"product_id,title\n0,{title}\n{more}") == ""


def test_categories_and_brands_that_are_written_in_two_ways_are_said(tmp_path: Path) -> None:
    products = "product_id,category,brand\n0,Home > Tea,Nestlé\n1,home/tea,NESTLE\n2,Tea > Home,Lipton\n"
    assert said(tmp_path, PLAIN, products=products) == (
        "1 of 1 categories are written in more than one way, such as 'Home > Tea' and 'Tea > Home': they are "
        "one to the models, but not to rules, or to who asks for one. Write them the same way in the export. "
        "1 of 2 brands are written in more than one way, such as 'NESTLE' and 'Nestlé': they are one "
        "to the models, but not to rules, or to who asks for one. Write them the same way in the export."
    )
    more = "".join(f"{n},Tea {n},B{n}\n" for n in range(3, 120))
    assert said(tmp_path, PLAIN, products=products + more) == ""


@pytest.mark.parametrize("last", ["Tea", ""])  # the latter as where the first line alone tells it
def test_products_with_a_line_for_each_of_their_categories_are_said(tmp_path: Path, last: str) -> None:
    others = "".join(f"{n},Tea\n" for n in range(1, 10))
    twice = f"product_id,category\n{others}0,Home\n0,\n0,Sale\n0,{last}\n"
    assert said(tmp_path, PLAIN, products=twice) == (
        "2 lines of 10 products were left out, since the product stands again further down in "
        "another category or none: give each product one line, with all its categories in one cell."
    )
    assert read(tmp_path).counts["products"].left_out == {
        "listed again further down, in another category or none": 2,
        "listed again further down": 1,
    }
    few = "".join(f"{n},Coffee\n" for n in range(10, 30))
    assert said(tmp_path, PLAIN, products=twice + few) == ""


def test_titles_of_another_encoding_than_the_one_that_was_said_are_doubted(tmp_path: Path) -> None:
    """Two of four titles that aren't plain letters are torn; of five it is less than half."""
    torn = "product_id,title\n0,Ca\u00c3\u00a9 1\n1,It\u00e2\u20ac\u2122s\n2,Café\n3,Noël\n4,Tea\n"
    assert said(tmp_path, PLAIN, products=torn) == (
        "2 of 4 titles with letters beyond A to Z look torn, such as 'Ca\u00c3\u00a9 1': is encoding in "
        "[history] that of the file?"
    )
    assert said(tmp_path, PLAIN, products=f"{torn}5,Öl\n") == ""


def test_utf_8_that_was_read_as_windows_encoding_is_doubted(tmp_path: Path) -> None:
    lines = [f"{line},Thé d'été «{n % 7}»" for n, line in enumerate(PLAIN)]
    write(tmp_path, table(f"{HEAD},title", lines))
    assert "7 of 7 titles" in " ".join(strange_values(read(tmp_path, encoding="cp1252")))
    assert strange_values(read(tmp_path)) == []


@pytest.mark.parametrize(
    ("encoding", "title"),
    [
        ("cp1250", "białe pudełko"),
        ("iso8859-2", "świąteczne koło"),
        ("cp1250", "roşu"),
        ("cp1251", "Красная чашка"),
    ],
)
def test_letters_of_other_countries_that_were_read_as_western_ones_are_doubted(
    tmp_path: Path, encoding: str, title: str
) -> None:
    lines = [f"{line},{title} {n % 7}" for n, line in enumerate(PLAIN)]
    write(tmp_path, table(f"{HEAD},title", lines).encode(encoding))
    assert "7 of 7 titles" in " ".join(strange_values(read(tmp_path, encoding="cp1252")))
    assert strange_values(read(tmp_path, encoding=encoding)) == []


def test_signs_that_stand_beside_letters_are_not_torn(tmp_path: Path) -> None:
    titles = "product_id,title\n0,Bac 3 m³\n1,¿Qué tal?\n2,Vin Nº 5\n3,Robe créée à l'été\n4,½ l ± 5\n"
    assert said(tmp_path, PLAIN, products=titles) == ""


def test_titles_whose_letters_were_lost_before_are_doubted(tmp_path: Path) -> None:
    assert "1 of 1 titles" in said(tmp_path, PLAIN, products="product_id,title\n0,Caf\ufffd\n")


FEES = ["POSTAGE", "Gift-Card 50", "Koszt dostawy", "Versandkosten", "Frais de port", "shipping_fee", "FEE2"]


@pytest.mark.parametrize("title", FEES)
def test_fees_that_would_be_recommended_are_doubted(tmp_path: Path, title: str) -> None:
    orders = [f"{line},{n}" for n, line in enumerate(PLAIN)]
    titles = f"product_id,title\nPOST,{title}\n1,Tea\n2,Voucher holder of red leather\n3,Coffee\n"
    fee = f"c1,POST,{day(5)},5"
    assert said(tmp_path, [*orders, fee], head=f"{HEAD},order_id", products=titles) == (
        f"1 product sounds like a fee or a voucher and will be recommended like goods, such as {title!r} "
        "in 1 of 121 orders: leave such ids out by exclude_products, as 'POST'."
    )
    many = [f"c{n % 20},{n % 7},{day(n % 80)},{n}" for n in range(240)]  # it is in fewer than .5 % of these
    assert said(tmp_path, [*many, fee], head=f"{HEAD},order_id", products=titles) == ""


def monthly(days: int) -> list[str]:
    """120 lines over twelve months, on the first so many days of each."""
    return [f"c{n % 20},{n % 7},2025-{1 + n % 12:02}-{1 + n % days:02}" for n in range(120)]


def test_purchases_on_the_first_twelve_days_of_months_alone_are_doubted(tmp_path: Path) -> None:
    assert said(tmp_path, monthly(12)) == (
        "Every purchase is of one of the first 12 days of a month: does date_format "
        "take the day for the month?"
    )
    assert said(tmp_path, monthly(10)) != ""
    assert said(tmp_path, monthly(9)) == said(tmp_path, monthly(13)) == ""
    assert said(tmp_path, monthly(12)[:99]) == ""
    two_months = [line for line in monthly(12) if "-01-" in line or "-02-" in line] * 6
    assert said(tmp_path, two_months) == ""


@pytest.mark.parametrize(
    ("timezone", "told"), [("America/New_York", True), ("Europe/Berlin", True), ("UTC", False)]
)
def test_dates_that_became_midnights_of_another_zone_are_doubted(
    tmp_path: Path, timezone: str, told: bool
) -> None:
    lines = [f"c{n % 20},{n % 7},{day(n % 80)}T00:00:00Z" for n in range(120)]
    found = said(tmp_path, lines, timezone=timezone)
    assert found.startswith(f"Every purchase is of midnight in UTC, which is none in {timezone}: ") == told
    assert said(tmp_path, [*lines[1:], f"c1,1,{day(1)}T00:00:01Z"], timezone=timezone) == ""
    assert said(tmp_path, PLAIN, timezone=timezone) == ""


@pytest.mark.parametrize(("times", "told"), [(0.01, "1/100 of"), (1000, "1,000 times"), (5, None)])
def test_prices_in_another_unit_since_a_day_are_doubted(
    tmp_path: Path, times: float, told: str | None
) -> None:
    """Twenty products, each sold on each of 120 days; the unit changes in the middle of a month."""
    priced = [(n, 2 + n % 20) for n in range(120 * 20)]
    lines = [
        f"c{n % 50},{n % 20},{day(n // 20)},{price * (times if n // 20 >= 45 else 1)}" for n, price in priced
    ]
    found = said(tmp_path, lines, head=f"{HEAD},unit_price")
    assert (told is None and found == "") or f"unit_price was {told} that of two months before" in found
    few = said(tmp_path, [line for line in lines if line.split(",")[1] != "7"], head=f"{HEAD},unit_price")
    assert few == ""


def test_products_that_were_sold_before_they_were_available_are_doubted(tmp_path: Path) -> None:
    """Product n is first sold on day n."""
    lines = [f"c{n % 20},{n % 10},{day(n % 80)} 12:00" for n in range(100)]

    def found(early: int, days: int) -> str:
        since = [f"{n},{day(n + days if n < early else n)}" for n in range(10)]
        return said(
            tmp_path, lines, products=table("product_id,available_from", [*since, f"unsold,{day(9)}", "10,"])
        )

    assert found(2, 2).startswith("2 of 10 products were first sold more than a day before available_from: ")
    assert found(1, 2) == found(10, 1) == ""


def test_products_that_are_replaced_by_nothing_known_are_doubted(tmp_path: Path) -> None:
    def found(*replaced: str) -> str:
        return said(tmp_path, PLAIN, products=table("product_id,replaced_by,available_from", replaced))

    assert found("0,1,", "1,,", "2,2,", "3,later,", "later,,2100-01-01") == ""
    assert found("0,NULL,", "1,,", "2,1,") == (
        "1 product stays as it is, such as '0' with 'NULL' as replaced_by: that is no product of the table, "
        "or they go in a circle."
    )
    assert found("0,1,", "1,0,", "2,0,").startswith("3 products stay as they are, such as '0' with '1' as ")


def test_customers_whose_ids_differ_in_capitals_alone_are_doubted_without_a_name(tmp_path: Path) -> None:
    lines = [f"mail{n},{n % 7},{day(n % 80)}" for n in range(100)]
    found = said(tmp_path, [*lines, f"Mail7,1,{day(2)}"])
    assert found.startswith("1 of 100 customers have more than one id, if capitals don't count: ")
    assert "ail7" not in found
    assert said(tmp_path, [*lines, f"more,1,{day(2)}", f"Mail7,1,{day(2)}"]) == ""


ORDERS = "order_id,customer_id,product_id,purchased_at\n"


def test_lines_without_customer_of_an_order_that_has_one_are_said_apart(tmp_path: Path) -> None:
    """As where an order's first line alone tells whose it is: A has three lines, B two, G is a guest's."""
    content = (
        "A,anna,1,2026-01-01\nA,,2,\nA,,3,2026-01-01\nB,ben,1,2026-01-02\nB,,2,2026-01-02\nG,,1,2026-01-03\n"
    )
    for damage in ("", '"open\n'):  # read quickly, and line by line
        history = read(write(tmp_path, ORDERS + content + damage), purchases={"skip_anonymous": True})
        assert history.left_out == {"no customer, though its order has one": 3, "no customer": 1}
        assert strange_values(history) == [
            "3 purchase lines were left out since they have no customer, though their order has one: if only "
            "an order's first line says whose it is, write it into each."
        ]


def test_few_of_them_and_an_order_number_that_comes_again_later_are_no_doubt(tmp_path: Path) -> None:
    again = "A,anna,1,2026-01-01\nB,ben,1,2026-01-02\nA,,2,2026-01-03\n,,2,2026-01-03\n,ben,2,2026-01-03\n"
    history = read(write(tmp_path, ORDERS + again), purchases={"skip_anonymous": True})
    assert (history.left_out, strange_values(history)) == ({"no customer": 2}, [])
    many = "".join(f"{n},c{n},1,2026-01-01\n" for n in range(11))
    history = read(write(tmp_path, f"{ORDERS}{many}10,,2,2026-01-01\n"), purchases={"skip_anonymous": True})
    assert history.left_out == {"no customer, though its order has one": 1}
    assert strange_values(history) == []


STRANGERS = [f"mail{n}" for n in range(20)]


@pytest.mark.parametrize("name", ["customers", "audiences", "redemptions"])
def test_a_table_of_customers_none_of_whom_bought_is_doubted(tmp_path: Path, name: str) -> None:
    heads = {
        "customers": "customer_id,tier",
        "audiences": "customer_id,segment",
        "redemptions": "customer_id,offer_id,redeemed_at",
    }
    rest = {"customers": "gold", "audiences": "vip", "redemptions": f"o,{day(1)}"}[name]

    def found(ids: list[str]) -> str:
        return said(tmp_path, PLAIN, **{name: table(heads[name], [f"{one},{rest}" for one in ids])})

    assert found(STRANGERS) == (
        f"None of the 20 customers in the table of {name} bought anything: are their ids written as in the "
        "purchases?"
    )
    assert found(STRANGERS[1:] * 2) == found([*STRANGERS, "c1"]) == ""


def test_promotions_that_put_nothing_forward_are_doubted(tmp_path: Path) -> None:
    head = "product_id,starts_at,ends_at"
    turned = [f"0,{day(9)},{day(3)}", f"1,{day(3)},{day(9)}", f"2,{day(3)},{day(3)}"]
    assert said(tmp_path, PLAIN, promotions=table(head, turned)) == (
        "1 of 3 promotions ends before it starts, such as one of '0': they put nothing forward."
    )
    unknown = [f"x{n},{day(3)},{day(9)}" for n in range(3)]
    assert said(tmp_path, PLAIN, promotions=table(head, unknown)) == (
        "No promotion is of a product that is known: the table says 'x0'. Are the ids written the same way?"
    )
    assert said(tmp_path, PLAIN, promotions=table(head, [*unknown, turned[1]])) == ""
