"""The night's purchases, of a record and of the shop's own history: none twice, nobody against their will."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.history.history import History
from storage.history.options import HistoryOptions, PurchasesOptions
from storage.history.read import read_history
from storage.history.recorded import _holds_until_s, join_recorded
from storage.record import learning
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.events import Event, EventType
from storage.record.learning import Recorded, Wishes, read_recorded
from storage.record.record import Record
from storage.versions.order_keys import order_key
from tests.data.records import KEY, SHOP, empty_record, event, sqlite_url, take
from training.history.offers import ShopOffers

DAY_S = 86_400
BEGAN_S = int(datetime(2027, 1, 1, tzinfo=UTC).timestamp())
NOW = datetime(2027, 3, 1, tzinfo=UTC)
RETURN = EventType.RETURN


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Record]:
    with empty_record(sqlite_url(tmp_path)) as made:
        yield made


def on_day(day: float) -> int:
    return int(BEGAN_S + day * DAY_S)


def bought(
    number: int, customer_id: str, product_id: str, day: float, order_id: str | None = None, **more: object
) -> Event:
    return event(f"e{number}", customer_id, product_id, at_ms=on_day(day) * 1000, order_id=order_id, **more)  # type: ignore[arg-type]


def history(
    record: Record,
    folder: Path,
    lines: str,
    *,
    header: str = "customer_id,product_id,purchased_at,order_id,quantity",
    as_of: datetime | None = None,
    **options: object,
) -> History:
    """The history of these lines and a record; times are days after the first."""
    rows = []
    for line in lines.split():
        customer_id, product_id, day, *rest = line.split(",")
        at = datetime.fromtimestamp(on_day(float(day)), UTC).isoformat()
        rows.append(",".join([customer_id, product_id, at, *rest]))
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "purchases.csv").write_text("\n".join([header, *rows]) + "\n")
    recorded = read_recorded(record, PRESETS["all"])
    return read_history(
        str(folder / "shop"),
        HistoryOptions(**options),  # type: ignore[arg-type]
        as_of=as_of,
        rejects=folder / "rejects.csv",
        now=NOW,
        recorded=lambda _: recorded,
    )


def sold(history: History) -> list[tuple[object, ...]]:
    named = history.named_purchases().sort("purchased_at", "customer_id", "product_id")
    days = (named["purchased_at"].dt.epoch("s") - BEGAN_S) / DAY_S
    return list(zip(named["customer_id"], named["product_id"], days, named["quantity"], strict=True))


def test_with_order_ids_a_line_that_both_have_counts_once(record: Record, tmp_path: Path) -> None:
    take(
        record,
        bought(1, "anna", "milk", 1, "o1"),  # in the history as well
        bought(2, "anna", "bread", 1, "o1"),  # missing there, though it ends later
        bought(3, "bert", "milk", 1, "o1"),  # another customer's order of the same name
        bought(4, "anna", "milk", 3, "o3", quantity=2.0),
        bought(5, "anna", "milk", 3, "o3", quantity=2.0),  # the same line, sent under another event id
    )
    found = history(record, tmp_path, "anna,milk,1,o1,1 anna,milk,2,o2,1")
    assert sold(found) == [
        ("anna", "bread", 1.0, 1.0),
        ("anna", "milk", 1.0, 1.0),
        ("bert", "milk", 1.0, 1.0),
        ("anna", "milk", 2.0, 1.0),
        ("anna", "milk", 3.0, 2.0),
    ]
    counts = found.counts["purchases"]
    assert (counts.read, counts.kept) == (7, 5)
    assert counts.left_out == {
        "recorded, the same line of an order again": 1,
        "recorded, in the shop's history already": 1,
    }
    assert found.from_record is not None
    assert (found.from_record.purchases, found.from_record.tombstone) == (3, 0)


def test_a_line_that_the_history_has_under_a_new_id_counts_once(sqlite: Record, tmp_path: Path) -> None:
    take(sqlite, bought(1, "anna", "milk", 1, "o1"), bought(2, "anna", "milk", 2, "o2"))
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "products.csv").write_text("product_id,replaced_by\nmilk,oat\noat,soy\nsoy,\n")
    found = history(sqlite, tmp_path, "anna,soy,1,o1,1 bert,oat,3,o3,1")
    assert sold(found) == [("anna", "soy", 1.0, 1.0), ("anna", "soy", 2.0, 1.0), ("bert", "soy", 3.0, 1.0)]


def test_without_order_ids_the_history_holds_up_to_its_last_line(sqlite: Record, tmp_path: Path) -> None:
    take(
        sqlite,
        bought(1, "anna", "milk", 1),
        bought(2, "anna", "milk", 2.25),
        bought(3, "anna", "milk", 2.5),
        bought(4, "anna", "bread", 2.5, "o1"),
        bought(5, "bert", "milk", 1, "o2"),  # an order id that this history can't be asked for
    )
    header = "customer_id,product_id,purchased_at"
    found = history(sqlite, tmp_path, "anna,milk,1 anna,milk,2.25", header=header)
    assert [line[:3] for line in sold(found)] == [
        ("anna", "milk", 1.0),
        ("anna", "milk", 2.25),
        ("anna", "bread", 2.5),
        ("anna", "milk", 2.5),
    ]
    assert found.left_out == {"recorded, in the shop's history already": 3}


@pytest.mark.parametrize(
    ("timezone", "last_day", "next_day"),
    [
        ("UTC", "2027-01-09T00:00:00Z", "2027-01-10T00:00:00Z"),
        ("Europe/Berlin", "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),  # a day of 23 hours
        ("America/Santiago", "2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"),  # there it has no midnight
    ],
)
def test_dates_without_times_hold_to_the_end_of_their_last_local_day(
    timezone: str, last_day: str, next_day: str
) -> None:
    midnight, next_midnight = (int(datetime.fromisoformat(day).timestamp()) for day in (last_day, next_day))
    assert _holds_until_s(pl.Series([midnight]), timezone) == next_midnight - 1
    assert _holds_until_s(pl.Series([midnight, midnight + 60]), timezone) == midnight + 60
    assert _holds_until_s(pl.Series([midnight + 60, midnight]), timezone) == midnight + 60


def test_a_purchase_of_the_last_day_of_a_history_of_dates_counts_once(sqlite: Record, tmp_path: Path) -> None:
    take(sqlite, bought(1, "anna", "milk", 2.7), bought(2, "anna", "milk", 3))
    header = "customer_id,product_id,purchased_at"
    found = history(sqlite, tmp_path, "zoe,milk,1 anna,milk,2", header=header)
    assert [line[:3] for line in sold(found)] == [
        ("zoe", "milk", 1.0),
        ("anna", "milk", 2.0),
        ("anna", "milk", 3.0),
    ]


def test_the_lines_of_the_last_weeks_are_known_by_their_orders(sqlite: Record, tmp_path: Path) -> None:
    take(sqlite, bought(1, "anna", "milk", 40, "o40"), bought(2, "anna", "milk", 41))
    found = history(sqlite, tmp_path, "anna,milk,1,o1,1 bert,milk,20,o20,1 bert,bread,20,o20,1")
    lines = [("anna", "o40", "milk"), ("bert", "o20", "milk"), ("bert", "o20", "bread")]
    assert found.order_keys.tolist() == sorted(order_key(*line) for line in lines)
    without = history(sqlite, tmp_path, "anna,milk,50", header="customer_id,product_id,purchased_at")
    assert without.order_keys.tolist() == []


def test_what_is_left_out_of_the_history_is_left_out_of_the_record(sqlite: Record, tmp_path: Path) -> None:
    take(
        sqlite,
        bought(1, "anna", "milk", 3, "C1"),
        bought(2, "anna", "bread", 3, "o1"),
        bought(3, "anna", "milk", 5, "o5"),
        bought(4, "anna", "milk", 3, "o4"),
    )
    found = history(
        sqlite,
        tmp_path,
        "anna,milk,1,o1,1",
        as_of=datetime.fromtimestamp(on_day(4), UTC),
        purchases=PurchasesOptions(cancellation="^C", exclude_products=("br.*",)),
    )
    assert [line[:3] for line in sold(found)] == [("anna", "milk", 1.0), ("anna", "milk", 3.0)]
    assert found.left_out == {"cancellation": 1, "excluded product": 1, "at or after as_of": 1}


def test_the_night_stands_just_after_the_last_recorded_purchase(sqlite: Record, tmp_path: Path) -> None:
    take(sqlite, bought(1, "anna", "milk", 9, "o9"))
    found = history(sqlite, tmp_path, "anna,milk,1,o1,1")
    assert found.as_of.timestamp() == on_day(9) + 1


def test_what_came_back_was_not_bought(sqlite: Record, tmp_path: Path) -> None:
    take(
        sqlite,
        bought(1, "anna", "milk", 3, "o3", quantity=3.0),
        bought(2, "anna", "milk", 4, "o4", quantity=1.0),
        bought(3, "anna", "milk", 5, "o3", kind=RETURN, quantity=2.0),  # two of the three of that order
        bought(4, "anna", "milk", 6, kind=RETURN, quantity=1.0),  # of the latest order
        bought(5, "bert", "bread", 6, kind=RETURN, quantity=1.0),  # of the history's last day
        bought(6, "bert", "milk", 1.5, kind=RETURN, quantity=1.0),  # the history knows of it itself
        bought(7, "carl", "milk", 6, kind=RETURN, quantity=1.0),  # never bought
        bought(8, "anna", "bread", 2.5, kind=RETURN, quantity=1.0),  # bought later than that
        bought(9, "anna", "bread", 3, "o3", quantity=1.0),
    )
    found = history(sqlite, tmp_path, "bert,milk,1,o1,1 bert,bread,2,o2,1")
    assert sold(found) == [
        ("bert", "milk", 1.0, 1.0),
        ("anna", "bread", 3.0, 1.0),
        ("anna", "milk", 3.0, 1.0),
    ]
    assert found.left_out == {"returned": 2}


def test_what_came_back_of_an_order_is_of_it_whichever_clock_was_ahead(
    sqlite: Record, tmp_path: Path
) -> None:
    take(
        sqlite,
        bought(1, "anna", "milk", 3, "o3", quantity=1.0),
        bought(2, "anna", "milk", 4, "o4", quantity=1.0),
        bought(3, "anna", "milk", 3.9, "o4", kind=RETURN, quantity=1.0),  # before it was bought
        bought(4, "bert", "milk", 3, "o5", quantity=1.0),
        bought(5, "bert", "milk", 4, "o6", quantity=1.0),
        bought(6, "bert", "milk", 5, kind=RETURN, quantity=1.0),  # of o5: the next one is of o6
        bought(7, "bert", "milk", 6, "o6", kind=RETURN, quantity=1.0),
    )
    found = history(sqlite, tmp_path, "bert,bread,2,o1,1")
    assert sold(found) == [("bert", "bread", 2.0, 1.0), ("anna", "milk", 3.0, 1.0)]


def test_who_allows_no_training_is_in_nothing_that_is_learned_from(record: Record, tmp_path: Path) -> None:
    take(record, bought(1, "anna", "milk", 3, "o3"), bought(2, "bert", "milk", 3, "o4"))
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["nothing"], now_ms=SHOP.received_ms, client="k")
        set_consent(connection, "bert", PRESETS["no_personalisation"], now_ms=SHOP.received_ms, client="k")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "customers.csv").write_text("customer_id,city\nanna,Rome\nbert,Turin\n")
    (tmp_path / "shop" / "audiences.csv").write_text("segment,customer_id\nall,anna\nall,bert\n")
    found = history(record, tmp_path, "anna,milk,1,o1,1 bert,milk,1,o2,1")
    assert found.customer_ids == ["bert"]
    assert found.left_out == {"no consent to learn from it": 2}
    assert found.customers is not None
    assert found.audiences is not None
    assert found.customers["customer_id"].to_list() == found.audiences["customer_id"].to_list() == ["bert"]


def test_where_the_shops_default_is_no_only_who_said_yes_is_learned_from(sqlite: Record) -> None:
    with sqlite.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=SHOP.received_ms, client="k")
    recorded = read_recorded(sqlite, PRESETS["nothing"])
    lines = pl.DataFrame({"customer_id": ["anna", "bert"], "product_id": ["p", "p"], "purchased_at": [1, 1]})
    joined = join_recorded(lines, recorded, PurchasesOptions(), None)
    assert joined.lines["customer_id"].to_list() == ["anna"]


def test_of_an_erased_customer_nothing_is_learned_but_the_new_life(record: Record, tmp_path: Path) -> None:
    lines = "anna,milk,1,o1,1 anna,milk,8,o8,1 bert,milk,1,o2,1"
    without = history(record, tmp_path, "bert,milk,1,o2,1", as_of=datetime.fromtimestamp(on_day(9), UTC))
    take(record, bought(1, "anna", "bread", 5, "o5"))
    receipt = erase(record, "anna", now_ms=on_day(6) * 1000, client="k")
    found = history(record, tmp_path, lines, as_of=datetime.fromtimestamp(on_day(9), UTC))
    assert found.customer_ids == ["bert"]
    assert found.left_out == {"customer erased": 2}
    assert found.from_record is not None
    assert found.from_record.tombstone == receipt.number
    assert found.fingerprint == without.fingerprint
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=on_day(7) * 1000, client="k")
    new_life = sold(history(record, tmp_path, lines))
    assert [line[:3] for line in new_life] == [("bert", "milk", 1.0), ("anna", "milk", 8.0)]


def test_a_record_of_many_pages_is_read_whole(sqlite: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "PAGE", 3)
    views = [event(f"v{n}", kind=EventType.VIEW) for n in range(7)]
    take(sqlite, *views, *(bought(n, "anna", "milk", 20 - n) for n in range(8)))
    recorded = read_recorded(sqlite, PRESETS["all"])
    assert recorded.purchases["purchased_at"].to_list() == [on_day(day) for day in range(13, 21)]
    assert recorded.returns.height == 0


LINES = st.lists(
    st.tuples(
        st.sampled_from("ab"), st.sampled_from("pq"), st.sampled_from([None, "1", "2"]), st.integers(1, 4)
    ),
    max_size=8,
)


def frame(lines: list[tuple[str, str, str | None, int]]) -> pl.DataFrame:
    schema = {
        name: learning.SCHEMA[name] for name in ("customer_id", "product_id", "order_id", "purchased_at")
    }
    return pl.DataFrame(lines, schema=schema, orient="row").with_columns(quantity=pl.lit(1, pl.Float32))


@given(shops=LINES, recorded=LINES)
def test_no_line_of_an_order_counts_twice_and_none_of_the_shops_own_is_lost(
    shops: list[tuple[str, str, str | None, int]], recorded: list[tuple[str, str, str | None, int]]
) -> None:
    nobody = Wishes(KEY, {}, True, {}, 0)
    found = Recorded(frame(recorded), frame([]), nobody)
    joined = join_recorded(frame(shops), found, PurchasesOptions(), None)
    kept = joined.lines.select("customer_id", "product_id", "order_id", "purchased_at").rows()
    assert kept[: len(shops)] == shops
    new, old = kept[len(shops) :], {line[:3] for line in shops}
    assert joined.counted == len(new)
    assert len(new) + sum(joined.left_out.values()) == len(recorded)
    ordered = [line[:3] for line in new if line[2] is not None]
    assert len(ordered) == len(set(ordered))
    assert not old & set(ordered)
    assert all(line[3] > max((s[3] for s in shops), default=0) for line in new if line[2] is None)


def offers_of(folder: Path, redemptions: str) -> None:
    """The shop's table of one offer, and who redeemed it on day 2."""
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "offers.csv").write_text("offer_id,product_ids,budget\no,milk,5\n")
    at = datetime.fromtimestamp(on_day(2), UTC).isoformat()
    lines = [f"o,{customer_id},{at}" for customer_id in redemptions.split()]
    (folder / "shop" / "redemptions.csv").write_text("\n".join(["offer_id,customer_id,redeemed_at", *lines]))


def test_redemptions_of_whomever_count_and_those_that_both_have_once(record: Record, tmp_path: Path) -> None:
    take(
        record,
        bought(1, "anna", "milk", 2, offer_id="o"),  # in the shop's table too
        bought(2, "bert", "milk", 2, offer_id="o"),
        bought(3, "bert", "bread", 2, offer_id="o"),  # the same redemption
        bought(4, "cleo", "milk", 9, offer_id="o"),  # after as_of: not yet
    )
    with record.writing() as connection:
        set_consent(connection, "dora", PRESETS["nothing"], now_ms=0, client="")
    offers_of(tmp_path, "anna dora guest")
    found = history(record, tmp_path, "anna,milk,1,o1,1 dora,milk,1,o2,1 bert,milk,3,o3,1", as_of=day_8())
    shop = ShopOffers.of(found)
    assert shop is not None
    assert shop.redeemed.tolist() == [4]  # anna, bert, dora, and a guest who never bought
    assert found.redemptions is not None
    assert sorted(found.redemptions["customer_id"]) == ["anna", "bert", "guest"]
    assert len(shop.redemptions.offer_row) == 2  # nothing is learned of dora, or of who isn't known


def test_who_redeemed_twice_counts_twice_whichever_of_both_knows_of_it(
    sqlite: Record, tmp_path: Path
) -> None:
    offers_of(tmp_path, "anna anna bert")
    take(
        sqlite,
        bought(1, "anna", "milk", 2, "o1", offer_id="o"),
        bought(2, "bert", "milk", 2, "o2", offer_id="o"),
        bought(3, "bert", "bread", 2, "o2", offer_id="o"),  # of the same order
        bought(4, "bert", "milk", 3, "o3", offer_id="o"),
    )
    found = history(sqlite, tmp_path, "anna,milk,1,o0,1 bert,milk,5,o5,1")
    assert found.redeemed is not None
    assert found.redeemed["n"].to_list() == [4]  # two each


def test_redemptions_that_only_the_record_has_count(sqlite: Record, tmp_path: Path) -> None:
    take(sqlite, bought(1, "bert", "milk", 2, offer_id="o"))
    offers_of(tmp_path, "")
    (tmp_path / "shop" / "redemptions.csv").unlink()
    shop = ShopOffers.of(history(sqlite, tmp_path, "anna,milk,3,o1,1"))
    assert shop is not None
    assert shop.redeemed.tolist() == [1]


def day_8() -> datetime:
    return datetime.fromtimestamp(on_day(8), UTC)
