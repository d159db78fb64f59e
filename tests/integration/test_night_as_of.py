"""`--as-of` leaks nothing: what happens later changes no byte of what was learned."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from storage.versions.manifest import Manifest
from tests.data.nights import BLEND, champion, ids, newest, quick_config, run
from tests.data.webshop import START, Line, habits, write_shop

RANKER = """[night]
variants = ["popular", "item_item", "ranker"]
[variants.ranker]
without = ["als", "ease", "neighbours"]
n_folds = 3
[variants.ranker.trees]
n_trees = 5
"""
DAY = 50
AS_OF = (START + timedelta(days=DAY)).replace(hour=0, minute=0)


def night(folder: Path, lines: list[Line], *more: object, unsold: Iterable[int] = ()) -> Manifest:
    config = quick_config(folder) if "--config" not in more else None
    shop = write_shop(folder / "shop", lines, unsold=unsold)
    arguments = ["--config", config] if config else []
    ran = run("nightly", "--data", shop, "--store", folder / "store", *arguments, *more)
    assert ran.code == 0, ran.err
    return newest(folder / "store")


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return habits(customers=100, products=40, days=80)


@pytest.mark.parametrize("variant", ["repeat", "blend", "ranker"])
def test_what_happens_at_or_after_as_of_changes_no_byte(
    lines: list[Line], tmp_path: Path, variant: str
) -> None:
    past = [line for line in lines if line.at < AS_OF]
    assert 0 < len(past) < len(lines)
    at_the_moment = Line(10**6, 2, 2, 1, AS_OF)
    newcomers = [Line(10**6 + i, 500 + i, 900 + i % 3, 5, AS_OF + timedelta(hours=i)) for i in range(200)]
    config = tmp_path / "variant.toml"
    quick = quick_config(tmp_path).read_text()
    config.write_text({"repeat": quick, "blend": BLEND, "ranker": RANKER}[variant])
    options = ["--as-of", f"{AS_OF:%Y-%m-%d}", "--config", config]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    every = [*lines, at_the_moment, *newcomers]
    catalogue = {line.product for line in every}  # which the shop knows
    one = night(tmp_path / "a", past, *options, unsold=catalogue)
    two = night(tmp_path / "b", every, *options)
    assert one.files == two.files
    assert one.gate == two.gate
    assert one.history == two.history
    version = champion(tmp_path / "b" / "store")
    assert set(ids(version, "customers")) == {f"c{line.customer}" for line in past}
    assert set(ids(version, "products")) == {f"p{product}" for product in catalogue}
    assert one.history.products == len({line.product for line in past})
    assert one.history.last_purchase < one.as_of


def test_the_last_moment_before_as_of_is_learned_from(lines: list[Line], tmp_path: Path) -> None:
    past = [line for line in lines if line.at < AS_OF]
    last = Line(10**6, 777, 2, 1, AS_OF - timedelta(seconds=1))
    night(tmp_path, [*past, last], "--as-of", f"{AS_OF:%Y-%m-%d}")
    assert "c777" in ids(champion(tmp_path / "store"), "customers")


def test_as_of_is_read_by_the_shops_own_clock(lines: list[Line], tmp_path: Path) -> None:
    config = tmp_path / "tokyo.toml"
    config.write_text('[history]\ntimezone = "Asia/Tokyo"\n' + quick_config(tmp_path).read_text())
    made = night(tmp_path, lines, "--as-of", f"{AS_OF:%Y-%m-%d}", "--config", config)
    assert made.as_of.replace(tzinfo=None) == AS_OF - timedelta(hours=9)


def test_another_horizon_is_another_recipe_for_the_gate(lines: list[Line], tmp_path: Path) -> None:
    first = night(tmp_path, lines)
    assert (first.horizon_days, first.variants["repeat"].options["horizon_days"]) == (7, 7)
    second = night(tmp_path, lines, "--horizon-days", "14")
    assert second.horizon_days == 14
    assert second.variants["repeat"].recipe != first.variants["repeat"].recipe
    assert second.gate.why.startswith("Recipe changed: ")
    assert second.gate.figures["champion_ndcg"] > 0
    third = night(tmp_path, lines, "--horizon-days", "14", "--as-of", "2011-02-19")
    assert third.gate.why.startswith("Recipe unchanged: ")
    assert "champion_ndcg" not in third.gate.figures
