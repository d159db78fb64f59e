"""A night that reads the service's record: it learns of what was bought since, and of nobody who said no."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from storage.record.consent import PRESETS, consent_of, set_consent
from storage.record.engine import open_engine, parse_url
from storage.record.erasure import erase
from storage.record.erasure_key import KEY_FILE, load_erasure_key
from storage.record.experiments import NewExperiment, State, change_state, start_experiment
from storage.record.folder import private_file
from storage.record.record import FILE, Record, record_url
from storage.record.schema import prepare
from storage.record.service_default import note_service_default
from storage.versions.store import CHAMPION
from tests.data.nights import champion, ids, quick_config, run
from tests.data.records import clear, event, intake, make_older, take
from tests.data.webshop import habits, write_shop
from training import night
from training.history.recorded import ERASURE_KEY


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), habits(customers=60, products=40, days=40))


def recorded(store: Path, url: str | None, shop: Path) -> Record:
    """A record with a purchase of somebody new, of the shop's first product."""
    store.mkdir(exist_ok=True)
    where = record_url(store, url)
    prepare(where)
    record = Record(where, load_erasure_key(store, None), lock_ms=20_000)
    product_id = (shop / "purchases.csv").read_text().splitlines()[1].split(",")[1]
    at_ms = int((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1000)
    bought = [event(f"e{who}", who, product_id, at_ms=at_ms) for who in ("newcomer", "shy")]
    take(record, *bought, taking=replace(intake(), key=record.key, is_known=lambda _: True))
    return record


def with_a_no(shop: Path, data: Path) -> Path:
    """The shop's files, and a table of customers in which one says no."""
    shutil.copytree(shop, data)
    (data / "customers.csv").write_text("customer_id,train\nc1,no\n")
    return data


def test_the_stores_own_record_is_read_without_being_named(shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    record = recorded(store, None, shop)
    with record.writing() as connection:
        set_consent(connection, "shy", PRESETS["nothing"], now_ms=0, client="")
    known = (shop / "purchases.csv").read_text().splitlines()[1].split(",")[0]
    receipt = erase(record, known, now_ms=int(datetime.now(UTC).timestamp() * 1000), client="")
    record.close()
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    version = champion(store)
    customers = ids(version, "customers")
    assert ("newcomer" in customers, "shy" in customers, known in customers) == (True, False, False)
    history = next(event for event in ran.events if event["event"] == "history")
    assert history["from_the_record"] == 1
    assert version.manifest.history.tombstone == receipt.number
    assert version.manifest.history.last_event == 2
    report = (store / "runs").glob("*/report.html")
    text = next(report).read_text()
    for words in ("From the record", "customer erased", "no consent to learn from it"):
        assert words.lower() in text.lower()


def test_who_is_erased_while_the_night_runs_is_told_before_it_publishes(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "store"
    record = recorded(store, None, shop)
    before = erase(record, "ghost", now_ms=1, client="")

    def fit_and_erase(*arguments: Any, **options: Any) -> Any:
        erase(record, "newcomer", now_ms=int(datetime.now(UTC).timestamp() * 1000), client="")
        return fit_on_all(*arguments, **options)

    fit_on_all = night._fit_on_all
    monkeypatch.setattr(night, "_fit_on_all", fit_and_erase)
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    record.close()
    assert ran.code == 0, ran.err
    manifest = champion(store).manifest
    assert manifest.history.tombstone == before.number
    assert manifest.gate.figures["erased_meanwhile"] == 1
    assert "erased while this night ran: 1;" in manifest.gate.why


def test_a_history_is_no_older_one_where_who_bought_last_was_erased(shop: Path, tmp_path: Path) -> None:
    store, config = tmp_path / "store", quick_config(tmp_path)
    record = recorded(store, None, shop)
    assert run("nightly", "--data", shop, "--store", store, "--config", config).code == 0
    now_ms = int(datetime.now(UTC).timestamp() * 1000)
    for who in ("newcomer", "shy"):  # what they bought is the end of the champion's history
        erase(record, who, now_ms=now_ms, client="")
    record.close()
    ran = run("nightly", "--data", shop, "--store", store, "--config", config)
    assert ran.code == 0, ran.err
    assert "newcomer" not in ids(champion(store), "customers")


def test_a_record_in_postgres_is_named(shop: Path, tmp_path: Path, postgres_url: str) -> None:
    store = tmp_path / "store"
    try:
        recorded(store, postgres_url, shop).close()
        night = ["nightly", "--data", shop, "--store", store, "--record", postgres_url]
        ran = run(*night, "--config", quick_config(tmp_path))
        assert ran.code == 0, ran.err
        assert "newcomer" in ids(champion(store), "customers")
    finally:
        clear(parse_url(postgres_url))


def test_a_night_that_cannot_read_its_record_publishes_nothing(shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    config = quick_config(tmp_path)
    assert run("nightly", "--data", shop, "--store", store, "--config", config).code == 0
    before = (store / CHAMPION).read_bytes()
    recorded(store, None, shop).close()
    (store / FILE).write_bytes(b"no database at all, but long enough to be looked at" * 100)
    ran = run("nightly", "--data", shop, "--store", store, "--config", config)
    assert (ran.code, "record" in ran.message) == (1, True), ran.err
    assert (store / CHAMPION).read_bytes() == before


def test_a_night_that_is_not_told_where_the_services_record_is_learns_nothing(
    shop: Path, tmp_path: Path
) -> None:
    data, store = with_a_no(shop, tmp_path / "data"), tmp_path / "store"
    store.mkdir()
    load_erasure_key(store, None)  # as a service on Postgres does
    ran = run("nightly", "--data", data, "--store", store, "--config", quick_config(tmp_path))
    assert (ran.code, "NEXTBEST_RECORD_URL" in ran.message) == (2, True)
    assert not (store / FILE).exists()


def test_a_night_without_the_record_of_the_version_that_answers_refuses_unless_it_is_forced(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, elsewhere = tmp_path / "store", tmp_path / "elsewhere"
    recorded(elsewhere, None, shop).close()
    monkeypatch.setenv(ERASURE_KEY, (elsewhere / KEY_FILE).read_text().strip())
    url = f"sqlite:///{elsewhere / FILE}"
    night = ["nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path)]
    assert run(*night, "--record", url).code == 0
    before = (store / CHAMPION).read_bytes()
    assert not (store / "record").exists()  # nothing of a service's tells of it
    ran = run(*night)
    assert (ran.code, "NEXTBEST_RECORD_URL" in ran.message) == (2, True), ran.err
    assert (store / CHAMPION).read_bytes() == before
    assert run(*night, "--force").code == 0


def test_a_record_url_that_is_none_is_a_wrong_option(shop: Path, tmp_path: Path) -> None:
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--record", "mysql://u:s3cret@h/d")
    assert (ran.code, "s3cret" in ran.err) == (2, False)


def test_a_night_that_allows_another_default_than_the_service_says_so_and_its_report_too(
    shop: Path, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    record = recorded(store, None, shop)
    note_service_default(record, "nothing")
    record.close()
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    doubted = [event["why"] for event in ran.events if event["event"] == "doubt"]
    (why,) = [why for why in doubted if "customers who said nothing" in why]
    assert why.startswith("The service allows customers who said nothing the preset nothing, this night all")
    assert "the preset nothing, this night all" in Path(ran.events[-1]["report"]).read_text()
    lists = ["export", "--store", store, "--out", tmp_path / "lists.csv"]
    assert "customers who said nothing the preset nothing, this command all" in run(*lists).err
    assert "customers who said nothing" not in run(*lists, "--consent-default", "nothing").err
    told = '[record]\nconsent_default = "nothing"\n'
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path, told))
    assert not [event for event in ran.events if "customers who said nothing" in str(event.get("why"))]


def test_a_night_without_lists_for_a_running_experiment_says_so(shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    record = recorded(store, None, shop)
    arms = '[[variants]]\nmodel = "popular"\n[[variants]]\nmodel = "als"\nrivals = ["ease", "item_item"]\n'
    with record.writing() as connection:
        for name in ("runs", "over"):
            new = NewExperiment(name, 1, arms, "hash", "recommend", 0.2)
            start_experiment(connection, new, now_ms=0, client="")
        change_state(connection, "over", State.STOPPED, now_ms=1, client="")
    record.close()
    more = 'routed = ["item_item"]\n'
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path, more))
    (why,) = [event["why"] for event in ran.events if "experiment" in str(event.get("why"))]
    assert why.startswith(
        "The experiment runs needs lists of als, ease, and this night publishes none of them"
    )


def test_consents_in_the_shops_table_are_obeyed_by_this_night_and_stand_in_the_record(
    shop: Path, tmp_path: Path
) -> None:
    data, store = tmp_path / "data", tmp_path / "store"
    shutil.copytree(shop, data)
    lines = "customer_id,train,personalise\nc1,no,\nc2,yes,\nshy,,false\nodd,perhaps,\n"
    (data / "customers.csv").write_text(lines)
    ran = run("nightly", "--data", data, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    customers = ids(champion(store), "customers")
    assert ("c1" in customers, "c2" in customers) == (False, True)
    told = next(event for event in ran.events if event["event"] == "consents of the shop's table")
    assert (told["changed"], told["unreadable"]) == (3, 1)
    doubted = [event["why"] for event in ran.events if event["event"] == "doubt"]
    assert any(
        why.startswith("1 consent in the table of customers is neither yes nor no: ") for why in doubted
    )
    with Record(record_url(store, None), load_erasure_key(store, None)).reading() as connection:
        assert not consent_of(connection, "shy", PRESETS["all"]).personalise


def test_a_night_with_consents_to_tell_leaves_the_record_of_a_running_older_service_as_it_is(
    shop: Path, tmp_path: Path
) -> None:
    data, store = with_a_no(shop, tmp_path / "data"), tmp_path / "store"
    where = record_url(store, None)
    store.mkdir()
    private_file(store / FILE)
    engine = open_engine(where)
    with engine.begin() as connection:
        make_older(connection, "0003")
    engine.dispose()
    ran = run("nightly", "--data", data, "--store", store, "--config", quick_config(tmp_path))
    asked = "stop the services of the older release and run `nbo-serve record migrate`"
    assert (ran.code, asked in ran.message) == (1, True), ran.err
    assert not (store / CHAMPION).exists()
    assert prepare(where) == 3
    assert run("nightly", "--data", data, "--store", store, "--config", quick_config(tmp_path)).code == 0


@pytest.mark.parametrize("where", ["sqlite", "postgres"])
def test_no_list_is_exported_of_who_was_erased_since_the_night_or_allows_none(
    where: str, shop: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store = tmp_path / "store"
    url = request.getfixturevalue("postgres_url") if where == "postgres" else None
    named = ["--record", url] if url else []
    try:
        record = recorded(store, url, shop)
        erase(record, "newcomer", now_ms=1, client="")
        with record.writing() as connection:  # a new life, which the night knows
            set_consent(connection, "newcomer", PRESETS["all"], now_ms=2, client="")
        config = quick_config(tmp_path)
        ran = run("nightly", "--data", shop, "--store", store, "--config", config, *named)
        assert ran.code == 0, ran.err
        recorded(store, url, shop).close()
        erase(record, "c1", now_ms=3, client="")
        with record.writing() as connection:
            set_consent(connection, "c2", PRESETS["no_personalisation"], now_ms=4, client="")
        record.close()
        out = tmp_path / "lists.parquet"
        ran = run("export", "--store", store, "--out", out, *named)
        assert ran.code == 0, ran.err
        listed = set(pl.read_parquet(out)["customer_id"])
        known = set(ids(champion(store), "customers"))
        assert known - listed == {"c1", "c2"}
        assert ran.out.endswith("left out, erased or not to be personal: 2\n")
        run("export", "--store", store, "--out", out, *named, "--consent-default", "nothing")
        assert set(pl.read_parquet(out)["customer_id"]) == known & {"newcomer"}
    finally:
        if url:
            clear(parse_url(url))
