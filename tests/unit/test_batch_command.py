"""`nbo-serve batch`: a file of a campaign is whole or not there, and it and the command say the same."""

import csv
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from experiments.assignment import place
from models.errors import NextbestError
from service.cli import main
from service.commands.batch import open_campaign
from service.commands.campaign_file import COLUMNS
from service.settings import Settings
from storage.files.shop_files import shop_files
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.erasure_key import load_erasure_key
from storage.record.experiments import NewExperiment, set_holdout, start_experiment
from storage.record.record import FILE, Record, record_url
from storage.record.schema import prepare
from storage.record.service_default import note_service_default
from storage.record.tables import offer_leases, offer_promises
from storage.versions.store import Store
from tests.data.records import rows
from tests.data.tiny_version import TinyOffer, TinyShop, publish

NOW_MS = int(datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp() * 1000)
CLI = "from service.cli import main; main()"
EVERYBODY = {"anna", "ben", "7", "007", "käthe/1", "new"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    shop = TinyShop(
        products={**TinyShop().products, "=cmd|' /C calc'!A0": "dairy"},
        titles={"milk": "=1+1", "bread": 'Bread "Rustic", sliced'},
        margins={"milk": -1.0},
        probability={("anna", "milk"): 0.5},
    )
    publish(Store(root), shop)
    prepare(record_url(root, None))
    record = Record(record_url(root, None), load_erasure_key(root, None))
    with record.writing() as connection:
        set_consent(connection, "ben", PRESETS["nothing"], now_ms=NOW_MS, client="")
    erase(record, "7", now_ms=NOW_MS, client="")
    record.close()
    return root


def batch(store: Path, out: Path, *more: str | Path, fails: bool = False) -> Result:
    command = ["batch", "--store", str(store), "--out", str(out), *map(str, more)]
    ended = CliRunner().invoke(main, command)
    assert (ended.exit_code != 0) is fails, ended.output
    return ended


def test_the_command_says_how_it_ended_as_a_process_too(store: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLI, "batch", "--store", store, "--out"]
    for name, code in (("a.jsonl", 0), ("nowhere/a.csv", 1)):
        ended = subprocess.run([*command, tmp_path / name], capture_output=True, timeout=60, check=False)
        assert ended.returncode == code, ended.stderr


def test_the_command_writes_json_lines_and_says_who_was_left_out(store: Path, tmp_path: Path) -> None:
    out, suppress = tmp_path / "mail.jsonl", tmp_path / "no-mail.txt"
    suppress.write_text("﻿customer_id\r\nkäthe/1\r\n\n")
    ended = batch(store, out, "--suppress", suppress, "--n", "3", "--placement", "mail")
    lines: list[Any] = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["customer_id"] for line in lines} == EVERYBODY - {"ben", "7", "käthe/1"}
    assert {len(line["recommendations"]) for line in lines} == {3}
    assert ended.stdout.splitlines() == [
        f"{out}: 3 customers",
        "left out, erased: 1",
        "left out, no consent: 1",
        "left out, suppressed: 1",
    ]
    assert out.stat().st_mode & 0o777 == 0o600
    (noted,) = shop_files(store, now=datetime.now(UTC))
    assert (noted.path, noted.what) == (str(out), "nbo-serve batch")


def test_csv_and_parquet_have_a_line_for_each_product(store: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        (tmp_path / "who.txt").write_text("anna\n7\nnobody\n")
        ended = batch(
            store, tmp_path / name, "--customers", tmp_path / "who.txt", "--without-consent", "popular"
        )
        assert "left out, erased: 1" in ended.stdout
    with (tmp_path / "a.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    table = pl.read_parquet(tmp_path / "a.parquet")
    assert table.columns == list(COLUMNS) == list(lines[0])
    assert [line["product_id"] for line in lines] == [
        f"'{one}" if one[0] == "=" else one for one in table["product_id"]
    ]
    assert (lines[0]["title"], table["title"][0]) == ("'=1+1", "=1+1")
    assert (lines[0]["expected_value"], table["expected_value"][0]) == ("-0.5", -0.5)
    assert lines[1]["probability"] == ""
    assert table["probability"].dtype == pl.Float64
    assert table["due_on"].dtype == pl.String
    assert not [file for file in tmp_path.iterdir() if ".part" in file.name or ".lines" in file.name]


def test_csv_and_parquet_have_the_offer_that_was_counted_as_shown(tmp_path: Path) -> None:
    ends = datetime(2100, 1, 1, tzinfo=UTC)
    milk = TinyOffer("=10 off", ["milk"], {"anna": (0.5, 0.1)}, discount=0.25, ends=ends)
    bread = TinyOffer("bread off", ["bread"], {"anna": (0.4, 0.1)}, discount=0.5)
    root = tmp_path / "shop"
    publish(Store(root), TinyShop(offers=[milk, bread]))
    (tmp_path / "who.txt").write_text("anna")
    for name in ("a.csv", "a.parquet"):
        batch(root, tmp_path / name, "--customers", tmp_path / "who.txt")
    table = pl.read_parquet(tmp_path / "a.parquet")
    offered = {row[0]: row[1:] for row in table["product_id", "offer_id", "discount", "offer_ends_at"].rows()}
    assert offered.pop("milk") == ("=10 off", 0.25, "2100-01-01T00:00:00+00:00")
    assert offered.pop("bread") == ("bread off", 0.5, None)
    assert offered
    assert set(offered.values()) == {(None, None, None)}
    with (tmp_path / "a.csv").open(newline="") as file:
        cells = {line["product_id"]: line for line in csv.DictReader(file)}
    assert (cells["milk"]["offer_id"], cells["milk"]["discount"]) == ("'=10 off", "0.25")
    assert cells["milk"]["offer_ends_at"] == "2100-01-01T00:00:00+00:00"
    assert (cells["yoghurt"]["offer_id"], cells["yoghurt"]["discount"]) == ("", "")


def promised(root: Path) -> set[str]:
    record = Record(record_url(root, None), load_erasure_key(root, None))
    names = {str(name) for (name,) in rows(record, offer_promises, "customer_id")}
    assert rows(record, offer_leases, "id") == []  # all was given back
    record.close()
    return names


def offered(out: Path) -> dict[str, float]:
    """Until when milk's offer is promised, in Unix seconds, by customer."""
    answers = [json.loads(line) for line in out.read_text().splitlines()]
    items = [(answer["customer_id"], one["offer"]) for answer in answers for one in answer["recommendations"]]
    return {customer: moment_s(offer["promised_until"]) for customer, offer in items if offer}


def moment_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_budget_is_promised_to_as_many_as_it_has_and_to_the_same_by_another_file(tmp_path: Path) -> None:
    everybody = dict.fromkeys(EVERYBODY, (0.5, 0.1))
    root, out, who_first = tmp_path / "shop", tmp_path / "a.jsonl", tmp_path / "who.txt"
    publish(Store(root), TinyShop(offers=[TinyOffer("milk off", ["milk"], everybody, budget=4, redeemed=1)]))
    who_first.write_text("ben\n007\nanna\n7\nnew\n")
    batch(root, out, "--customers", who_first)
    first = offered(out)
    assert set(first) == {"ben", "007", "anna"} == promised(root)
    assert all(until_s > datetime.now(UTC).timestamp() for until_s in first.values())
    who_first.write_text("new\n7\nanna\n007\nben\n")
    batch(root, out, "--customers", who_first)
    the_same = pytest.approx(first, abs=0.002)  # the record keeps whole milliseconds
    assert offered(out) == the_same
    assert promised(root) == set(first)
    batch(root, tmp_path / "a.parquet", "--customers", who_first)
    table = pl.read_parquet(tmp_path / "a.parquet").drop_nulls("promised_until")
    assert {one: moment_s(until) for one, until in table["customer_id", "promised_until"].rows()} == the_same


def test_a_file_that_fails_keeps_no_more_of_a_budget_than_it_promised(tmp_path: Path) -> None:
    milk = TinyOffer("milk off", ["milk"], dict.fromkeys(EVERYBODY, (0.5, 0.1)), budget=100)
    root = tmp_path / "shop"
    publish(Store(root), TinyShop(offers=[milk]))
    batch(root, tmp_path / "a.jsonl", "--category", "nothing", fails=True)
    assert promised(root) == set()


def test_rules_of_the_placement_hold(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\nplacements = ["mail"]\n'
    (tmp_path / "rules.toml").write_text(rules)
    monkeypatch.setenv("NEXTBEST_RULES", str(tmp_path / "rules.toml"))
    for placement, is_there in (("mail", False), ("home", True)):
        batch(store, tmp_path / "a.jsonl", "--placement", placement)
        lists = [
            json.loads(line)["recommendations"] for line in (tmp_path / "a.jsonl").read_text().splitlines()
        ]
        assert any(item["product_id"] == "milk" for items in lists for item in items) is is_there


SPECIFICATION = """[experiment]
id = "a"
[[variants]]
name = "control"
weight = 1.0
"""


def test_who_is_held_out_gets_what_is_popular_by_mail_too(store: Path, tmp_path: Path) -> None:
    anna = place("holdout/s", "anna")
    record = Record(record_url(store, None), load_erasure_key(store, None))
    with record.writing() as connection:
        set_consent(
            connection, "käthe/1", replace(PRESETS["all"], experiment=False), now_ms=NOW_MS, client=""
        )
        set_holdout(connection, anna + 1e-9, "s", now_ms=NOW_MS, client="")
        new = NewExperiment("a", 1, SPECIFICATION, "hash", "recommend", 1.0)
        start_experiment(connection, new, now_ms=NOW_MS, client="")
    record.close()
    ended = batch(store, tmp_path / "a.jsonl", "--n", "2")
    found = {
        one["customer_id"]: one for one in map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    }
    held_out = {one for one in found if place("holdout/s", one) <= anna} - {"käthe/1"}
    assert "anna" in held_out
    for customer, said in found.items():
        is_held_out = customer in held_out
        assert said["experiments"] == ([{"id": "holdout", "variant": "popular"}] if is_held_out else [])
        assert said["variant"] == ("popular" if is_held_out else "blend")
    assert (found["anna"]["source"], found["anna"]["recommendations"][0]["probability"]) == ("popular", None)
    assert "warning: a runs: its customers got the champion's lists here" in ended.stderr


def test_what_cannot_be_done_is_told_and_leaves_the_file_before(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("of the campaign before")
    assert "category" in batch(store, out, "--category", "nothing", fails=True).stderr
    assert "n: must be" in batch(store, out, "--n", "1000", fails=True).stderr
    assert "must end in" in batch(store, tmp_path / "a.xls", fails=True).stderr
    assert "can't be written" in batch(store, tmp_path / "nowhere" / "a.csv", fails=True).stderr
    assert out.read_text() == "of the campaign before"
    assert [file.name for file in tmp_path.glob(".*")] == []


def test_a_suppression_list_that_meets_nobody_is_warned_of(store: Path, tmp_path: Path) -> None:
    (tmp_path / "no.txt").write_text("ANNA\n")
    ended = batch(store, tmp_path / "a.jsonl", "--suppress", tmp_path / "no.txt")
    assert "nobody of those to suppress" in ended.stderr


def test_another_default_of_consents_than_the_services_is_warned_of(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "customers who said nothing" not in batch(store, tmp_path / "lists.jsonl").stderr
    record = Record(record_url(store, None), load_erasure_key(store, None))
    note_service_default(record, "nothing")
    record.close()
    said = batch(store, tmp_path / "lists.jsonl").stderr
    assert "the service allows customers who said nothing the preset nothing, this command all" in said
    monkeypatch.setenv("NEXTBEST_CONSENT_DEFAULT", "nothing")
    assert "customers who said nothing" not in batch(store, tmp_path / "lists.jsonl").stderr


def test_ids_that_are_nobodys_are_counted_and_warned_of(store: Path, tmp_path: Path) -> None:
    (tmp_path / "who.txt").write_text("id\nanna\nAnna\n")
    ended = batch(store, tmp_path / "a.jsonl", "--customers", tmp_path / "who.txt")
    assert "no known customer, so with what is popular: 2 of them" in ended.stdout
    assert "right ids" not in ended.stderr
    assert "the first line names 'id', who is no known customer: is it a heading?" in ended.stderr
    (tmp_path / "who.txt").write_text("anna\nAnna\n")
    ended = batch(store, tmp_path / "a.jsonl", "--customers", tmp_path / "who.txt")
    assert "heading" not in ended.stderr
    (tmp_path / "who.txt").write_text("id\nAnna\n")
    said = batch(store, tmp_path / "a.jsonl", "--customers", tmp_path / "who.txt").stderr
    assert "right ids" in said
    assert "heading" not in said
    (tmp_path / "who.txt").write_text("customer_id\n")
    assert (
        "nobody to write to" in batch(store, tmp_path / "a.jsonl", "--customers", tmp_path / "who.txt").stderr
    )


def test_blanks_quotes_and_boms_around_an_id_hide_nobody_to_suppress(store: Path, tmp_path: Path) -> None:
    out, no = tmp_path / "a.jsonl", tmp_path / "no.txt"
    no.write_bytes('\ufeff"customer_id"\nanna \n 007\n"käthe/1"\r\nnew\u00a0\n\ufeffben\nstranger\n'.encode())
    ended = batch(store, out, "--suppress", no)
    assert out.read_text() == ""
    told = ended.stdout.splitlines()
    assert told[1:] == [
        "left out, erased: 1",
        "left out, suppressed: 5",
        "to suppress, but no known customer: 1 of 6 ids",
    ]


def test_without_the_record_nobody_is_written_to(store: Path) -> None:
    (store / "record" / "record.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(NextbestError):
        open_campaign(Settings(store=store), frozenset(), is_for_all=False)


def test_nobody_is_written_to_where_the_record_is_elsewhere_and_nobody_says_where(
    store: Path, tmp_path: Path
) -> None:
    """An empty one begun in its place would know nobody who said no or was erased."""
    (store / FILE).rename(tmp_path / "moved.db")
    ended = batch(store, tmp_path / "mail.jsonl", fails=True)
    assert "NEXTBEST_RECORD_URL" in ended.output
    assert not (store / FILE).exists()
    assert not (tmp_path / "mail.jsonl").exists()
