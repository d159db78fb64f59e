"""`nbo-train export`: full, distinct, true lists for every known customer, in files that are safe to open."""

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from models.errors import BadConfigError
from models.registry import VARIANTS
from tests.data.nights import NBO_TRAIN, Ran, champion, ids, newest, quick_config, run, run_process
from tests.data.webshop import habits, write_shop
from training.commands import export

COLUMNS = ["customer_id", "product_id", "rank", "probability", "source"]


@pytest.fixture(scope="module")
def store(published: tuple[Path, Ran]) -> Path:
    return published[0]


@pytest.fixture(scope="module")
def lists(store: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    out = tmp_path_factory.mktemp("out") / "lists.parquet"
    ran = run_process("export", "--store", store, "--k", "20", "--out", out)
    assert ran.code == 0, ran.err
    assert ran.out == f"{out}: 200 customers, 4000 rows\n"
    assert [file.name for file in out.parent.iterdir()] == ["lists.parquet"]
    return pl.read_parquet(out)


def test_every_known_customer_gets_20_distinct_products_by_rank(lists: pl.DataFrame) -> None:
    assert lists.columns == COLUMNS
    assert dict(lists.schema) == {
        "customer_id": pl.String,
        "product_id": pl.String,
        "rank": pl.Int32,
        "probability": pl.Float32,
        "source": pl.String,
    }
    assert set(lists["customer_id"]) == {f"c{line.customer}" for line in habits()}
    for (customer,), theirs in lists.group_by("customer_id", maintain_order=True):
        assert theirs["rank"].to_list() == list(range(1, 21)), customer
        assert theirs["product_id"].n_unique() == 20, customer
    assert lists["probability"].drop_nulls().is_between(0, 1, closed="none").all()
    assert 1 - lists["probability"].null_count() / lists.height > 0.9  # what fills lists up has none


def test_products_out_of_stock_are_in_no_list(lists: pl.DataFrame) -> None:
    assert not set(lists["product_id"]) & {"p0", "p3"}


def test_every_source_is_true(lists: pl.DataFrame, store: Path) -> None:
    bought = defaultdict(set)
    for line in habits():
        bought[f"c{line.customer}"].add(f"p{line.product}")
    version = champion(store)
    products = ids(version, "products")
    near = {
        products[row]: {products[other] for other in others if other >= 0}
        for row, others in enumerate(version.array("similar/product"))
    }
    seen = set()
    for customer, product, _, _, source in lists.iter_rows():
        mine = bought[customer]
        explained = any(product in near[other] for other in mine)
        truth = "due_again" if product in mine else "because_you_bought" if explained else "popular"
        assert source == truth, (customer, product)
        seen.add(source)
    assert {"due_again", "because_you_bought"} <= seen


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_lists_of_a_few_customers_at_a_time_are_the_same_file(
    lists: pl.DataFrame, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setattr(export, "PIECE", 7)
    out = tmp_path / f"lists [2026].{ending}"
    assert run("export", "--store", store, "--k", "20", "--out", out).code == 0
    if ending == "parquet":
        found = pl.read_parquet(out, glob=False)
    else:
        found = pl.read_csv(out, schema=lists.schema, glob=False)
    assert found.equals(lists)
    assert [file.name for file in tmp_path.iterdir()] == [out.name]


def test_what_other_code_made_is_refused_in_words(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arrays may mean something else by now."""
    monkeypatch.setattr(VARIANTS["repeat"], "revision", 99)
    version = champion(store)
    for variant in ("repeat", "ranker"):  # the ranker has it among its sources
        with pytest.raises(BadConfigError, match="another release"):
            export.fitted(version, variant)
    assert export.fitted(version, "popular")


def test_the_first_products_are_those_the_service_would_answer_first(
    lists: pl.DataFrame, store: Path
) -> None:
    version = champion(store)
    products, stock = ids(version, "products"), version.array("products/stock")
    candidates = version.array("candidates/ranker/product")
    for row, customer in enumerate(ids(version, "customers")):
        expected = [products[p] for p in candidates[row] if p >= 0 and stock[p] != 0][:20]
        assert lists.filter(customer_id=customer)["product_id"].to_list() == expected


def test_another_variant_gives_its_own_lists(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "popular.csv"
    ran = run("export", "--store", store, "--k", "5", "--out", out, "--variant", "popular")
    assert ran.code == 0, ran.err
    found = pl.read_csv(out, infer_schema=False)
    assert found.columns == COLUMNS
    assert found.height == 200 * 5
    version = champion(store)
    stock = version.array("products/stock")
    order = [row for row in version.array("popular/order") if stock[row] != 0]
    expected = [ids(version, "products")[row] for row in order[:5]]
    for _, theirs in found.group_by("customer_id"):
        assert theirs["product_id"].to_list() == expected


def test_a_variant_that_is_not_there_is_named_with_those_that_are(store: Path, tmp_path: Path) -> None:
    ran = run("export", "--store", store, "--out", tmp_path / "a.csv", "--variant", "magic")
    assert ran.code == 2
    assert ran.message.startswith(
        f"--variant: 'magic' is not in {newest(store).version_id}, which has popular"
    )


def test_k_beyond_the_products_lists_them_all_once(store: Path, tmp_path: Path) -> None:
    assert run("export", "--store", store, "--k", "1000", "--out", tmp_path / "a.parquet").code == 0
    found = pl.read_parquet(tmp_path / "a.parquet")
    counts = found.group_by("customer_id").agg(pl.len(), distinct=pl.col("product_id").n_unique())
    assert set(counts["len"]) == set(counts["distinct"]) == {78}  # 80 less the two sold out


def test_what_nobody_bought_yet_is_new_and_fills_lists_last(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", habits(customers=30, products=12, days=40), unsold=(20, 21))
    config, store, out = quick_config(tmp_path), tmp_path / "store", tmp_path / "lists.parquet"
    assert run("nightly", "--data", shop, "--store", store, "--config", config).code == 0
    assert run("export", "--store", store, "--k", "14", "--out", out).code == 0
    for _, theirs in pl.read_parquet(out).group_by("customer_id"):
        sources = dict(theirs.sort("rank").select("product_id", "source").iter_rows())
        new = [product for product, source in sources.items() if source == "new_in"]
        assert set(new) == {"p20", "p21"}
        assert list(sources)[-2:] == new


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("missing/a.csv", "No such file or directory"),
        ("missing/a.parquet", "No such file or directory"),
        ("folder.csv", "Is a directory"),
        ("a.xlsx", "a.xlsx must end in .parquet or .csv"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_in_one_line(
    store: Path, tmp_path: Path, out: str, message: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    ran = run("export", "--store", store, "--out", tmp_path / out)
    assert ran.code == 2
    assert ran.message.startswith("--out: ")
    assert message in ran.message
    assert "\n" not in ran.message
    assert [file.name for file in tmp_path.iterdir()] == ["folder.csv"]


def test_a_store_without_champion_says_what_to_do(tmp_path: Path) -> None:
    ran = run("export", "--store", tmp_path, "--out", tmp_path / "a.csv")
    assert ran.code == 1
    assert ran.message.endswith("no champion yet: run a night first")


def test_a_damaged_champion_is_refused_with_the_name_of_the_file(store: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(store, tmp_path / "store"))
    file = copy / "versions" / newest(store).version_id / "popular" / "order.npy"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1])
    ran = run("export", "--store", copy, "--out", tmp_path / "a.csv")
    assert ran.code == 1
    assert "popular/order.npy" in ran.message
    assert not (tmp_path / "a.csv").exists()


def test_ids_survive_as_they_were_and_no_cell_is_a_formula(tmp_path: Path) -> None:
    customers = ["007", "7", "=1+1", "Zoë Ünal", "a b", "@x", "-5", "12.0", 'say ""hi""']
    products = ["0042", "42", "+1", "кот", "p 1"]
    lines = ["customer_id,product_id,purchased_at"]
    for i, customer in enumerate(customers):
        lines += [f'"{customer}","{products[(i + j) % 5]}",2026-0{1 + j}-0{1 + i % 9}' for j in range(4)]
    (tmp_path / "purchases.csv").write_text("\n".join(lines) + "\n")
    store = tmp_path / "store"
    ran = run("nightly", "--data", tmp_path, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    for ending in ("csv", "parquet"):
        assert run("export", "--store", store, "--k", "5", "--out", tmp_path / f"out.{ending}").code == 0
    whole = {name.replace('""', '"') for name in customers}
    table = pl.read_parquet(tmp_path / "out.parquet")
    assert set(table["customer_id"]) == whole
    assert set(table["product_id"]) == set(products)
    safe = pl.read_csv(tmp_path / "out.csv", infer_schema=False)
    quoted = {"=1+1": "'=1+1", "@x": "'@x", "-5": "'-5"}
    assert set(safe["customer_id"]) == {quoted.get(name, name) for name in whole}
    assert set(safe["product_id"]) == {"'+1" if name == "+1" else name for name in products}
    assert safe["source"].to_list() == table["source"].to_list()


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_full_disk_leaves_the_old_file_as_it_was(store: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("yesterday's")
    words = f"'{NBO_TRAIN}' export --store '{store}' --out '{tmp_path / name}'"
    limited = ["bash", "-c", f"ulimit -f 1; exec {words}"]  # no file over 1 KiB, as if the rest were used up
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"nbo-train: --out: {tmp_path / name} can't be written: ")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "yesterday's")]


STOPPED = """
import os, signal, sys, time
import polars
from training.cli import main
def write(table, file):
    file.write(b"7")
    file.flush()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
polars.DataFrame.write_csv = write
main()
"""


def test_an_export_that_is_told_to_stop_leaves_no_ids_behind(store: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STOPPED, "export", "--store", store, "--out", tmp_path / "a.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode > 0, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
