"""What read_history keeps, leaves out and rejects, and what it says when it can't go on."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.errors import BadHistoryError, TooLittleHistoryError
from storage.history.history import History
from storage.history.options import HistoryOptions
from storage.record.tables import CONSENTS
from storage.versions.strings import order_of
from tests.data.exports import HEADER, NOW, read, refusal, rejected, write


def reasons(folder: Path) -> dict[int, str]:
    table = rejected(folder)
    return dict(zip(table["line"].cast(pl.Int64), table["reason"], strict=True))


def bought(history: History) -> list[tuple[str, str]]:
    return history.named_purchases().select("customer_id", "product_id").sort(pl.all()).rows()


def test_a_plain_file_becomes_rows_in_the_order_of_the_id_index(tmp_path: Path) -> None:
    history = read(write(tmp_path, HEADER + "a,p,2020-01-02\na,q,2020-01-01\nb,p,2020-01-03 10:00:00\n"))

    assert history.customer_ids == order_of(["a", "b"])
    assert history.products["product_id"].to_list() == order_of(["p", "q"])
    assert bought(history) == [("a", "p"), ("a", "q"), ("b", "p")]
    assert history.as_of == datetime(2020, 1, 3, 10, 0, 1, tzinfo=UTC)
    assert history.purchases.schema == {
        "customer_row": pl.Int32,
        "product_row": pl.Int32,
        "order_row": pl.Int32,
        "at_s": pl.Int64,
        "quantity": pl.Float32,
        "unit_price": pl.Float32,
        "discount": pl.Float32,
    }
    assert (
        history.purchases.rows()
        == history.purchases.sort("customer_row", "at_s", "order_row", "product_row").rows()
    )
    assert history.purchases["quantity"].to_list() == [1, 1, 1]
    assert (history.read_lines, history.rejected, history.left_out) == (3, 0, {})


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (",p,2020-01-01,o,1,1", "customer_id: empty"),
        ("  ,p,2020-01-01,o,1,1", "customer_id: empty"),
        ("a,,2020-01-01,o,1,1", "product_id: empty"),
        ("a,p,,o,1,1", "purchased_at: empty"),
        (f"{'x' * 257},p,2020-01-01,o,1,1", "customer_id: over 256 bytes"),
        (f"{'é' * 129},p,2020-01-01,o,1,1", "customer_id: over 256 bytes"),
        ("a\0b,p,2020-01-01,o,1,1", "customer_id: control characters"),
        ("a,p,yesterday,o,1,1", "purchased_at: not a time"),
        ("a,p,2020-02-30,o,1,1", "purchased_at: not a time"),
        ("a,p,2030-01-01,o,1,1", "purchased_at: time in the future"),
        ("a,p,1969-12-31,o,1,1", "purchased_at: before 1970"),
        ("a,p,2020-03-29 02:30,o,1,1", "purchased_at: no such local time in Europe/Berlin"),
        ("a,p,2020-01-01,o,0,1", "quantity: zero or negative"),
        ("a,p,2020-01-01,o,-2,1", "quantity: zero or negative"),
        ("a,p,2020-01-01,o,many,1", "quantity: not a number"),
        ("a,p,2020-01-01,o,1e-60,1", "quantity: zero or negative"),
        ("a,p,2020-01-01,o,1,NaN", "unit_price: not a number"),
        ("a,p,2020-01-01,o,1,inf", "unit_price: not a number"),
        ("a,p,2020-01-01,o,1,1e99", "unit_price: not a number"),
        ("a,p,2020-01-01,o,1,-0.01", "unit_price: negative"),
        ("a,p,2020-01-01,o,1", "line: fewer fields than the header"),
        ("a,p,2020-01-01,o,1,1,7", "line: more fields than the header"),
        ('a,"p,2020-01-01,o,1,1', "line: a quote is not closed"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason_and_the_others_stay(
    tmp_path: Path, row: str, reason: str
) -> None:
    header = "customer_id,product_id,purchased_at,order_id,quantity,unit_price\n"
    good = "good,p,2020-01-01,o,1,0\n"
    history = read(write(tmp_path, f"{header}{good}{row}\n{good}"), timezone="Europe/Berlin")
    assert reasons(tmp_path) == {3: reason}
    assert bought(history) == [("good", "p"), ("good", "p")]
    assert (history.read_lines, history.rejected) == (3, 1)
    assert history.counts["purchases"].rejected == {reason: 1}


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2020-07-01", "2020-06-30T22:00:00"),
        ("2020-07-01 12:30", "2020-07-01T10:30:00"),
        ("2020-07-01T12:30:15", "2020-07-01T10:30:15"),
        ("2020-07-01 12:30:15.987654", "2020-07-01T10:30:15"),
        ("2020-07-01T12:30:15Z", "2020-07-01T12:30:15"),
        ("2020-07-01 12:30:15+05:30", "2020-07-01T07:00:15"),
        ("2020-07-01T12:30-0400", "2020-07-01T16:30:00"),
        ("2020-10-25 02:30", "2020-10-25T00:30:00"),  # the clocks show it twice: the first
    ],
)
def test_iso_times_are_read_as_the_shops_local_time_unless_they_have_an_offset(
    tmp_path: Path, text: str, utc: str
) -> None:
    history = read(write(tmp_path, f"{HEADER}a,p,{text}\n"), timezone="Europe/Berlin")
    assert history.named_purchases()["purchased_at"].to_list() == [
        datetime.fromisoformat(utc).replace(tzinfo=UTC)
    ]


def test_a_day_whose_midnight_the_clocks_skip_begins_at_one(tmp_path: Path) -> None:
    history = read(write(tmp_path, f"{HEADER}a,p,2017-10-15\n"), timezone="America/Sao_Paulo")
    assert history.named_purchases()["purchased_at"].to_list() == [datetime(2017, 10, 15, 3, tzinfo=UTC)]


def test_lines_at_or_after_as_of_leave_no_trace_but_their_number(tmp_path: Path) -> None:
    text = HEADER + "a,p,2020-01-01\nlate,late,2020-02-01\na,q,2020-01-31 23:59:59\nworse,,2020-02-02\n"
    as_of = datetime(2020, 2, 1, tzinfo=UTC)
    whole = read(write(tmp_path / "whole", text), as_of=as_of)
    before = read(
        write(tmp_path / "before", HEADER + "a,p,2020-01-01\na,q,2020-01-31 23:59:59\n"), as_of=as_of
    )
    assert whole.left_out == {"at or after as_of": 2}
    assert whole.rejected == 0
    assert whole.customer_ids == ["a"]
    assert whole.fingerprint == before.fingerprint
    assert whole.as_of == as_of


def test_titles_told_at_or_after_as_of_are_not_known_yet(tmp_path: Path) -> None:
    text = (
        "customer_id,product_id,purchased_at,title\na,p,2020-01-01,Old\na,p,2020-01-02,\na,p,2020-03-01,New\n"
    )
    write(tmp_path, text)
    assert read(tmp_path, as_of=datetime(2020, 2, 1, tzinfo=UTC)).products["title"].to_list() == ["Old"]
    assert read(tmp_path).products["title"].to_list() == ["New"]


def test_only_whole_ids_are_excluded_and_orders_match_anywhere(tmp_path: Path) -> None:
    header = "customer_id,product_id,purchased_at,order_id\n"
    lines = "".join(
        f"a,{product},2020-01-01,{order}\n"
        for product, order in [
            ("POST", "1"),
            ("POSTER", "1"),
            ("COMPOST", "1"),
            ("DCGS12", "1"),
            ("p", "C2"),
            ("q", "2C"),
            ("r", ""),
        ]
    )
    options = {"exclude_products": ["POST", "DCGS.*"], "cancellation": "^C"}
    history = read(write(tmp_path, header + lines), purchases=options)
    assert [product for _, product in bought(history)] == ["COMPOST", "POSTER", "q", "r"]
    assert history.left_out == {"excluded product": 2, "cancellation": 1}


def test_only_lines_with_a_cell_that_is_asked_for_are_purchases(tmp_path: Path) -> None:
    lines = "a,p,2020-01-01,buy\n,,,view\na,q,2020-01-01,rebuy\na,r,2020-01-01,\na,s,2020-01-01, paid\n"
    write(tmp_path, "customer_id,product_id,purchased_at,event \n" + lines)
    history = read(tmp_path, purchases={"only": {"event": ["buy", "pa.d"]}})
    counts = history.counts["purchases"]
    assert sorted(history.products["product_id"]) == ["p", "s"]
    assert counts.left_out == {"not a purchase by event": 3}
    assert (counts.read, counts.rejected, counts.unread) == (5, {}, ())
    assert read(tmp_path, purchases={"only": {"event": [""]}}).products["product_id"].to_list() == ["r"]
    refused = refusal(tmp_path, purchases={"only": {"type": ["buy"]}})
    there = "customer_id, product_id, purchased_at, event"
    assert refused.endswith(f"only in [history.purchases] looks into 'type', and there is {there}")
    write(tmp_path, "customer_id,product_id,purchased_at,event,event\na,p,2020-01-01,buy,view\n")
    assert "2 columns 'event'" in refusal(tmp_path, purchases={"only": {"event": ["buy"]}})


def test_cancellations_without_a_column_of_orders_are_refused_by_both_names(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    with pytest.raises(BadHistoryError) as caught:
        read(tmp_path, purchases={"cancellation": "^C"})
    assert str(caught.value) == (
        "purchases.csv: cancellation in [history.purchases] looks into order_id: no column 'order_id'; it "
        "has customer_id, product_id, purchased_at. Map order_id in [history.purchases.columns]"
    )


def test_a_torn_line_is_rejected_even_where_lines_without_customer_are_left_out(tmp_path: Path) -> None:
    history = read(
        write(tmp_path, HEADER + "a,p,2020-01-01\n,p,2020-01-01\nx\n"), purchases={"skip_anonymous": True}
    )
    assert (history.rejected, history.left_out) == (1, {"no customer": 1})


def test_too_many_bad_lines_stop_with_counts_and_the_option_to_change(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,p,01.02.2020\n,p,2020-01-01\na,p,03.02.2020\n")
    with pytest.raises(BadHistoryError) as caught:
        read(tmp_path, max_reject_share=0.7)
    assert str(caught.value) == (
        "purchases: 3 of 4 lines rejected (purchased_at: not a time: 2, customer_id: empty: 1), more than"
        f" max_reject_share = 0.7 in [history]. Each stands in {tmp_path / 'out' / 'rejects.csv'};"
        ' set date_format in [history.purchases]. They are read by "%d.%m.%Y"'
    )
    assert len(reasons(tmp_path)) == 3
    assert read(tmp_path, max_reject_share=0.75).rejected == 3


def test_of_a_shop_whose_returns_are_lines_below_zero_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    write(tmp_path, HEADER[:-1] + ",quantity\na,p,2020-01-01,1\na,p,2020-01-02,-1\n")
    with pytest.raises(
        BadHistoryError, match=r"zero or negative: 1\).*in \[history\]\. .*; .* returns .* allow more"
    ):
        read(tmp_path, max_reject_share=0.1)


def test_lines_that_are_left_out_do_not_thin_the_share_of_bad_ones(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,FEE,2020-01-01\n" * 98 + "a,p,2020-01-01\na,p,never\n")
    with pytest.raises(BadHistoryError, match="1 of 2 lines"):
        read(tmp_path, max_reject_share=0.4, purchases={"exclude_products": ["FEE"]})


def test_equal_lines_are_two_sales_unless_the_shop_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,p,2020-01-01\na,p,2020-01-02\n")
    assert read(tmp_path).purchases.height == 3
    once = read(tmp_path, drop_duplicates=True)
    assert (once.purchases.height, once.left_out) == (2, {"duplicate": 1})


def test_without_order_ids_an_order_is_a_customers_local_day(tmp_path: Path) -> None:
    lines = "a,p,2020-06-01 20:00\na,q,2020-06-02 03:00\na,p,2020-06-02 04:30\nb,p,2020-06-01 20:00\n"
    history = read(
        write(tmp_path, HEADER + lines.replace(":00\n", ":00Z\n").replace(":30\n", ":30Z\n")),
        timezone="America/New_York",
    )
    rows = history.named_purchases().sort("customer_id", "purchased_at")["order_row"].to_list()
    assert rows[0] == rows[1] != rows[2]  # 23 h and 0 h 30 of New York
    assert len(set(rows)) == 3


def test_an_order_id_that_two_customers_share_is_two_orders(tmp_path: Path) -> None:
    header = "customer_id,product_id,purchased_at,order_id\n"
    history = read(
        write(tmp_path, header + "a,p,2020-01-01,1\na,q,2020-01-05,1\nb,p,2020-01-01,1\na,q,2020-01-05,\n")
    )
    by_customer = history.named_purchases().group_by("customer_id").agg(pl.col("order_row").unique().sort())
    assert {name: len(rows) for name, rows in by_customer.rows()} == {"a": 2, "b": 1}
    assert len(history.interactions()) == 4


def test_offers_redemptions_customers_and_audiences_are_read(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\na,p,2020-03-01\n")
    write(
        tmp_path,
        "offer_id,product_ids,discount,starts_at,ends_at\no1, p; q ;,1.5,2020-01-01,2031-01-01\no2,;,1,,\n",
        "offers.csv",
    )
    write(tmp_path, "offer_id,customer_id,redeemed_at\no1,a,2020-01-02\no1,a,2020-02-02\n", "redemptions.csv")
    write(tmp_path, "customer_id,personalise,plan\na,yes,gold\n", "customers.csv")
    write(tmp_path, "segment,customer_id\ns,a\n", "audiences.csv")
    history = read(tmp_path, as_of=datetime(2020, 2, 1, tzinfo=UTC))
    assert history.offers is not None and history.redemptions is not None
    assert history.offers.select("offer_id", "product_ids", "discount").rows() == [("o1", ["p", "q"], 1.5)]
    assert history.offers["ends_at"].to_list() == [datetime(2031, 1, 2, tzinfo=UTC)]  # of all of that day
    assert history.redemptions.rows() == [("o1", "a", datetime(2020, 1, 2, tzinfo=UTC))]
    assert history.customers is not None and history.customers.rows(named=True) == [
        dict.fromkeys(CONSENTS) | {"customer_id": "a", "personalise": "yes", "plan": "gold"}
    ]
    assert history.audiences is not None and history.audiences.rows() == [("s", "a")]
    assert rejected(tmp_path).select("table", "line", "reason").rows() == [
        ("offers", "3", "product_ids: empty")
    ]


def test_nothing_left_to_learn_from_is_an_error_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    with pytest.raises(TooLittleHistoryError, match="no purchase before 2019-01-01"):
        read(tmp_path, as_of=datetime(2019, 1, 1, tzinfo=UTC))
    write(tmp_path, HEADER)
    with pytest.raises(TooLittleHistoryError, match=f"no purchase in {tmp_path}$"):
        read(tmp_path)


def test_the_fingerprint_follows_the_content_and_not_its_files(tmp_path: Path) -> None:
    lines = ["a,p,2020-01-01\n", "b,p,2020-01-02\n", "a,q,2020-01-03\n"]
    one = read(write(tmp_path / "one", HEADER + "".join(lines)))
    write(tmp_path / "two", HEADER + lines[2], "purchases/1.csv")
    two = read(write(tmp_path / "two", HEADER + lines[0] + lines[1], "purchases/deep/2.csv"))
    frame = pl.read_csv((HEADER + "".join(lines)).encode(), try_parse_dates=True)
    (tmp_path / "three").mkdir()
    frame.write_parquet(tmp_path / "three" / "purchases.parquet")
    three = read(tmp_path / "three")
    other = read(write(tmp_path / "other", HEADER + lines[0] + lines[1] + "a,q,2020-01-03 00:00:01\n"))
    assert one.fingerprint == two.fingerprint == three.fingerprint
    assert one.purchases.equals(two.purchases) and one.products.equals(three.products)
    assert one.fingerprint not in (
        other.fingerprint,
        read(tmp_path / "one", timezone="Asia/Tokyo").fingerprint,
    )


def test_the_fingerprint_follows_every_table(tmp_path: Path) -> None:
    write(tmp_path, HEADER + "a,p,2020-01-01\n")
    seen = {read(tmp_path).fingerprint}
    for name, header, lines in [
        ("products", "product_id,title,stock", ["p,Tea,", "p,Coffee,", "p,Coffee,0"]),
        ("offers", "offer_id,product_ids", ["o,p", "o,p;q"]),
        ("redemptions", "offer_id,customer_id,redeemed_at", ["o,a,2019-01-01", "o,a,2019-01-02"]),
        ("customers", "customer_id,plan", ["a,gold", "a,"]),
        ("audiences", "segment,customer_id", ["s,a", "t,a"]),
    ]:
        for line in lines:
            write(tmp_path, f"{header}\n{line}\n", f"{name}.csv")
            seen.add(read(tmp_path).fingerprint)
    assert len(seen) == 1 + 11


def test_an_as_of_line_is_not_taken_for_the_future(tmp_path: Path) -> None:
    write(tmp_path, HEADER + f"a,p,{NOW:%Y-%m-%d %H:%M:%S}\na,p,{NOW:%Y-%m-%d} 00:00:01\n")
    history = read(tmp_path)
    assert history.counts["purchases"].rejected == {"purchased_at: time in the future": 1}
    assert history.purchases.height == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timezone": "Mars/Base"}, "IANA name"),
        ({"encoding": "latin-99"}, "no encoding"),
        ({"encoding": "hex"}, "no encoding"),
        ({"purchases": {"cancellation": "("}}, "not a regular expression"),
        ({"purchases": {"exclude_products": ["[", "A"]}}, "not a regular expression"),
        ({"purchases": {"only": {"event": ["("]}}}, "not a regular expression"),
        ({"purchases": {"only": {"event": ["(?x)a # b"]}}}, "not a regular expression"),
        ({"purchases": {"only": {"event": []}}}, "no line would be left"),
        ({"purchases": {"columns": {"costumer_id": "x"}}}, "no column 'costumer_id'"),
        ({"purchases": {"date_format": "%H:%M"}}, "whole date"),
        ({"purchases": {"separator": ";;"}}, "one ASCII character"),
        ({"purchases": {"path": "../other.csv"}}, "below --data"),
        ({"promotions": {"known_days": -1}}, "greater than or equal to 0"),
        ({"max_reject_share": 1.5}, "less than or equal to 1"),
        ({"purchase": {}}, "Extra inputs"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HistoryOptions.model_validate(options)


CELL = st.text(st.characters(codec="utf-8", exclude_characters='\n\r"'), max_size=8)
LINE = st.one_of(
    st.lists(CELL, min_size=1, max_size=6).map(",".join),
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["p", "FEE"]),
        st.sampled_from(["2020-01-01", "2020-05-05", "x"]),
    ).map(",".join),
    st.binary(max_size=12).map(lambda raw: raw.decode("latin-1").replace("\n", "")),
)


@given(lines=st.lists(LINE, max_size=12), as_of=st.sampled_from([None, datetime(2020, 3, 1, tzinfo=UTC)]))
def test_every_line_is_kept_or_left_out_or_rejected(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], as_of: datetime | None
) -> None:
    folder = tmp_path_factory.mktemp("shop")
    first = "k,k,2019-01-01\n"
    text = (HEADER + first + "".join(line + "\n" for line in lines)).encode("latin-1", "replace")
    history = read(write(folder, text), as_of=as_of, purchases={"exclude_products": ["FEE"]})
    counts = history.counts["purchases"]
    assert counts.read == counts.kept + history.rejected + sum(history.left_out.values())
    assert counts.kept == history.purchases.height
    assert rejected(folder).height == history.rejected
    if not any('"' in line or "\r" in line for line in lines):
        assert counts.read == 1 + sum(bool(line.strip(",")) for line in lines)


ID = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(
    lambda text: text == text.strip() and len(text.encode()) <= 256
)


@given(ids=st.lists(ID, min_size=1, max_size=6, unique=True))
def test_ids_survive_to_the_byte(tmp_path_factory: pytest.TempPathFactory, ids: list[str]) -> None:
    folder = tmp_path_factory.mktemp("shop")
    frame = pl.DataFrame({"customer_id": ids, "product_id": "007", "purchased_at": "2020-01-01"})
    frame.write_csv(folder / "purchases.csv")
    history = read(folder)
    assert set(history.customer_ids) == set(ids)
    assert history.products["product_id"].to_list() == ["007"]
