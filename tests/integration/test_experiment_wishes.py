"""A plan counts nobody who can't take part: who was erased, or allows no experiments or personal answers."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from experiments.cli import commands
from experiments.logs.recorded import night_purchases
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.erasure_key import load_erasure_key
from storage.record.record import record_url
from storage.record.schema import prepare
from storage.versions.store import Champion, Store
from tests.data.records import NOON_MS, opened
from tests.data.shop_logs import SPECIFICATION, purchases
from tests.data.tiny_version import publish


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store of 400 customers, and a specification beside it."""
    store = Store(tmp_path / "store")
    store.root.mkdir()
    purchases().write_parquet(store.versions / publish(store) / "purchases.parquet")
    prepare(record_url(store.root, None))
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec", planned_n=3000))
    return store.root


def lately() -> list[str]:
    """Customers on whom a plan is measured where everybody may take part, with the most lines first."""
    counts = purchases()["customer_id"].value_counts(sort=True)
    return counts["customer_id"].head(60).to_list()


def said(root: Path, *more: str) -> str:
    given = ["--spec", str(root.parent / "spec.toml"), *(more or ("--store", str(root)))]
    return CliRunner().invoke(commands, ["plan", *given]).output


def measured_on(text: str) -> int:
    return int(text.split("Measured on ")[1].split(" ", maxsplit=1)[0].replace(",", ""))


def test_who_cannot_take_part_is_not_counted(root: Path) -> None:
    before = measured_on(said(root))
    erased, no_trials, nobody, willing = lately()[:4]
    with opened(record_url(root, None), load_erasure_key(root, None)) as record:
        erase(record, erased, now_ms=NOON_MS, client="")
        with record.writing() as connection:
            for customer_id, consent in (
                (no_trials, replace(PRESETS["all"], experiment=False)),
                (nobody, PRESETS["nothing"]),
                (willing, PRESETS["all"]),
            ):
                set_consent(connection, customer_id, consent, now_ms=NOON_MS, client="")
    assert measured_on(said(root)) == before - 3
    by_default = ["plan", "--spec", str(root.parent / "spec.toml"), "--store", str(root)]
    alone = CliRunner().invoke(commands, [*by_default, "--consent-default", "nothing"]).exception
    assert "only 1 customers" in str(alone)


def test_a_store_without_a_record_has_heard_no_refusal(root: Path, tmp_path: Path) -> None:
    before = measured_on(said(root))
    (root / "record").rename(tmp_path / "away")
    assert measured_on(said(root)) == before


def test_the_shops_own_table_of_customers_is_heard_too(root: Path, tmp_path: Path) -> None:
    purchases().drop("order_row", "discount").write_parquet(tmp_path / "purchases.parquet")
    before = measured_on(said(root, "--data", str(tmp_path)))
    refusing = lately()[:5]
    table = pl.DataFrame({"customer_id": refusing, "experiment": ["no", "no", "no", "yes", ""]})
    table.write_parquet(tmp_path / "customers.parquet")
    assert measured_on(said(root, "--data", str(tmp_path))) == before - 3


def test_what_is_started_is_held_to_the_same_customers(root: Path) -> None:
    with (
        opened(record_url(root, None), load_erasure_key(root, None)) as record,
        record.writing() as connection,
    ):
        for customer_id in purchases()["customer_id"].unique():
            set_consent(connection, customer_id, PRESETS["no_personalisation"], now_ms=NOON_MS, client="")
    command = ["start", str(root.parent / "spec.toml"), "--store", str(root)]
    told = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert "can't be told: history: holds no purchase" in told.stderr


def test_of_who_was_erased_and_came_back_the_night_tells_the_judge_nothing(root: Path) -> None:
    gone = lately()[0]
    with opened(record_url(root, None), load_erasure_key(root, None)) as record:
        before, _ = night_purchases(record, Store(root))
        erase(record, gone, now_ms=NOON_MS, client="")
        with record.writing() as connection:
            set_consent(connection, gone, PRESETS["all"], now_ms=NOON_MS + 1, client="")
        after, _ = night_purchases(record, Store(root))
    assert set(before["customer_id"]) - set(after["customer_id"]) == {gone}


def test_purchases_and_what_their_night_knew_are_of_one_champion(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, look = [], Store.champion

    def champion(store: Store) -> Champion | None:
        looks.append(store.root)
        return look(store)

    monkeypatch.setattr(Store, "champion", champion)  # another night may publish between two looks
    with opened(record_url(root, None), load_erasure_key(root, None)) as record:
        night_purchases(record, Store(root))
    assert looks == [root]
