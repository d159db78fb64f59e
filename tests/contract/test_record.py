"""One suite for the record, on SQLite and on a real Postgres: schema, events, changes, consent, erasure."""

from dataclasses import replace
from pathlib import Path
from traceback import format_exception

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import URL

from models.arrays import DAY_MS
from storage.record.changes import (
    CustomerChanges,
    ProductState,
    ShopChanges,
    clock_now,
    customer_changes_since,
    shop_changes_since,
)
from storage.record.consent import PRESETS, consent_of, set_consent
from storage.record.engine import open_engine
from storage.record.erasure import HOLDS_IDS, erase, erasures_after
from storage.record.erasure_key import ErasureKey
from storage.record.errors import ErasureKeyError, RecordUnavailableError, SchemaError
from storage.record.events import EventType, Fate, Sending
from storage.record.folder import private_file
from storage.record.intake import OVER_CAP, UNKNOWN_PRODUCT
from storage.record.migrate import migrate
from storage.record.personal import allowing, may_be_named
from storage.record.products import change_product
from storage.record.record import Record
from storage.record.schema import prepare
from storage.record.tables import (
    METADATA,
    SCHEMA,
    audit,
    consent_log,
    customers,
    events,
    quarantine,
    record_clock,
)
from tests.data.records import KEY, NOON_MS, SHOP, event, intake, opened, rows, take


def fates(record: Record, *batch: object, **how: object) -> list[Fate]:
    return [outcome.fate for outcome in take(record, *batch, **how)]  # type: ignore[arg-type]


def changes(record: Record, since: int) -> CustomerChanges:
    with record.reading() as connection:
        return customer_changes_since(connection, since, 100)


def test_an_error_shows_no_id_however_much_of_it_a_log_shows(record: Record) -> None:
    wrong = sa.text("SELECT * FROM nowhere WHERE customer_id = :customer_id")
    marker = str(4711**5)  # tracebacks show lines of this file
    with pytest.raises(RecordUnavailableError) as caught, record.reading() as connection:
        connection.execute(wrong, {"customer_id": marker})
    assert marker not in "".join(format_exception(caught.value))


def test_nor_do_they_show_which_row_a_database_refused(record: Record) -> None:
    """Postgres tells it in a DETAIL: the key that is there already, or all of a row that fails a rule."""
    marker = str(4711**5)
    take(record, event("e1", marker))
    again = sa.insert(events).from_select(events.c, sa.select(events))
    without_type = events.update().values(type=None)
    for wrong in (again, without_type):
        with pytest.raises(RecordUnavailableError, match="constraint") as caught, record.writing() as one:
            one.execute(wrong)
        assert marker not in "".join(format_exception(caught.value))


@pytest.mark.parametrize("how", ["made at once", "by every migration"])
def test_a_new_record_has_the_tables_that_the_code_uses(url: URL, tmp_path: Path, how: str) -> None:
    engine = open_engine(url)
    if how == "by every migration":
        private_file(tmp_path / "record" / "record.db")
        with engine.begin() as connection:
            migrate(connection)
        assert prepare(url) == SCHEMA
    else:
        assert (prepare(url), prepare(url)) == (0, SCHEMA)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
        assert connection.execute(sa.select(record_clock)).all() == [(1, 0)]
    engine.dispose()


def test_a_newer_schema_is_refused_by_name_and_left_alone(url: URL) -> None:
    prepare(url)
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0099'")
    with opened(url) as record:
        for use in (lambda: prepare(url), lambda: take(record, event("e1"))):
            with pytest.raises(SchemaError, match="it has schema 99, and this release knows 4"):
                use()
    engine.dispose()


def test_a_record_without_tables_says_what_makes_them(url: URL) -> None:
    with opened(url) as record, pytest.raises(SchemaError, match="nbo-serve record migrate"):
        take(record, event("e1"))


def test_a_record_that_was_begun_with_another_key_is_refused(record: Record, url: URL) -> None:
    take(record, event("e1"))
    other_key = ErasureKey("another key, long enough")
    with (
        opened(url, other_key) as other,
        pytest.raises(ErasureKeyError, match="every machine needs the same"),
    ):
        take(other, event("e2"))


def test_an_event_is_recorded_with_all_that_was_said(record: Record) -> None:
    bought = event("e1", order_id="o1", quantity=2.0, unit_price=0.99, discount=0.1, at_ms=NOON_MS - 5_000)
    asked = event("e2", product_id=None, kind=EventType.SURVEY, question="nps", score=9)
    clicked = event("e3", kind=EventType.CLICK, request_id="r1", position=3)
    assert fates(record, bought, asked, clicked) == [Fate.RECORDED] * 3
    names = ("event_id", "type", "product_id", "at_ms", "order_id", "quantity", "question", "position")
    assert rows(record, events, *names) == [
        ("e1", "purchase", "milk", NOON_MS - 5_000, "o1", 2.0, None, None),
        ("e2", "survey", None, NOON_MS, None, None, "nps", None),
        ("e3", "click", "milk", NOON_MS, None, None, None, 3),
    ]
    assert rows(record, events, "client", "received_ms")[0] == ("key-1", NOON_MS)


def test_the_same_event_again_counts_once_and_another_with_its_id_is_a_conflict(record: Record) -> None:
    first, other = event("e1"), event("e1", "bert")
    assert fates(record, first, first, other) == [Fate.RECORDED, Fate.DUPLICATE, Fate.CONFLICT]
    assert fates(record, other, first, event("e2")) == [Fate.CONFLICT, Fate.DUPLICATE, Fate.RECORDED]
    assert [row[0] for row in rows(record, events, "event_id")] == ["e1", "e2"]


def test_a_browsers_event_ids_are_not_the_shops(record: Record) -> None:
    browser = Sending("anna", "token-key", NOON_MS)
    seen = event("e1", kind=EventType.VIEW)
    assert fates(record, seen, sending=browser) == [Fate.RECORDED]
    assert fates(record, event("e1")) == [Fate.RECORDED]
    assert fates(record, seen, sending=browser) == [Fate.DUPLICATE]


def test_an_unknown_product_is_kept_aside_with_its_reason_however_often_it_comes(record: Record) -> None:
    strange = event("e1", product_id="ghost")
    for _ in range(2):
        assert take(record, strange) == [(Fate.QUARANTINED, UNKNOWN_PRODUCT)]
    assert fates(record, event("e1")) == [Fate.CONFLICT]
    assert rows(record, events, "event_id") == []
    kept = ("e1", "ghost", UNKNOWN_PRODUCT, strange.payload)
    assert rows(record, quarantine, "event_id", "product_id", "reason", "payload") == [kept]


def test_what_is_over_the_daily_cap_is_kept_aside_and_the_next_day_begins_anew(record: Record) -> None:
    small = intake(trade=2, others=1)
    batch = [event(f"e{n}") for n in range(4)]
    assert fates(record, *batch[:1], taking=small) == [Fate.RECORDED]
    assert take(record, *batch, taking=small) == [
        *((Fate.DUPLICATE, None), (Fate.RECORDED, None)),
        *((Fate.QUARANTINED, OVER_CAP), (Fate.QUARANTINED, OVER_CAP)),
    ]
    views = [event(f"v{n}", kind=EventType.VIEW) for n in range(2)]
    assert fates(record, *views, taking=small) == [Fate.RECORDED, Fate.QUARANTINED]
    assert fates(record, event("b1", "bert"), taking=small) == [Fate.RECORDED]
    tomorrow = replace(SHOP, received_ms=NOON_MS + DAY_MS // 2)
    assert fates(record, event("e9"), taking=small, sending=tomorrow) == [Fate.RECORDED]
    assert len(rows(record, quarantine, "event_id")) == 3


def test_of_a_browsers_events_no_more_are_kept_aside_than_count_on_a_day(record: Record) -> None:
    """Any customer's token could fill the disk: a thousand events at a time, none of which counted."""
    small, browser = intake(others=2), replace(SHOP, namespace="anna")
    views = [event(f"v{n}", product_id=f"ghost {n}", kind=EventType.VIEW) for n in range(4)]
    aside, gone = Fate.QUARANTINED, Fate.DISCARDED
    assert fates(record, *views[:3], taking=small, sending=browser) == [aside, aside, gone]
    assert fates(record, *views, taking=small, sending=browser) == [aside, aside, gone, gone]
    assert fates(record, *views, taking=small) == [aside] * 4  # of the shop's back end all of them
    tomorrow = replace(browser, received_ms=NOON_MS + DAY_MS)
    assert fates(record, *views, taking=small, sending=tomorrow) == [aside, aside, aside, aside]
    assert len(rows(record, quarantine, "event_id")) == 8


def test_a_customer_who_allows_nothing_to_be_stored_leaves_no_row(record: Record) -> None:
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["nothing"], now_ms=NOON_MS, client="k")
    assert fates(record, event("e1"), event("e2", "bert")) == [Fate.DISCARDED, Fate.RECORDED]
    assert fates(record, event("e3", "carl"), taking=intake(stores_by_default=False)) == [Fate.DISCARDED]
    assert rows(record, events, "customer_id") == [("bert",)]
    assert rows(record, quarantine, "customer_id") == []


def test_who_polls_sees_every_change_of_customers_once_and_nothing_where_nothing_changed(
    record: Record,
) -> None:
    assert changes(record, 0) == CustomerChanges(0)
    take(record, event("e1"), event("e2", "bert"), event("e3", "carl", kind=EventType.VIEW))
    first = changes(record, 0)
    assert sorted(first.customer_ids) == ["anna", "bert"]
    assert changes(record, first.now) == CustomerChanges(first.now)
    take(record, event("e1"), event("e4", kind=EventType.VIEW))  # a duplicate and a view change no list
    assert changes(record, first.now) == CustomerChanges(first.now)
    with record.writing() as connection:
        change_product(connection, ProductState("milk", 0, None, 0.2), now_ms=NOON_MS)
        set_consent(connection, "bert", PRESETS["no_personalisation"], now_ms=NOON_MS, client="k")
    second = changes(record, first.now)
    assert second == CustomerChanges(3, ("bert",))
    receipt = erase(record, "anna", now_ms=NOON_MS, client="k")
    third = changes(record, second.now)
    assert (third.customer_ids, third.now) == ((), 4)
    assert [(stone.number, stone.customer_hash, stone.epoch) for stone in third.erased] == [
        (receipt.number, KEY.hash_of("anna"), 4)
    ]
    assert changes(record, 0).customer_ids == ("bert",)


def test_who_polls_for_products_and_rules_reads_no_customer(record: Record) -> None:
    take(record, event("e1"), event("e2", "bert"))
    with record.writing() as connection:
        change_product(connection, ProductState("milk", 0, None, 0.2), now_ms=NOON_MS)
    asked: list[str] = []
    with record.reading() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
        found = shop_changes_since(connection, 0, 100)
        assert found == ShopChanges(clock_now(connection), ((2, ProductState("milk", 0, None, 0.2)),))
        assert shop_changes_since(connection, found.now, 100) == ShopChanges(found.now)
    assert asked
    assert not any("customers" in statement or "tombstones" in statement for statement in asked)


def test_a_consent_is_in_force_at_once_and_every_change_is_written_down(record: Record) -> None:
    with record.writing() as connection:
        assert consent_of(connection, "anna", PRESETS["all"]) == PRESETS["all"]
        for name in ("nothing", "all"):
            set_consent(connection, "anna", PRESETS[name], now_ms=NOON_MS, client="key-7")
        assert consent_of(connection, "anna", PRESETS["nothing"]) == PRESETS["all"]
    take(record, event("e1", "bert"))
    with record.reading() as connection:
        assert consent_of(connection, "bert", PRESETS["nothing"]) == PRESETS["nothing"]
    assert rows(record, consent_log, "customer_id", "store", "client") == [
        ("anna", False, "key-7"),
        ("anna", True, "key-7"),
    ]


def test_an_erasure_leaves_a_tombstone_and_no_row(record: Record) -> None:
    take(record, event("e1"), event("e2"), event("e3", product_id="ghost"), event("b1", "bert"))
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS, client="k")
    receipt = erase(record, "anna", now_ms=NOON_MS + 1, client="k")
    assert receipt.rows == {
        **{
            "events": 2,
            "quarantine": 1,
            "customers": 1,
            "consent_log": 1,
            "exposures": 0,
            "offer_promises": 0,
        }
    }
    for table in HOLDS_IDS:
        assert "anna" not in {row[0] for row in rows(record, table, "customer_id")}
    assert rows(record, customers, "customer_id") == [("bert",)]
    assert rows(record, audit, "what", "detail") == [("erasure", "{}")]
    with record.reading() as connection:
        assert (erasures_after(connection, 0), erasures_after(connection, receipt.number)) == (1, 0)


def test_who_still_allows_it_is_told_by_their_own_word_by_the_default_and_by_later_erasures(
    record: Record,
) -> None:
    said = {
        "anna": replace(PRESETS["all"], experiment=False),
        "bert": PRESETS["all"],
        "cleo": replace(PRESETS["all"], personalise=False),
    }
    with record.writing() as connection:
        for customer_id, consent in said.items():
            set_consent(connection, customer_id, consent, now_ms=NOON_MS, client="key-1")
    known = erase(record, "dora", now_ms=NOON_MS, client="key-1").number
    erase(record, "emil", now_ms=NOON_MS, client="key-1")
    everybody = ["anna", "bert", "cleo", "dora", "emil", "somebody"]

    def who(*consents: str, default: str = "all", tombstone: int = known) -> list[str]:
        may = allowing(record, everybody, consents, tombstone=tombstone, default=PRESETS[default])
        return [customer_id for customer_id, is_so in zip(everybody, may, strict=True) if is_so]

    assert who("personalise", "experiment") == ["bert", "dora", "somebody"]
    assert who("personalise", "experiment", tombstone=0) == ["bert", "somebody"]
    assert who("personalise") == ["anna", "bert", "dora", "somebody"]
    assert who("personalise", default="nothing") == ["anna", "bert"]


def test_a_name_may_be_kept_by_consent_and_after_an_erasure_only_of_what_follows_a_new_one(
    record: Record,
) -> None:
    for customer_id in ("dora", "emil"):
        erase(record, customer_id, now_ms=NOON_MS, client="k")
    with record.writing() as connection:
        for customer_id, said in (("ben", "nothing"), ("cleo", "all"), ("emil", "all")):
            set_consent(connection, customer_id, PRESETS[said], now_ms=NOON_MS, client="k")

    def named(at_ms: int, *, by_default: bool) -> set[str]:
        seen_ms = dict.fromkeys(("anna", "ben", "cleo", "dora", "emil"), at_ms)
        with record.reading() as connection:
            return may_be_named(connection, record.key, seen_ms, stores_by_default=by_default)

    assert named(NOON_MS + 1, by_default=True) == {"anna", "cleo", "emil"}
    assert named(NOON_MS, by_default=True) == {"anna", "cleo"}
    assert named(NOON_MS + 1, by_default=False) == {"cleo", "emil"}
    default = replace(PRESETS["nothing"], store=True)
    for asked, allowed in ((["store"], [True, True]), (["store", "train"], [False, True])):
        assert allowing(record, ["anna", "cleo"], asked, tombstone=0, default=default) == allowed


def test_every_column_that_holds_a_customers_id_is_erased(record: Record) -> None:
    with record.reading() as connection:
        inspector = sa.inspect(connection)
        holding = {
            name
            for name in inspector.get_table_names()
            if any(column["name"] == "customer_id" for column in inspector.get_columns(name))
        }
    assert holding == {table.name for table in HOLDS_IDS} | {"offer_promises"}


def test_late_events_of_an_erased_customer_are_refused_until_a_new_consent_starts_a_new_life(
    record: Record,
) -> None:
    take(record, event("e1"))
    first = erase(record, "anna", now_ms=NOON_MS + 1, client="k")
    late, new = event("e2"), event("e3", at_ms=NOON_MS + 2)
    assert fates(record, event("e1"), late, new) == [Fate.ERASED] * 3
    with record.writing() as connection:
        epoch = set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS + 2, client="k")
    assert epoch > first.epoch
    assert fates(record, late, new) == [Fate.ERASED, Fate.RECORDED]
    second = erase(record, "anna", now_ms=NOON_MS + 3, client="k")
    assert (second.rows["events"], second.number > first.number) == (1, True)
    assert fates(record, new) == [Fate.ERASED]
    assert len(changes(record, 0).erased) == 1


@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["anna", "bert"])), max_size=6), max_size=6
    )
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_again_in_whatever_batches_counts_once(
    record: Record, batches: list[list[tuple[int, str]]]
) -> None:
    with record.writing() as connection:
        for table in METADATA.sorted_tables:
            if table.name in ("events", "customers"):
                connection.execute(sa.delete(table))
    first: dict[int, str] = {}
    for batch in batches:
        expected = []
        for number, who in batch:
            seen = first.get(number)
            expected.append(
                Fate.RECORDED if seen is None else Fate.DUPLICATE if seen == who else Fate.CONFLICT
            )
            first.setdefault(number, who)
        assert fates(record, *(event(f"e{n}", who) for n, who in batch)) == expected
    kept = {(f"e{n}", who) for n, who in first.items()}
    assert set(rows(record, events, "event_id", "customer_id")) == kept
