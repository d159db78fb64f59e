"""The record's own file and key: private, made once, never made by accident, and safe against a power cut."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from psutil import Process

from experiments.cli import commands as experiment_commands
from service.cli import main
from service.errors import RefusedError
from service.events.counters import EventCounters
from service.record import RecordDoor
from service.settings import Settings
from service.telemetry.metrics import Metrics
from storage.record import engine, erasure_key
from storage.record.changes import ProductState
from storage.record.engine import file_of, open_engine, parse_url
from storage.record.erasure import erase
from storage.record.erasure_key import KEY_FILE, ErasureKey, load_erasure_key
from storage.record.errors import BadRecordUrlError, ErasureKeyError, SchemaError
from storage.record.events import DailyCaps
from storage.record.intake import Intake
from storage.record.products import change_product
from storage.record.record import FILE, Record, record_url
from storage.record.replay import stones_of
from storage.record.schema import prepare
from storage.record.tables import consent_log, events
from storage.record_options import RecordPlace, record_if_any
from storage.versions.store import write_atomic
from tests.data.records import KEY, NOON_MS, empty_record, event, opened, rows, sqlite_url, take

type Safe = tuple[int, int, int]
OLD, NEW = (3, 0, 0), (99, 0, 0)  # from which SQLite on the write-ahead log is safe: before ours, after it


@pytest.mark.parametrize(
    "url",
    ["", "x", "sqlite://", "sqlite:///:memory:", "mysql://h/d", "postgresql+asyncpg://h/d", "redis://h"],
)
def test_a_url_that_is_no_record_is_refused(url: str) -> None:
    with pytest.raises(BadRecordUrlError, match=r"must be sqlite:///FILE or postgresql://HOST/DATABASE"):
        parse_url(url)


def test_a_refused_url_does_not_show_its_password() -> None:
    with pytest.raises(BadRecordUrlError) as caught:
        parse_url("mysql://u:s3cret@h/d")  # pragma: allowlist secret
    assert "s3cret" not in str(caught.value)
    accepted = parse_url("postgresql://u:s3cret@h/d")  # pragma: allowlist secret
    assert "s3cret" not in Record(accepted, KEY).name


def test_file_and_key_are_for_their_owner_alone(tmp_path: Path) -> None:
    prepare(record_url(tmp_path, None))
    load_erasure_key(tmp_path, None)
    for path in (tmp_path / FILE, tmp_path / KEY_FILE):
        assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / FILE).parent.stat().st_mode & 0o777 == 0o700


def test_a_key_is_made_once_and_the_shops_own_goes_before_it(tmp_path: Path) -> None:
    first = load_erasure_key(tmp_path, None)
    assert load_erasure_key(tmp_path, None).hash_of("42") == first.hash_of("42")
    own = load_erasure_key(tmp_path, "a key of the shop's own")
    assert own.hash_of("42") != first.hash_of("42")
    assert own.fingerprint != first.fingerprint
    for content in ("", "short"):
        (tmp_path / KEY_FILE).write_text(content)
        with pytest.raises(ErasureKeyError, match=f"{tmp_path / KEY_FILE} must have at least 16 bytes"):
            load_erasure_key(tmp_path, None)
    with pytest.raises(ErasureKeyError, match="erasure key: it must have at least 16 bytes"):
        load_erasure_key(tmp_path, "short")


def test_two_that_make_the_key_at_once_have_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Barrier(2)  # threads have one process number, as processes of two containers may

    def write(path: Path, text: str, mode: int) -> None:
        write_atomic(path, text, mode)
        written.wait(30)

    monkeypatch.setattr(erasure_key, "write_atomic", write)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(load_erasure_key, [tmp_path] * 2, [None] * 2)
    assert one.fingerprint == other.fingerprint == load_erasure_key(tmp_path, None).fingerprint
    assert [file.name for file in (tmp_path / KEY_FILE).parent.iterdir()] == [KEY_FILE.name]


def test_hashes_differ_by_customer() -> None:
    assert len({KEY.hash_of(customer_id) for customer_id in ("42", "042", "42 ", "")}) == 4
    assert ErasureKey("0123456789abcdef").hash_of("42") == KEY.hash_of("42")


def test_who_reads_a_record_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with opened(sqlite_url(tmp_path)) as record, pytest.raises(SchemaError, match="there is none yet"):
        take(record, event("e1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("safe", "journal", "synchronous"), [((3, 0, 0), "wal", 2), ((99, 0, 0), "delete", 3)]
)
def test_a_commit_is_on_the_disk_whichever_sqlite_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe: Safe, journal: str, synchronous: int
) -> None:
    monkeypatch.setattr(engine, "SAFE_WAL", safe)
    url = sqlite_url(tmp_path)
    prepare(url)
    made = open_engine(url)
    with made.connect() as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "secure_delete")
        }
    made.dispose()
    assert said == {"journal_mode": journal, "synchronous": synchronous, "secure_delete": 1}


@pytest.mark.parametrize("safe", [OLD, NEW])
def test_no_byte_of_an_erased_customer_stays_in_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, safe: Safe
) -> None:
    monkeypatch.setattr(engine, "SAFE_WAL", safe)
    with empty_record(sqlite_url(tmp_path)) as record:
        for number in range(40):
            take(record, event(f"e{number}", "marker-4711"), event(f"o{number}", "bert"))
        take(record, event("q", "marker-4711", "ghost"))
        assert held(tmp_path) > 40
        erase(record, "marker-4711", now_ms=NOON_MS, client="k")
        assert held(tmp_path) == 0


def test_without_secure_delete_bytes_would_stay_so_that_the_test_above_can_fail(tmp_path: Path) -> None:
    with empty_record(sqlite_url(tmp_path)) as record:
        take(record, *(event(f"e{number}", "marker-4711") for number in range(40)))
    file = sqlite3.connect(tmp_path / FILE)
    file.execute("PRAGMA secure_delete=OFF")
    file.execute("DELETE FROM events")
    file.commit()
    file.close()
    assert held(tmp_path) > 0


def held(folder: Path) -> int:
    """How often the marker stands in the record's files."""
    return sum(path.read_bytes().count(b"marker-4711") for path in (folder / FILE).parent.iterdir())


def test_where_there_is_no_record_nothing_expires_and_none_is_made(tmp_path: Path) -> None:
    ended = CliRunner().invoke(main, ["record", "expire", "--store", str(tmp_path)])
    assert (ended.exit_code, ended.output) == (0, "there is no record yet: nothing to delete\n")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_say_what_is_there(tmp_path: Path) -> None:
    def nbo_serve(*arguments: str) -> tuple[int, str]:
        ended = CliRunner().invoke(main, ["record", *arguments, "--store", str(tmp_path)])
        return ended.exit_code, ended.output

    assert nbo_serve("status")[0] == 1
    assert not (tmp_path / FILE).exists()
    assert "had schema 0, and has 4 now" in nbo_serve("migrate")[1]
    assert "is up to date" in nbo_serve("migrate")[1]
    assert nbo_serve("quarantine", "list") == (0, "nothing is kept aside\n")
    assert nbo_serve("products") == (0, "none yet: `PUT /products` changed nothing\n")
    listed = CliRunner().invoke(experiment_commands, ["list", "--store", str(tmp_path)]).output
    assert listed.splitlines()[0] == "none yet: `nbo-experiment start` starts one"
    with opened_store(tmp_path) as record:
        take(record, event("e1"), event("e2", "bert"), event("e3", product_id="ghost"))
        erase(record, "bert", now_ms=NOON_MS, client="k")
    code, shown = nbo_serve("status")
    words = [line.split() for line in shown.splitlines()]
    assert (code, words[1:]) == (
        0,
        [
            ["event", "purchase", "1"],
            ["quarantine", "unknown", "product", "1"],
            ["customers", "1"],
            ["erased", "1"],
        ],
    )


def opened_store(root: Path) -> AbstractContextManager[Record]:
    return opened(record_url(root, None), load_erasure_key(root, None))


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Record, Path]]:
    """A record, and the file that it is in."""
    url = sqlite_url(tmp_path)
    file = file_of(url)
    assert file is not None
    with empty_record(url) as record:
        yield record, file


def test_a_file_that_takes_the_place_of_the_record_is_the_record_from_then_on(
    kept: tuple[Record, Path], tmp_path: Path
) -> None:
    record, file = kept
    take(record, event("before"))
    record.back_up(tmp_path / "copy.db")
    take(record, event("lost"))
    file.rename(tmp_path / "old.db")
    with pytest.raises(SchemaError, match="there is none yet"):
        take(record, event("nowhere"))
    (tmp_path / "copy.db").rename(file)
    take(record, event("after"))
    assert rows(record, events, "event_id") == [("before",), ("after",)]


def test_a_file_of_another_key_that_takes_the_place_of_the_record_is_refused(
    kept: tuple[Record, Path], tmp_path: Path
) -> None:
    record, file = kept
    take(record, event("ours"))
    file.rename(tmp_path / "old.db")
    url = sqlite_url(tmp_path)
    prepare(url)
    theirs = Record(url, ErasureKey("another key of 16 bytes"))
    take(theirs, event("theirs"))
    theirs.close()
    with pytest.raises(ErasureKeyError, match="begun with another one"):
        take(record, event("after"))


def test_a_connection_that_nobody_uses_holds_nothing_of_what_it_read(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path)
    prepare(url)
    many = [event(f"e{n}", f"c{n}", "milk" * 50) for n in range(5000)]  # 3 MB
    process = Process()
    with ExitStack() as stack:
        records = [stack.enter_context(opened(url)) for _ in range(10)]
        take(records[0], *many, taking=Intake(KEY, DailyCaps(10, 10), True, lambda product_id: True))
        for record in records:
            rows(record, consent_log, "customer_id")  # all that is made once
        before = process.memory_full_info().uss
        for record in records:
            with record.reading() as connection:
                every = sa.select(sa.func.count()).where(events.c.product_id + events.c.type != "")
                assert connection.scalar(every) == 5000
        assert process.memory_full_info().uss - before < 8 * 2**20  # else 20 MB


def test_what_is_said_of_products_until_it_is_taken_back_is_listed_by_a_command(tmp_path: Path) -> None:
    def listed() -> list[str]:
        ended = CliRunner().invoke(main, ["record", "products", "--store", str(tmp_path)])
        assert ended.exit_code == 0
        return ended.stdout.splitlines()

    prepare(record_url(tmp_path, None))
    assert listed() == []
    with opened_store(tmp_path) as record, record.writing() as connection:
        for product in (
            ProductState("milk", 0, 1234567.89, None),
            ProductState("a\tb", None, None, -0.5),
            ProductState("rolls", None, None, None),
        ):
            change_product(connection, product, now_ms=NOON_MS)
    assert listed() == [
        '"a\\tb"\tmargin -0.5\tsince 2027-01-15 12:00 UTC',
        '"milk"\tstock 0, price 1234567.89\tsince 2027-01-15 12:00 UTC',
    ]


def test_others_write_while_a_pager_shows_what_is_said_of_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(record_url(tmp_path, None))
    with opened_store(tmp_path) as record:

        def put(text: str, *, err: bool = False) -> None:
            assert not err, text
            with record.writing() as connection:
                change_product(connection, ProductState("milk", len(text), None, None), now_ms=NOON_MS)

        put("before")
        monkeypatch.setattr("service.commands.record.click.echo", put)
        assert CliRunner().invoke(main, ["record", "products", "--store", str(tmp_path)]).exit_code == 0


def test_a_record_is_copied_by_a_command_into_an_empty_one_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "record.db"

    def copy_to(url: str) -> tuple[int, str]:
        ended = CliRunner().invoke(main, ["record", "copy", url, "--store", str(tmp_path)])
        return ended.exit_code, ended.output

    prepare(record_url(tmp_path, None))
    with opened_store(tmp_path) as record:
        take(record, event("e1"))
    code, said = copy_to(f"sqlite:///{other}")
    counts = [line.split() for line in said.splitlines()][:2]
    assert (code, counts) == (0, [["customers", "1"], ["events", "1"]])
    assert other.stat().st_mode & 0o777 == 0o600
    code, said = copy_to(f"sqlite:///{other}")
    assert (code, "only an empty one is copied to" in said) == (1, True)
    (tmp_path / "link").symlink_to(other.parent)
    (tmp_path / "hard.db").hardlink_to(tmp_path / FILE)
    monkeypatch.chdir(tmp_path)
    for itself in (tmp_path / FILE, FILE, f"./{FILE}", f"link/../{FILE}", "hard.db", f"/{tmp_path / FILE}"):
        code, said = copy_to(f"sqlite:///{itself}")
        assert (code, "TARGET is the record itself" in said) == (2, True), itself


def test_a_record_that_is_elsewhere_is_missed_where_nobody_says_where(tmp_path: Path) -> None:
    """A service on Postgres has its key here. Without the URL a night would learn from whoever said no."""
    place = RecordPlace(tmp_path, None, None)
    (tmp_path / KEY_FILE).parent.mkdir()  # as the handbook's lines make it before anything runs
    with record_if_any(place) as found:
        assert found is None
    load_erasure_key(tmp_path, None)
    with pytest.raises(BadRecordUrlError, match="NEXTBEST_RECORD_URL"), record_if_any(place):
        pass
    for asked in ("expire", "status"):
        ended = CliRunner().invoke(main, ["record", asked, "--store", str(tmp_path)])
        assert (ended.exit_code, "NEXTBEST_RECORD_URL" in ended.output) == (1, True)
    prepare(record_url(tmp_path, None))
    with record_if_any(place) as found:
        assert found is not None


def test_who_only_asks_makes_no_key_where_there_is_no_record(tmp_path: Path) -> None:
    """It would say that the record is elsewhere, and each night would refuse."""
    for asked in (["status"], ["tombstones", str(tmp_path / "stones")]):
        ended = CliRunner().invoke(main, ["record", *asked, "--store", str(tmp_path)])
        assert (ended.exit_code, "there is none yet" in ended.output) == (1, True)
    settings = Settings(store=tmp_path, record_timeout_ms=5000)  # type: ignore[call-arg]
    door = RecordDoor(settings, EventCounters(Metrics(None).registry))
    with pytest.raises(RefusedError):
        door.do(stones_of)
    with record_if_any(RecordPlace(tmp_path, None, None)) as found:
        assert found is None
