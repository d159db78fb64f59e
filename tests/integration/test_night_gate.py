"""The gate of a real night: what it refuses, what a person may do against it, and what it can't judge."""

import json
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from storage.versions.store import Store
from tests.data.nights import champion, newest, quick_config, quick_night, run, version_ids
from tests.data.webshop import Line, habits, write_shop
from training.reports.page import GATE_FIGURES

WORSE = '[night]\nvariants = ["popular", "item_item"]\ndefault_variant = "popular"\n'


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return habits(customers=100, products=40, days=60)


@pytest.fixture(scope="module")
def shop(lines: list[Line], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("gate"), lines)


@pytest.fixture(scope="module")
def good(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_night(shop, tmp_path_factory.mktemp("good"))


@pytest.fixture
def store(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "store"))


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    path = tmp_path / "worse.toml"
    path.write_text(WORSE)
    return path


def test_the_first_night_is_judged_against_popular(good: Path) -> None:
    gate = newest(good).gate
    assert gate.why.startswith("First night: ")
    assert gate.figures["challenger_ndcg"] > gate.figures["popular_ndcg"]
    assert gate.figures["customers_judged"] >= 30


def test_a_worse_recipe_is_refused_beside_the_champions_own_fitted_again_and_may_be_promoted_by_hand(
    store: Path, shop: Path, worse: Path
) -> None:
    before = champion(store).manifest
    success = (store / "last_success.json").read_text()
    ran = run("nightly", "--data", shop, "--store", store, "--config", worse)
    assert ran.code == 4
    assert champion(store).version_id == before.version_id
    assert (store / "last_success.json").read_text() == success
    refused = newest(store)
    assert refused.version_id != before.version_id
    assert refused.gate.decision == "refused"
    assert "below the allowed" in refused.gate.why
    assert "nextbest_night_last_run_exit_code 4.0" in (store / "nextbest.prom").read_text()
    assert refused.gate.why in Path(ran.events[-1]["report"]).read_text()
    figures = refused.gate.figures
    assert figures["champion_ndcg"] == before.gate.figures["challenger_ndcg"]  # same recipe, fold and seed
    assert figures["challenger_ndcg"] == figures["popular_ndcg"]
    assert set(figures) == set(GATE_FIGURES)  # each has words for the page
    told = json.loads(Path(ran.events[-1]["report"]).with_suffix(".json").read_text())
    assert set(told["evaluation"]["variants"]) == {"popular", "item_item", "champion"}
    assert run("promote", "--store", store, refused.version_id).code == 0
    assert champion(store).version_id == refused.version_id


def test_the_variant_that_was_shipped_is_what_the_next_night_is_compared_with(
    shop: Path, worse: Path, tmp_path: Path
) -> None:
    store, config = tmp_path / "store", quick_config(tmp_path, 'routed = ["popular"]\n')
    assert run("nightly", "--data", shop, "--store", store, "--config", config).code == 0
    version_id = champion(store).version_id
    Store(store).promote(version_id, now=datetime.now(UTC), why="shipped", variant="popular")
    assert run("nightly", "--data", shop, "--store", store, "--config", worse).code == 0
    assert newest(store).gate.why.startswith("Recipe unchanged: ")
    Store(store).promote(version_id, now=datetime.now(UTC), why="shipped", variant="popular")
    assert run("nightly", "--data", shop, "--store", store, "--config", config).code == 0
    gate = newest(store).gate
    assert gate.why.startswith("Recipe changed: ")
    assert gate.figures["champion_ndcg"] == gate.figures["popular_ndcg"]


def test_force_publishes_what_the_gate_refused_and_is_recorded(
    store: Path, shop: Path, worse: Path, tmp_path: Path
) -> None:
    ran = run("nightly", "--data", shop, "--store", store, "--config", worse, "--force")
    assert ran.code == 0
    forced = newest(store)
    assert champion(store).version_id == forced.version_id
    assert forced.gate.decision == "forced"
    assert forced.gate.why.startswith("Forced. Recipe changed: ")
    assert forced.version_id in (store / "last_success.json").read_text()
    better = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path), "--force")
    assert better.code == 0
    assert newest(store).gate.decision == "published"  # nothing was there to force


def test_a_history_that_shrank_is_refused_with_both_numbers(
    store: Path, lines: list[Line], tmp_path: Path
) -> None:
    before = champion(store).version_id
    half = write_shop(tmp_path / "half", [line for line in lines if line.customer < 50])
    told = tmp_path / "help.txt"
    config = quick_config(
        tmp_path, f"""on_failure = 'echo "$NEXTBEST_EXIT_CODE $NEXTBEST_MESSAGE" > {told}'\n"""
    )
    ran = run("nightly", "--data", half, "--store", store, "--config", config)
    assert ran.code == 4
    why = newest(store).gate.why
    assert why == (
        "The history has 50 customers, 50% fewer than the champion's 100: more than the allowed 20%."
        " Was the export written whole?"
    )
    assert told.read_text() == f"4 {why}\n"
    assert champion(store).version_id == before


def test_half_of_an_export_is_refused_though_all_customers_and_products_are_in_it(
    store: Path, lines: list[Line], tmp_path: Path
) -> None:
    last = max(line.at for line in lines)
    half = write_shop(tmp_path / "half", [line for line in lines if (last - line.at).days < 30])
    ran = run("nightly", "--data", half, "--store", store, "--config", quick_config(tmp_path))
    before, now = champion(store).manifest.history, newest(store).history
    assert (now.customers, now.products) == (before.customers, before.products)
    assert (ran.code, newest(store).gate.decision) == (4, "refused")
    assert f"The history has {now.purchases} purchases, " in newest(store).gate.why


def test_a_table_of_products_that_is_empty_or_gone_is_refused(
    store: Path, shop: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(shop, tmp_path / "data"))
    catalogue = data / "products.csv"
    catalogue.write_text(catalogue.read_text().splitlines()[0] + "\n")
    for _ in range(2):
        ran = run("nightly", "--data", data, "--store", store, "--config", quick_config(tmp_path))
        assert (ran.code, newest(store).gate.decision) == (4, "refused")
        assert "The history has 0 products with a title, category or brand, 100% fewer" in ran.err
        catalogue.unlink(missing_ok=True)


def test_an_unchanged_recipe_on_the_same_history_passes(store: Path, shop: Path, tmp_path: Path) -> None:
    before = champion(store).version_id
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0
    assert champion(store).version_id == version_ids(store)[-1] != before
    assert newest(store).gate.why.startswith("Recipe unchanged: ")


def test_a_damaged_champion_does_not_stop_the_night_that_mends_it(
    store: Path, shop: Path, tmp_path: Path
) -> None:
    manifest = store / "versions" / champion(store).version_id / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text(manifest.read_text()[:100])
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert "champion unreadable" in [line["event"] for line in ran.events]
    assert champion(store).version_id == ran.events[-1]["version"]


def test_three_days_of_purchases_are_published_on_their_size_alone(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", habits(customers=80, products=30, days=3))
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store")
    assert ran.code == 0, ran.err
    version = champion(tmp_path / "store")
    assert version.manifest.gate.why.startswith("Of those who had bought before the horizon 0 bought")
    assert (version.array("candidates/ranker/product")[:, :20] >= 0).all()
    assert "before the horizon 0 bought" in Path(ran.events[-1]["report"]).read_text()


def test_a_pointer_that_cannot_be_read_and_a_stray_folder_do_not_stop_the_night(
    store: Path, shop: Path, tmp_path: Path
) -> None:
    (store / "champion.json").write_text("{")
    (store / "versions" / "lost+found").mkdir()
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert champion(store).version_id == ran.events[-1]["version"]
    assert f"* {champion(store).version_id}" in run("versions", "--store", store).out


@pytest.mark.parametrize("change", ["option", "variant"])
def test_a_recipe_that_this_nextbest_cannot_make_again_does_not_stop_the_night(
    store: Path, shop: Path, tmp_path: Path, change: str
) -> None:
    before = renamed(store, change)
    ran = run("nightly", "--data", shop, "--store", store, "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert champion(store).version_id != before
    assert newest(store).gate.why.startswith("The champion's recipe can't be made again: ")
    assert "of popular on" in newest(store).gate.why


def renamed(store: Path, what: str) -> str:
    """The champion as an older nextbest may have written it; its new id."""
    folder = store / "versions" / champion(store).version_id
    manifest = champion(store).manifest
    made = manifest.variants["repeat"].model_copy(update={"recipe": "0" * 16, "options": {"half_live": 3.0}})
    changed = {"variants": {**manifest.variants, "repeat": made}}
    if what == "variant":
        changed = {"variants": {**manifest.variants, "once": made}, "default_variant": "once"}
    manifest = manifest.model_copy(update={**changed, "version_id": ""})
    text = manifest.model_dump_json(indent=1)
    version_id = f"{folder.name[:-8]}{sha256(text.encode()).hexdigest()[:8]}"
    path = folder / "manifest.json"
    path.chmod(0o644)
    path.write_text(manifest.model_copy(update={"version_id": version_id}).model_dump_json(indent=1))
    folder.rename(folder.with_name(version_id))
    pointer = store / "champion.json"
    told = json.loads(pointer.read_text().replace(folder.name, version_id))
    told["current"]["variant"] = manifest.default_variant
    pointer.write_text(json.dumps(told))
    return version_id


def test_an_as_of_in_the_future_is_refused_and_touches_nothing(store: Path, shop: Path) -> None:
    before = champion(store).version_id
    ran = run("nightly", "--data", shop, "--store", store, "--as-of", "2999-01-01")
    assert ran.code == 2
    assert ran.message.startswith("--as-of: 2999-01-01T00:00:00+00:00 is later than now")
    assert champion(store).version_id == before


def test_an_as_of_far_after_the_last_purchase_keeps_the_champion_and_does_not_lock_the_gate(
    store: Path, shop: Path, tmp_path: Path
) -> None:
    config, before = quick_config(tmp_path), champion(store).version_id
    late = run("nightly", "--data", shop, "--store", store, "--config", config, "--as-of", "2020-01-01")
    assert (late.code, champion(store).version_id) == (4, before)
    assert newest(store).gate.why.startswith("Nobody who had bought before the horizon bought in it")
    forced = ["--as-of", "2020-01-01", "--force"]
    assert run("nightly", "--data", shop, "--store", store, "--config", config, *forced).code == 0
    normal = run("nightly", "--data", shop, "--store", store, "--config", config)
    assert normal.code == 0, newest(store).gate.why
