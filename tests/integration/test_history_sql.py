"""A shop's history in its own database: SQLite and a real Postgres give what files give."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from models.errors import BadHistoryError
from storage.history import sql
from tests.data.exports import HEADER, read, rejected, write

SOLD = sa.Table(
    "sold",
    sa.MetaData(),
    sa.Column("client", sa.String),
    sa.Column("article", sa.Integer),
    sa.Column("sold_at", sa.DateTime(timezone=True)),
    sa.Column("day", sa.Date),
    sa.Column("pieces", sa.Numeric(10, 2)),
    sa.Column("price", sa.Float),
)
QUERY = "SELECT * FROM sold WHERE client LIKE '%7' OR client = 'x:1'"
COLUMNS = {"customer_id": "client", "product_id": "article", "purchased_at": "sold_at", "quantity": "pieces"}
ROWS = [
    ("007", 5, datetime(2020, 7, 1, 10, tzinfo=UTC), date(2020, 7, 1), Decimal("2.00"), 1.5),
    ("17", 5, datetime(2020, 7, 2, 10, tzinfo=UTC), date(2020, 7, 2), None, None),
    ("17", None, datetime(2020, 7, 3, 10, tzinfo=UTC), None, Decimal("1"), None),
    ("x:1", 6, datetime(2020, 7, 4, 10, tzinfo=UTC), None, Decimal("0"), None),
    ("8", 9, datetime(2020, 7, 5, 10, tzinfo=UTC), None, Decimal("1"), None),
]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, as a shop would write it; emptied again afterwards."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.db"
        return
    url = request.getfixturevalue("postgres_url")
    yield url
    engine = engine_of(url)
    tables = sa.MetaData()
    tables.reflect(engine)
    tables.drop_all(engine)


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)


def fill(url: str, table: sa.Table, rows: list[tuple[object, ...]]) -> None:
    engine = engine_of(url)
    table.create(engine)
    names = [column.name for column in table.columns]
    with engine.begin() as connection:
        for row in rows:
            connection.execute(table.insert(), dict(zip(names, row, strict=True)))


def test_a_query_maps_a_shops_own_tables(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, SOLD, ROWS)
    monkeypatch.setattr(sql, "BATCH_ROWS", 2)  # so that there are several batches
    history = read(
        database, purchases={"query": QUERY, "columns": COLUMNS}, rejects=tmp_path / "out" / "rejects.csv"
    )
    named = history.named_purchases().sort("purchased_at")
    assert named.select("customer_id", "product_id", "quantity").rows() == [
        ("007", "5", 2.0),
        ("17", "5", 1.0),
    ]
    assert named["purchased_at"].to_list() == [ROWS[0][2], ROWS[1][2]]
    assert rejected(tmp_path).select("table", "line", "reason").rows() == [
        ("purchases", "3", "product_id: empty"),
        ("purchases", "4", "quantity: zero or negative"),
    ]


def test_tables_with_our_names_need_no_configuration_and_equal_the_same_files(
    database: str, tmp_path: Path
) -> None:
    ours = sa.MetaData()
    texts = [sa.Column(name, sa.String) for name in ("customer_id", "product_id", "purchased_at")]
    fill(
        database,
        sa.Table("purchases", ours, *texts),
        [("a", "07", "2020-01-01 10:00"), ("b", "7", "2020-01-02")],
    )
    titles = [sa.Column("product_id", sa.String), sa.Column("title", sa.String)]
    fill(database, sa.Table("products", ours, *titles), [("7", "Tea 50 %")])
    history = read(database, rejects=tmp_path / "rejects.csv")
    files = write(tmp_path, HEADER + "a,07,2020-01-01 10:00\nb,7,2020-01-02\n")
    write(files, "product_id,title\n7,Tea 50 %\n", "products.csv")
    assert history.fingerprint == read(files).fingerprint
    assert history.offers is None


def test_dates_and_numbers_of_the_database_keep_their_type(database: str, tmp_path: Path) -> None:
    fill(database, SOLD, ROWS[:2])
    columns = COLUMNS | {"purchased_at": "day", "order_id": "price"}
    history = read(
        database,
        timezone="Europe/Berlin",
        rejects=tmp_path / "r.csv",
        purchases={"query": "SELECT * FROM sold", "columns": columns},
    )
    assert history.named_purchases()["purchased_at"].min() == datetime(2020, 6, 30, 22, tzinfo=UTC)


def test_ids_may_be_uuids_and_lists_of_them_arrays(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = request.getfixturevalue("postgres_url")
    anna, milk, bread = (f"6f1c0d3e-0000-4000-8000-00000000000{n}" for n in range(3))
    purchases = (
        f"SELECT '{anna}'::uuid customer_id, '{milk}'::uuid product_id, '2020-07-01'::date purchased_at"
    )
    offers = f"SELECT 'half' offer_id, '{{{milk},NULL,{bread}}}'::uuid[] product_ids"
    customers = f"SELECT '{anna}'::uuid customer_id, '3 days'::interval pause"
    history = read(
        url,
        rejects=tmp_path / "r.csv",
        purchases={"query": purchases},
        offers={"query": offers},
        customers={"query": customers},
    )
    assert history.customer_ids == [anna]
    assert history.offers is not None
    assert history.offers["product_ids"].to_list() == [[milk, bread]]
    assert history.customers is not None
    assert history.customers["pause"].to_list() == ["3 days, 0:00:00"]


def test_numbers_that_a_database_has_and_we_do_not_are_rejected_line_by_line(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url")
    purchases = """SELECT 'a' customer_id, id product_id, '2020-07-01'::date purchased_at, price unit_price
        FROM (VALUES (17.00, 'NaN'::numeric), (18.00, 1.50), (19.00, 'Infinity')) AS sold (id, price)
    """
    history = read(url, rejects=tmp_path / "r.csv", purchases={"query": purchases})
    assert history.named_purchases().select("product_id", "unit_price").rows() == [("18", 1.5)]
    assert history.counts["purchases"].rejected == {"unit_price: not a number": 2}


def test_numbers_of_more_digits_than_a_column_holds_are_read_as_what_they_are(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url")
    purchases = """SELECT 'a' customer_id, id product_id, '2020-07-01'::date purchased_at, price unit_price
        FROM (VALUES (10::numeric(30) ^ 40, 1.5), (17.00, 1 / 3::numeric(60, 40))) AS sold (id, price)
    """
    sold = read(url, rejects=tmp_path / "r.csv", purchases={"query": purchases}).named_purchases()
    prices = dict(sold.select("product_id", "unit_price").iter_rows())
    assert prices == {f"1{'0' * 40}": 1.5, "17": pytest.approx(1 / 3)}


def test_a_moment_that_never_comes_is_said_with_its_table_and_what_to_write(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url")
    purchases = {"query": "SELECT 'a' customer_id, 'p' product_id, '2020-07-01'::date purchased_at"}
    offers = {"query": "SELECT 'half' offer_id, 'p' product_ids, 'infinity'::timestamptz ends_at"}
    with pytest.raises(BadHistoryError) as caught:
        read(url, rejects=tmp_path / "r.csv", purchases=purchases, offers=offers)
    assert str(caught.value).endswith(
        ", offers: timestamp too large (after year 10K): 'infinity': a time without end is empty here, "
        "such as NULLIF(ends_at, 'infinity') in the query"
    )


def test_a_missing_table_or_column_or_a_wrong_query_is_said_plainly(database: str, tmp_path: Path) -> None:
    rejects = tmp_path / "r.csv"
    engine_of(database).connect().close()  # makes the SQLite file
    with pytest.raises(BadHistoryError, match=r"no table purchases: set query in \[history\.purchases\]"):
        read(database, rejects=rejects)
    with pytest.raises(BadHistoryError, match="nowhere"):
        read(database, rejects=rejects, purchases={"query": "SELECT * FROM nowhere"})
    fill(database, SOLD, [])
    missing = "no columns 'customer_id', 'product_id', 'purchased_at'; it has client, article"
    with pytest.raises(BadHistoryError, match=missing):
        read(database, rejects=rejects, purchases={"query": "SELECT * FROM sold"})


def test_a_query_is_sent_as_it_is_written_also_with_colons_and_percent_signs(
    database: str, tmp_path: Path
) -> None:
    fill(database, SOLD, ROWS)
    query = "SELECT * FROM sold WHERE client <> 'at :noon' AND client LIKE '%7'"
    history = read(database, rejects=tmp_path / "r.csv", purchases={"query": query, "columns": COLUMNS})
    assert set(history.customer_ids) == {"007", "17"}


def test_two_columns_of_one_name_as_a_join_gives_them_are_said_plainly(database: str, tmp_path: Path) -> None:
    fill(database, SOLD, ROWS)
    query = "SELECT * FROM sold JOIN sold AS again ON again.client = sold.client"
    with pytest.raises(BadHistoryError, match="two columns 'client': name the columns in the query"):
        read(database, rejects=tmp_path / "r.csv", purchases={"query": query, "columns": COLUMNS})


def test_sqlite_cells_of_several_types_become_text(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/shop.db", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE purchases (customer_id, product_id, purchased_at, quantity)")
        for row in [(7, "p", "2020-01-01", 1), ("007", 1.5, "2020-01-01", "2"), (b"b", "p", 20200101, 2.5)]:
            connection.exec_driver_sql("INSERT INTO purchases VALUES (?, ?, ?, ?)", row)
    history = read(f"sqlite:///{tmp_path}/shop.db", rejects=tmp_path / "r.csv")
    assert set(history.customer_ids) == {"7", "007"}
    assert history.counts["purchases"].rejected == {"purchased_at: not a time": 1}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:////nowhere/shop.db", "no such file"),
        ("nosuch://x", "must be a folder, sqlite:///FILE or postgresql://"),
        ("mysql://reader@db/shop", "for others see docs/data.md"),
        ("postgresql://u:secret@127.0.0.1:1/shop", "connection"),  # pragma: allowlist secret
    ],
)
def test_a_database_that_cannot_be_opened_is_said_without_its_password(
    tmp_path: Path, url: str, message: str
) -> None:
    with pytest.raises(BadHistoryError, match=message) as caught:
        read(url, rejects=tmp_path / "r.csv")
    assert "secret" not in str(caught.value)
    assert not Path("/nowhere").exists()
