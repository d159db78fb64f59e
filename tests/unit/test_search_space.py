"""Which options are tried and between which values, and what a changed table of options looks like."""

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from models.errors import BadConfigError
from models.registry import VARIANTS, build
from training.tuning.search_space import COSTS, FIXED, Dimension, search_space, with_changes


def learned(part: str, path: str) -> Any:
    """As if every fit learned 40 days, half the due factor and so on."""
    found = {field.name: 0.5 for field in fields(VARIANTS[part].options_type)}
    return SimpleNamespace(**{**found, "half_life_days": 40.0, "trees": SimpleNamespace(n_trees=60)})


def named(variant: str, *asked: str, **options: object) -> dict[str, Dimension]:
    return {dimension.name: dimension for dimension in search_space(variant, options, asked, learned)}


def test_the_space_of_repeat_is_its_own_three_options_around_their_values() -> None:
    assert named("repeat") == {
        "half_life_days": Dimension("half_life_days", 10.0, 160.0, is_log=True, may_be_learned=True),
        "due_power": Dimension("due_power", 0.0, 1.0, may_be_learned=True),
        "prior_orders": Dimension("prior_orders", 2.5, 40.0, is_log=True),
    }


def test_the_present_value_is_the_centre_and_not_the_default() -> None:
    space = named("repeat", prior_orders=2.0, half_life_days=100)
    assert (space["prior_orders"].low, space["prior_orders"].high) == (0.5, 8.0)
    assert (space["half_life_days"].low, space["half_life_days"].high) == (25.0, 400.0)


def test_whole_numbers_stay_whole_and_words_are_choices() -> None:
    space = named("item_item")
    assert space["neighbours"] == Dimension("neighbours", 17.0, 150.0, is_whole=True, is_log=True)
    assert space["together"].choices == ("order", "customer")


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "due"])  # it has none of its own
def test_by_itself_no_search_touches_the_question_the_machine_or_the_cost(variant: str) -> None:
    names = {name.rsplit(".", 1)[-1] for name in named(variant)}
    assert names
    assert not names & {*FIXED, *COSTS}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_bound_of_every_option_is_taken_by_the_variant(variant: str) -> None:
    every = [field.name for field in fields(VARIANTS[variant].options_type)]
    asked = [name for name in every if name not in (*FIXED, "without", "calibration", "coefficients")]
    for dimension in search_space(variant, {}, asked, learned):
        ends = dimension.choices or (dimension.low, dimension.high)
        for end in ends:
            value = int(end) if dimension.is_whole else end
            build(variant, with_changes({}, {dimension.name: value}))


@pytest.mark.parametrize(
    ("variant", "options", "name", "low", "high"),
    [
        ("als", {"factors": 300}, "factors", 100, 395),  # 900, 520 = (900 x 300)**.5, (520 x 300)**.5
        ("bpr", {"learning_rate": 0.5}, "learning_rate", 0.125, 1.0),  # 2, (2 x .5)**.5
        ("ranker", {"trees": {"ridge": 300_000}}, "trees.ridge", 75_000.0, 600_000.0),
    ],
)
def test_a_bound_that_the_variant_refuses_comes_nearer_until_it_is_taken(
    variant: str, options: dict[str, Any], name: str, low: float, high: float
) -> None:
    (dimension,) = search_space(variant, options, [name], learned)
    assert (dimension.low, dimension.high) == (low, high)
    for end in (dimension.low, dimension.high):
        value = int(end) if dimension.is_whole else end
        build(variant, with_changes(options, {name: value}))


def test_bounds_of_bpr_are_taken_together_too() -> None:
    options = {"learning_rate": 0.25, "regularization": 0.3}
    rate, drawn = search_space("bpr", options, [*options], learned)
    assert (rate.high, drawn.high) == (1.0, 0.6)
    build("bpr", with_changes(options, {rate.name: rate.high, drawn.name: drawn.high}))


def test_parts_are_tried_by_name_with_or_without_the_variant_before_it() -> None:
    assert list(named("ranker", "ranker.trees.leaves", "trees.columns")) == ["trees.leaves", "trees.columns"]
    assert list(named("blend", "repeat")) == [
        *("repeat.n_folds", "repeat.enough_customers", "repeat.max_customers"),
        *("repeat.half_life_days", "repeat.due_power", "repeat.prior_orders"),
    ]
    assert named("blend", "repeat.half_life_days")["repeat.half_life_days"].high == 160.0
    assert not [name for name in named("blend") if "." in name]
    assert named("ranker")["trees.columns"].high == 1.0


@pytest.mark.parametrize("name", ["magic", "trees.magic", "seed", "horizon_days", "half_life", ""])
def test_an_option_that_is_not_there_or_cannot_be_tried_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BadConfigError, match="no such option to try; there are: ") as refusal:
        named("repeat", name)
    assert "\n" not in str(refusal.value)


def test_what_this_history_could_not_teach_is_asked_for() -> None:
    with pytest.raises(BadConfigError, match="--option half_life_days: is learned, and this history"):
        search_space(
            "repeat", {}, ["half_life_days"], lambda part, path: SimpleNamespace(half_life_days=None)
        )


@given(value=st.floats(1e-3, 1e4) | st.none(), low=st.floats(1e-3, 1.0), may_be_learned=st.booleans())
def test_the_present_value_can_always_be_drawn(value: float | None, low: float, may_be_learned: bool) -> None:
    dimension = Dimension("x", low * 1e-3, 2e4, is_log=True, may_be_learned=may_be_learned)
    if value is None and not may_be_learned:
        return
    drawn = dimension.suggest(FixedTrial(dimension.as_parameters(value)))  # type: ignore[arg-type]
    assert drawn == (None if value is None else float(f"{value:.4g}"))


def test_changes_reach_into_tables_and_leave_the_given_options_alone() -> None:
    given_options = {"trees": {"leaves": 31, "columns": 0.5}, "without": ["bpr"]}
    changed = with_changes(
        given_options, {"trees.leaves": 15, "repeat.due_power": 0.5, "trees.columns": None}
    )
    assert changed == {"trees": {"leaves": 15}, "without": ["bpr"], "repeat": {"due_power": 0.5}}
    assert given_options == {"trees": {"leaves": 31, "columns": 0.5}, "without": ["bpr"]}
    assert with_changes({}, {"repeat.half_life_days": None}) == {}
