"""Variants by name, from options as they stand in nextbest.toml."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from models.als import Als
from models.blend import Blend
from models.errors import BadConfigError
from models.item_item import ItemItem, ItemItemOptions
from models.registry import VARIANTS, build

WITH_HORIZON = [name for name in VARIANTS if hasattr(build(name).options, "horizon_days")]


def test_every_variant_stands_under_its_own_name() -> None:
    assert all(model.name == name for name, model in VARIANTS.items())
    assert all(type(build(name)) is model for name, model in VARIANTS.items())


def test_options_are_filled_in_over_the_defaults() -> None:
    options = build("als", {"factors": 8, "half_life_days": 30, "regularization": None}).options
    assert (options.factors, options.half_life_days, options.regularization) == (8, 30.0, None)
    assert isinstance(options.half_life_days, float)
    assert options.iterations == Als().options.iterations


def test_parts_of_a_blend_have_options_of_their_own() -> None:
    options = build(
        "blend", {"als": {"factors": 8}, "als_weight": 0, "item_item": {"together": "order"}}
    ).options
    assert (options.als.factors, options.als_weight, options.item_item.together) == (8, 0.0, "order")
    assert options.repeat == Blend().options.repeat


@pytest.mark.parametrize(
    ("name", "options", "where", "why"),
    [
        ("svd", {}, "variant 'svd'", "unknown; there are: popular, trend"),
        ("popular", {"halflife": 3}, "[variants.popular] halflife", "unknown; there are: "),
        ("popular", {"half_life_days": "30"}, "[variants.popular] half_life_days", "'30' is not a number"),
        ("popular", {"half_life_days": True}, "[variants.popular] half_life_days", "True is not a number"),
        ("popular", {"half_life_days": 0}, "[variants.popular] half_life_days", "0 is too small"),
        ("popular", {"half_life_days": -1}, "[variants.popular] half_life_days", "-1 is too small"),
        ("repeat", {"due_power": float("nan")}, "[variants.repeat] due_power", "nan is not a number"),
        (
            "repeat",
            {"half_life_days": float("inf")},
            "[variants.repeat] half_life_days",
            "inf is not a number",
        ),
        ("repeat", {"max_customers": 0}, "[variants.repeat] max_customers", "0 is too small"),
        ("repeat", {"max_customers": 1.5}, "[variants.repeat] max_customers", "1.5 is not a whole number"),
        ("repeat", {"max_customers": None}, "[variants.repeat] max_customers", "None is not a whole number"),
        ("repeat", {"due_power": 1e9}, "[variants.repeat] due_power", "1000000000.0 is not from 0 to 10"),
        ("content", {"take_up_power": 11}, "[variants.content] take_up_power", "11.0 is not from 0 to 10"),
        ("ease", {"take_up_power": 11}, "[variants.ease] take_up_power", "11.0 is not from 0 to 10"),
        ("affinity", {"both_power": 11}, "[variants.affinity] both_power", "11.0 is not from 0 to 10"),
        ("als", {"factors": 0}, "[variants.als] factors", "0 is too small"),
        ("als", {"factors": 100_000}, "[variants.als] factors", "100000 is not from 1 to 512"),
        ("als", {"threads": 100_000}, "[variants.als] threads", "100000 is not from 0 to 1024"),
        ("als", {"seed": 2**31}, "[variants.als] seed", "2147483648 is too large: 2e+09 is the most"),
        ("als", {"iterations": 10**400}, "[variants.als] iterations", "1000000000000000000000000"),
        ("als", {"half_life_days": 10**400}, "[variants.als] half_life_days", "10000000000000000"),
        ("als", {"regularization": 1e300}, "[variants.als] regularization", "1e+300 is too large"),
        ("als", {"half_life_days": 1e-300}, "[variants.als] half_life_days", "1e-300 is too small"),
        ("als", {"horizon_days": 1e-9}, "[variants.als] horizon_days", "1e-09 is not from 1 to 365"),
        ("season", {"horizon_days": 400}, "[variants.season] horizon_days", "400.0 is not from 1 to 365"),
        ("bpr", {"factors": 512}, "[variants.bpr] factors", "512 is not from 1 to 511"),
        ("bpr", {"regularization": 1.1}, "[variants.bpr] regularization", "1.1 is not from 0 to 1"),
        ("item_item", {"together": 3}, "[variants.item_item] together", "3 is not text"),
        (
            "item_item",
            {"together": "week"},
            "[variants.item_item] together",
            "'week' is none of: order, customer",
        ),
        ("ranker", {"trees": {"columns": 0}}, "[variants.ranker.trees] columns", "0.0 is too small"),
        ("ranker", {"trees": {"columns": 1.5}}, "[variants.ranker.trees] columns", "1.5 is not from 0 to 1"),
        (
            "ranker",
            {"trees": {"learning_rate": 0}},
            "[variants.ranker.trees] learning_rate",
            "0.0 is too small",
        ),
        ("ranker", {"trees": {"leaves": 1}}, "[variants.ranker.trees] leaves", "1 is not from 2 to 131072"),
        (
            "ranker",
            {"trees": {"leaves": 200_000}},
            "[variants.ranker.trees] leaves",
            "200000 is not from 2 to 131072",
        ),
        ("affinity", {"prior_products": 0}, "[variants.affinity] prior_products", "0.0 is too small"),
        ("season", {"spread": 0}, "[variants.season] spread", "0.0 is too small"),
        ("neighbours", {"alpha": 3}, "[variants.neighbours] alpha", "3.0 is not from 0 to 1"),
        ("bpr", {"learning_rate": 0}, "[variants.bpr] learning_rate", "0.0 is too small"),
        ("bpr", {"learning_rate": 3}, "[variants.bpr] learning_rate", "3.0 is not from 0 to 1"),
        (
            "ranker",
            {"ease": {"regularization": 0}},
            "[variants.ranker.ease] regularization",
            "0.0 is too small",
        ),
        ("ranker", {"without": ["x"]}, "[variants.ranker] without", "'x' is no source; there are: "),
        ("ease", {"regularization": 0}, "[variants.ease] regularization", "0.0 is too small"),
        ("blend", {"als": 3}, "[variants.blend] als", "3 is not a table of options"),
        ("blend", {"als": {"rank": 3}}, "[variants.blend.als] rank", "unknown; there are: "),
        ("blend", {"als": {"factors": 0.5}}, "[variants.blend.als] factors", "0.5 is not a whole number"),
    ],
)
def test_what_can_not_be_built_is_refused_with_its_place(
    name: str, options: dict[str, Any], where: str, why: str
) -> None:
    with pytest.raises(BadConfigError) as refused:
        build(name, options)
    assert refused.value.where == where
    assert refused.value.why.startswith(why)


def places(options_type: type, section: str) -> Iterator[tuple[str, str]]:
    """Section and name of every option, those of parts too."""
    for field in fields(options_type):
        default = getattr(options_type(), field.name)
        if is_dataclass(default):
            yield from places(type(default), f"{section}.{field.name}")
        else:
            yield section, field.name


@pytest.mark.parametrize("name", VARIANTS)
def test_every_option_that_is_refused_is_named_with_its_section(name: str) -> None:
    refused = set()
    for section, option in places(VARIANTS[name].options_type, name):
        for value in (-1, 0, 1.5, 1e9, "x", True, ["x"], [1.0], {"x": 1}):
            given: dict[str, Any] = {option: value}
            for part in reversed(section.split(".")[1:]):
                given = {part: given}
            try:
                build(name, given)
            except BadConfigError as err:
                assert err.where == f"[variants.{section}] {option}"
                refused.add((section, option))
    assert refused == set(places(VARIANTS[name].options_type, name))


@pytest.mark.parametrize("name", WITH_HORIZON)
def test_a_horizon_is_a_year_at_most_in_every_variant(name: str) -> None:
    with pytest.raises(BadConfigError, match=r"horizon_days: 400\.0 is not from 1 to 365"):
        build(name, {"horizon_days": 400})


@pytest.mark.parametrize(
    ("name", "options"), [("als", {"seed": 0, "regularization": 0}), ("repeat", {"n_folds": 0})]
)
def test_zero_is_taken_where_it_means_something(name: str, options: dict[str, int]) -> None:
    built = build(name, options).options
    assert {option: getattr(built, option) for option in options} == options


def test_an_unknown_unit_of_together_is_refused_also_in_code() -> None:
    with pytest.raises(BadConfigError, match="none of: order, customer"):
        ItemItem(ItemItemOptions(together="basket"))
