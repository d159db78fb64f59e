"""A web shop's export, taken as it is by configuration alone: night, lists, figures."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.data.nights import champion, ids, ranker_config, run
from tests.data.webshop import customer_number, habits, stock_code, title, write_foreign

LINES = habits(customers=200, products=80, days=100, seed=1)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export, and beside it a store after one night on it, whose ranker has few trees."""
    folder = write_foreign(tmp_path_factory.mktemp("foreign"), LINES)
    config = ranker_config(folder, (folder / "nextbest.toml").read_text())
    ran = run("nightly", "--data", folder, "--store", folder / "store", "--config", config)
    assert ran.code == 0, ran.err
    return folder


def test_every_line_is_a_purchase_or_left_out_for_what_it_is(foreign: Path) -> None:
    manifest = champion(foreign / "store").manifest
    assert manifest.history.purchases == len(LINES)
    assert manifest.history.rejected == 0
    assert manifest.history.orders == len({line.order for line in LINES})


def test_the_version_says_what_its_dates_and_counts_mean(foreign: Path) -> None:
    history = champion(foreign / "store").manifest.history
    assert (history.timezone, history.recent_days) == ("Europe/London", 28)


def test_ids_and_titles_are_those_of_the_shop(foreign: Path) -> None:
    version = champion(foreign / "store")
    assert set(ids(version, "customers")) == {str(customer_number(line.customer)) for line in LINES}
    titles = version.strings("products/title")
    found = {product: titles[row] for row, product in enumerate(ids(version, "products"))}
    assert found == {stock_code(line.product): title(line.product) for line in LINES}
    assert all("CAFÉ" in text and "£" in text for text in found.values())


def test_every_known_customer_gets_20_products_and_no_postage(foreign: Path, tmp_path: Path) -> None:
    ran = run("export", "--store", foreign / "store", "--k", "20", "--out", tmp_path / "lists.csv")
    assert ran.code == 0, ran.err
    lists = pl.read_csv(tmp_path / "lists.csv", infer_schema=False)
    counts = lists.group_by("customer_id").agg(pl.len(), distinct=pl.col("product_id").n_unique())
    assert counts.height == 200
    assert set(counts["len"]) == set(counts["distinct"]) == {20}
    assert not set(lists["product_id"]) & {"POST", "DOT", "BANK CHARGES"}


def test_blend_is_not_below_decayed_personal_counts(foreign: Path, tmp_path: Path) -> None:
    variants = ["--variant", "popular", "--variant", "repeat", "--variant", "blend"]
    variants += ["--as-of", "2011-02-22", "--as-of", "2011-03-01"]
    config = foreign / "nextbest.toml"
    ran = run("evaluate", "--data", foreign, "--config", config, "--out", tmp_path, *variants)
    assert ran.code == 0, ran.err
    found = json.loads((tmp_path / "evaluation.json").read_text())["evaluation"]["variants"]
    ndcg = {name: part["metrics"]["all"]["ndcg@10"]["mean"] for name, part in found.items()}
    assert ndcg["blend"] >= ndcg["repeat"] - 0.01  # within the noise of a thousand lists
    assert ndcg["repeat"] > 1.5 * ndcg["popular"]
