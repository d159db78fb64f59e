"""nextbest.toml with other options: what was there stays, whatever its layout."""

import tomllib
from pathlib import Path

import pytest

from training.config import load_config
from training.tuning.tuned_config import tuned_config

SHOP = """# Our shop.

[history]
timezone = "Europe/Paris"  # since 2019

[variants.repeat]
prior_orders = 5  # few come twice
half_life_days = 30

[variants.ranker.trees]
leaves = 31
"""
LAYOUTS = {
    "tables": SHOP,
    "none": "",
    "other tables": "[variants.als]\nfactors = 8\n\n[night]\nhorizon_days = 14\n",
    "inline": "variants = { repeat = { half_life_days = 30 }, als = { factors = 8 } }\n",
    "dotted": "variants.repeat.half_life_days = 30\n\n[night]\nhorizon_days = 14\n",
    "apart": "[variants.repeat]\nhalf_life_days = 30\n\n[night]\nhorizon_days = 3\n\n[variants.als]\n",
    "outer": "[variants]\nrepeat = { half_life_days = 30 }\n\n[night]\nhorizon_days = 3\n",
}


def test_comments_and_other_options_stay() -> None:
    text = tuned_config(SHOP, "repeat", {"half_life_days": 60.5}, ["better"])
    assert text == "# tuned repeat: better\n" + SHOP.replace("half_life_days = 30", "half_life_days = 60.5")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_night_takes_the_new_options_from_any_layout(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "nextbest.toml"
    path.write_text(LAYOUTS[layout])
    before = load_config(path)
    changes = {"half_life_days": None, "due_power": 0.25}
    path.write_text(tuned_config(LAYOUTS[layout], "repeat", changes, ["a", "b"]))
    after = load_config(path)
    kept = {
        name: value for name, value in before.variants.get("repeat", {}).items() if name == "prior_orders"
    }
    assert after.variants["repeat"] == {**kept, "due_power": 0.25}
    assert after.model_copy(update={"variants": {}}) == before.model_copy(update={"variants": {}})
    assert {k: v for k, v in after.variants.items() if k != "repeat"} == {
        k: v for k, v in before.variants.items() if k != "repeat"
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_options_of_parts_become_tables_below_the_variant(layout: str) -> None:
    changes = {"trees.leaves": 7, "trees.columns": 0.3, "repeat.due_power": 0.5, "negatives": 50}
    content = tomllib.loads(tuned_config(LAYOUTS[layout], "ranker", changes, []))
    assert content["variants"]["ranker"] == {
        "trees": {"leaves": 7, "columns": 0.3},
        "repeat": {"due_power": 0.5},
        "negatives": 50,
    }


def test_without_changes_only_the_finding_is_added_and_the_earlier_one_goes() -> None:
    once = tuned_config(SHOP, "repeat", {}, ["first", "no better"])
    other = tuned_config(once, "als", {}, ["of als"])
    again = tuned_config(other, "repeat", {}, ["second"])
    assert again == "# tuned als: of als\n# tuned repeat: second\n" + SHOP
