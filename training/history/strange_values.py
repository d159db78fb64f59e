"""What in a history's cells was hardly meant so: words for nothing, torn letters, turned dates."""

from datetime import time

import polars as pl

from models.arrays import DAY_S
from storage.history.clean import ELSEWHERE, NAMELESS_LINE
from storage.history.history import History
from storage.history.words import alike
from storage.local_days import local_day, local_days

NOTHING = ("null", "(null)", "none", "nan", "<na>", "\\n", "undefined", "n/a", "#n/a", "-", "uncategorized")
HTML = r"&#?\w+;|(?i)</?(b|i|u|em|strong|br|p|span|font|div|a|sup|sub|small|ul|ol|li)\b[^<>]*>"
BEYOND_ASCII = r"[^\x00-\x7f]"
# UTF-8 that was read as cp1252 or latin-1 (é, a curly quote, £), and what is left of letters once lost;
# cp1250 and latin-2 read so, whose letters become signs within words, and Cyrillic, Greek or Arabic.
TORN = "\u00c3[\u0080-\u00bf\u20ac\u0152\u0153\u0160\u0161\u017d\u017e\u0178\u0192\u2013-\u2122]" + (
    r"|\u00e2\u20ac|\u00c2[\u00a0-\u00bf]|\ufffd"
    r"|\p{L}[\u00b1\u00b3\u00b6\u00b9\u00ba\u00bc\u00bf]\p{Ll}|[\u00c0-\u00ff]{4}"
)
TORN_SHARE = 0.5  # of the titles with such letters: a few are torn in many a catalogue
HTML_SHARE = 0.01  # of the titles
ELSEWHERE_SHARE = 0.1  # of the products: of a few the category was changed
MONTHS = 12  # a day above them is no month
LEAST_LINES, LEAST_MONTHS, LEAST_DAYS = 100, 3, 10  # fewer may well be of early days, such as a market's
CAPITALS_SHARE = 0.01  # of the products or customers, that are another one but for capitals
LEAST_NAMED = 20  # customers of a table: of fewer maybe none has bought yet
PRICE_TIMES = 10.0  # as much within two months, the median product: no shop changes its prices so
LEAST_PRICED = 20  # products that were sold in both months
EARLY_SHARE = 0.1  # of the products, sold before they were available: a few may have been ordered ahead
NAMELESS_SHARE = 0.1  # of the lines that are learned from
# What is paid beside goods, in the languages of reasons and some more; in a title of a few words: a voucher
# holder is seldom sold in so many orders.
FEES = (
    r"(?i)(^|\P{L})(postage|shipping|carriage|freight|delivery|handling|surcharge|fees?|charges|discount"
    r"|voucher|gift[ _-]?cards?|deposit|donation|spedizione|spese|sconto|buono|wysyłk\p{L}*|dostaw\p{L}*"
    r"|przesyłk\p{L}*|rabat|kaucja|podarunkow\p{L}*|livrare|transport|reducere|versand\p{L}*|pfand"
    r"|gutschein\p{L}*|frais|livraison|remise|envío|descuento)(\P{L}|$)"
)
FEE_WORDS = 3
FEE_SHARE = 0.005  # of the orders


def strange_values(history: History) -> list[str]:
    """Sentences on what looks wrong, each with what to look at; no sentence names a customer."""
    found = [
        _words_for_nothing(history),
        _torn_titles(history),
        _titles_of_html(history),
        *_names_in_two_ways(history),
        _several_categories(history),
        _fees(history),
        _turned_dates(history),
        _midnights_elsewhere(history),
        _prices_of_another_unit(history),
        _sold_too_early(history),
        _replaced_by_nothing(history),
        _products_by_capitals(history),
        _customers_by_capitals(history),
        _nameless_lines(history),
        _unreadable_consents(history),
        _another_default(history),
        _turned_promotions(history),
        _unknown_promotions(history),
        *_strangers(history),
    ]
    return [strange for strange in found if strange]


def _words_for_nothing(history: History) -> str | None:
    customers, products = pl.Series(history.customer_ids, dtype=pl.String), history.products
    found = []
    for what, of, words, rows in (
        ("customer", "purchase line", customers, history.purchases["customer_row"]),
        ("product", "purchase line", products["product_id"], history.purchases["product_row"]),
        *(
            (name, "product", products[name], pl.int_range(products.height, eager=True))
            for name in ("title", "category", "brand")
        ),
    ):
        nothing = words.str.to_lowercase().is_in(NOTHING).fill_null(False).arg_true()
        n = int(rows.is_in(nothing.implode()).sum())
        if n:
            found.append(f"the {what} of {n:,} {of}{'s' if n > 1 else ''} is {words[int(nothing[0])]!r}")
    if not found:
        return None
    return f"Words for nothing are taken as they stand: {'; '.join(found)}. Export an empty cell instead."


def _torn_titles(history: History) -> str | None:
    titles = history.products["title"].drop_nulls()
    strange = titles.filter(titles.str.contains(BEYOND_ASCII))
    torn = strange.filter(strange.str.contains(TORN))
    if not torn.len() or torn.len() < TORN_SHARE * strange.len():
        return None
    return (
        f"{torn.len():,} of {strange.len():,} titles with letters beyond A to Z look torn, such as "
        f"{torn[0]!r}: is encoding in [history] that of the file?"
    )


def _titles_of_html(history: History) -> str | None:
    titles = history.products["title"].drop_nulls()
    coded = titles.filter(titles.str.contains(HTML))
    if not coded.len() or coded.len() < HTML_SHARE * titles.len():
        return None
    return (
        f"{coded.len():,} of {titles.len():,} titles hold HTML, such as {coded[0]!r}, and are answered as"
        " they stand: a page that writes them as text shows its codes. Export them as text."
    )


def _names_in_two_ways(history: History) -> list[str]:
    said = []
    for what, names in (("categories", history.categories), ("brands", history.brands)):
        written = pl.DataFrame({"name": names}, schema={"name": pl.String})
        one = written.group_by(alike(written["name"]).alias("one"), maintain_order=True).agg("name")
        twice = one["name"].filter(one["name"].list.len() > 1)
        if twice.len() and twice.len() >= CAPITALS_SHARE * one.height:
            first, second = twice[0][:2]
            said.append(
                f"{twice.len():,} of {one.height:,} {what} are written in more than one way, such as"
                f" {first!r} and {second!r}: they are one to the models, but not to rules, or to who asks for"
                " one. Write them the same way in the export."
            )
    return said


def _several_categories(history: History) -> str | None:
    counts = history.counts.get("products")
    lines = 0 if counts is None else counts.left_out.get(ELSEWHERE, 0)
    if counts is None or not lines or lines < ELSEWHERE_SHARE * counts.kept:
        return None
    return (
        f"{lines:,} lines of {counts.kept:,} products were left out, since the product stands again further "
        "down in another category or none: give each product one line, with all its categories in one cell."
    )


def _fees(history: History) -> str | None:
    name = pl.coalesce("title", "product_id").alias("name")
    orders = history.purchases.select("order_row", "product_row").unique()
    sold = orders.group_by("product_row").len("orders")
    named = history.products.select("product_id", name).with_row_index("product_row")
    is_fee = pl.col("name").str.contains(FEES) & (pl.col("name").str.count_matches(r"\S+") <= FEE_WORDS)
    n_orders = orders["order_row"].n_unique()
    fees = (
        sold.join(named.cast({"product_row": pl.Int32}), on="product_row")
        .filter(is_fee, pl.col("orders") >= FEE_SHARE * n_orders)
        .sort("orders", "product_row")
    )
    if fees.is_empty():
        return None
    first = fees.row(-1, named=True)
    many = "products sound" if fees.height > 1 else "product sounds"
    return (
        f"{fees.height:,} {many} like a fee or a voucher and will be recommended like goods, such as "
        f"{first['name']!r} in {first['orders']:,} of {n_orders:,} orders: leave such ids out by "
        f"exclude_products, as {first['product_id']!r}."
    )


def _turned_dates(history: History) -> str | None:
    if history.purchases.height < LEAST_LINES:
        return None
    days = local_days(history.purchases["at_s"], history.timezone)
    of_month = days.dt.day().unique()
    if days.dt.truncate("1mo").n_unique() < LEAST_MONTHS or of_month.len() < LEAST_DAYS:
        return None
    if (of_month > MONTHS).any():
        return None
    return (
        f"Every purchase is of one of the first {MONTHS} days of a month: does date_format take the day for "
        "the month?"
    )


def _midnights_elsewhere(history: History) -> str | None:
    at_s = history.purchases["at_s"]
    local = pl.from_epoch(at_s, "s").dt.replace_time_zone("UTC").dt.convert_time_zone(history.timezone)
    if at_s.n_unique() == 1 or (at_s % DAY_S != 0).any() or (local.dt.time() == time(0)).any():
        return None
    return (
        f"Every purchase is of midnight in UTC, which is none in {history.timezone}: are they dates? Export "
        "them without time and zone, or they are of the evening before where clocks are behind UTC."
    )


def _prices_of_another_unit(history: History) -> str | None:
    """Each product's median price of 30 days against that of two such months before: none mixes units."""
    ago = (int(history.as_of.timestamp()) - 1 - pl.col("at_s")) // (30 * DAY_S)
    paid = history.purchases.filter(pl.col("unit_price") > 0)
    monthly = paid.group_by("product_row", ago.alias("ago")).agg(pl.col("unit_price").median())
    before = monthly.with_columns(pl.col("ago") - 2)
    both = monthly.join(before, on=["product_row", "ago"], suffix="_before")
    times = (pl.col("unit_price") / pl.col("unit_price_before")).median()
    compared = both.group_by("ago").agg(pl.len().alias("n"), times.alias("times"))
    is_other = (pl.col("times") >= PRICE_TIMES) | (pl.col("times") <= 1 / PRICE_TIMES)
    found = compared.filter(is_other, pl.col("n") >= LEAST_PRICED)
    if found.is_empty():
        return None
    month, n, ratio = found.sort("ago").row(-1)
    end = local_day(int(history.as_of.timestamp()) - 1 - month * 30 * DAY_S, history.timezone)
    said = f"{ratio:,.0f} times" if ratio > 1 else f"1/{1 / ratio:,.0f} of"
    return (
        f"In the 30 days up to {end} unit_price was {said} that of two months before, in the middle of {n:,} "
        "products: is it in another currency, or in cents, since? Sums of money mix both."
    )


def _sold_too_early(history: History) -> str | None:
    first = history.purchases.group_by("product_row").agg(pl.col("at_s").min())
    told = history.products["available_from"].gather(first["product_row"])
    n_told, early = told.len() - told.null_count(), int((first["at_s"] < told - DAY_S).sum())
    if early <= EARLY_SHARE * n_told:
        return None
    return (
        f"{early:,} of {n_told:,} products were first sold more than a day before available_from: is that "
        "when a line was changed last, or when the shop moved? Their first purchase counts."
    )


def _replaced_by_nothing(history: History) -> str | None:
    if not history.not_replaced:
        return None
    many = "products stay as they are" if len(history.not_replaced) > 1 else "product stays as it is"
    old, new = next(iter(history.not_replaced.items()))
    return (
        f"{len(history.not_replaced):,} {many}, such as {old!r} with {new!r} as replaced_by: that is no "
        "product of the table, or they go in a circle."
    )


def _products_by_capitals(history: History) -> str | None:
    rows = history.purchases["product_row"].unique().sort()
    alike, twice = _by_capitals(history.products["product_id"].gather(rows))
    if twice.is_empty():
        return None
    first, second = twice[0][:2]
    return (
        f"{twice.len():,} of {alike:,} products have more than one id, if {first!r} and {second!r} are the "
        "same: ids that differ in capitals alone are different ones, and what is known of one doesn't count "
        "for the other. Write them the same way in the export."
    )


def _customers_by_capitals(history: History) -> str | None:
    alike, twice = _by_capitals(pl.Series(history.customer_ids, dtype=pl.String))
    if twice.is_empty():
        return None
    return (
        f"{twice.len():,} of {alike:,} customers have more than one id, if capitals don't count: ids that "
        "differ in capitals alone are different customers. Write them the same way, such as addresses of "
        "e-mail in small letters, in the export and where your pages ask."
    )


def _by_capitals(ids: pl.Series) -> tuple[int, pl.Series]:
    """How many there are if capitals don't count, and the ids of those that have several, where many do."""
    alike = pl.DataFrame({"id": ids}).group_by(one=ids.str.to_lowercase(), maintain_order=True).agg("id")
    twice = alike["id"].filter(alike["id"].list.len() > 1)
    return alike.height, twice if twice.len() >= CAPITALS_SHARE * alike.height else twice.clear()


def _nameless_lines(history: History) -> str | None:
    nameless = history.left_out.get(NAMELESS_LINE, 0)
    if not nameless or nameless < NAMELESS_SHARE * history.purchases.height:
        return None
    return (
        f"{nameless:,} purchase lines were left out since they have no customer, though their order has one: "
        "if only an order's first line says whose it is, write it into each."
    )


def _unreadable_consents(history: History) -> str | None:
    n = 0 if history.from_record is None else history.from_record.unreadable_consents
    if not n:
        return None
    many = "consents in the table of customers are" if n > 1 else "consent in the table of customers is"
    return f"{n:,} {many} neither yes nor no: each such word counts as a no. Write true or false."


def _another_default(history: History) -> str | None:
    told = history.from_record
    if told is None or not told.other_default:
        return None
    return (
        f"The service allows customers who said nothing the preset {told.other_default}, this night "
        f"{told.default}: give NEXTBEST_CONSENT_DEFAULT and consent_default of [record] the same value."
    )


def _turned_promotions(history: History) -> str | None:
    if history.promotions is None:
        return None
    turned = history.promotions.filter(pl.col("ends_at") <= pl.col("starts_at"))
    if not turned.height:
        return None
    many = "end before they start" if turned.height > 1 else "ends before it starts"
    return (
        f"{turned.height:,} of {history.promotions.height:,} promotions {many}, such as one of "
        f"{turned['product_id'][0]!r}: they put nothing forward."
    )


def _unknown_promotions(history: History) -> str | None:
    if history.promotions is None or not history.promotions.height:
        return None
    ids = history.promotions["product_id"]
    if ids.is_in(history.products["product_id"].implode()).any():
        return None
    return (
        f"No promotion is of a product that is known: the table says {ids[0]!r}. Are the ids written the "
        "same way?"
    )


def _strangers(history: History) -> list[str]:
    tables = {
        "customers": history.customers,
        "audiences": history.audiences,
        "redemptions": history.redemptions,
    }
    bought = pl.Series(history.customer_ids, dtype=pl.String).implode()
    named = {name: table["customer_id"].unique() for name, table in tables.items() if table is not None}
    return [
        f"None of the {ids.len():,} customers in the table of {name} bought anything: are their ids written "
        "as in the purchases?"
        for name, ids in named.items()
        if ids.len() >= LEAST_NAMED and not ids.is_in(bought).any()
    ]
