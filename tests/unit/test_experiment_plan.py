"""A plan is measured on the shop's own history, and refuses to promise what can't be seen."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import pytest
import tea_tasting
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from tea_tasting.aggr import Aggregates

from experiments.cli import commands
from experiments.commands.plan import lot_lines
from experiments.errors import BadLogError, BadSpecificationError, UnderpoweredError
from experiments.planning import Line, doubts, plan_of, refuse_underpowered
from experiments.statistics.power import ALWAYS, Design, Spread, drift_of
from experiments.statistics.sequences import half_width
from models.errors import BadConfigError
from tests.data.shop_logs import SPECIFICATION, purchases, specification_of


def test_the_needed_size_is_the_textbooks() -> None:
    # (1.95996 + .84162)^2 * 2 * .0564 / (.2 * .06)^2 for each of two arms
    design = Design(0.05, 0.8, (0.5, 0.5))
    spread = Spread(0.06, 0.0564)
    assert design.needed_n(spread, 0.2) == pytest.approx(2 * 6148.3, abs=2)
    assert design.visible(spread, 12_297) == pytest.approx(0.2, abs=1e-4)


def test_the_needed_size_is_tea_tastings_too() -> None:
    metric = tea_tasting.Mean("x", alpha=0.05, power=0.8, ratio=1, rel_effect_size=0.05, use_t=False)
    known = metric.solve_power_from_aggregates(Aggregates(1000, {"x": 2.0}, {"x": 9.0}), "n_obs")[0]
    assert Design(0.05, 0.8, (0.5, 0.5)).needed_n(Spread(2.0, 9.0), 0.05) == pytest.approx(
        known.n_obs, rel=1e-3
    )


@settings(max_examples=25)
@given(st.floats(0.01, 0.5), st.integers(100, 10**6), st.floats(0.1, 0.9))
def test_what_a_size_shows_needs_that_size(alpha: float, n: int, weight: float) -> None:
    design = Design(alpha, 0.8, (weight, 1 - weight))
    spread = Spread(2.0, 7.0)
    visible = design.visible(spread, n)
    assert visible is not None
    assert design.needed_n(spread, visible) == pytest.approx(n, abs=2)


def test_looking_daily_costs_a_few_percent_of_customers() -> None:
    dearer = (drift_of(0.05, 0.8, 28) / drift_of(0.05, 0.8, 1)) ** 2
    assert 1.02 < dearer < 1.05


def test_what_never_varies_has_no_size() -> None:
    assert Design(0.05, 0.8, (0.5, 0.5)).needed_n(Spread(0.0, 1.0), 0.1) is None
    assert Design(0.05, 0.8, (0.5, 0.5)).visible(Spread(1.0, 0.0), 100) is None


def test_each_metric_is_measured_with_and_without_what_customers_did_before() -> None:
    plan = plan_of(specification_of(planned_n=500), purchases())
    revenue = plan.primary
    assert revenue.metric == "revenue_per_customer"
    assert revenue.spread is not None
    assert revenue.needed_n is not None
    assert revenue.needed_n_cuped is not None
    assert revenue.needed_n_cuped < 0.8 * revenue.needed_n
    by_name = {line.metric: line for line in plan.lines}
    assert by_name["ctr"].spread is None
    assert by_name["order_value"].spread is not None
    assert by_name["order_value"].spread.value == pytest.approx(10.0, rel=0.01)  # the dearest are winsorised


def test_the_primary_pays_for_daily_looks_a_guardrail_for_its_sequence_and_others_for_one_look() -> None:
    specification = specification_of(planned_n=500)
    lines = {line.metric: line for line in plan_of(specification, purchases()).lines}
    arms = (0.5, 0.5)
    for name, design in {
        "revenue_per_customer": Design(specification.arm_alpha, 0.8, arms, 28),
        "conversion": Design(specification.arm_alpha, 0.8, arms, 1),
        "units_per_customer": Design(specification.guard_alpha, 0.8, arms, ALWAYS),
    }.items():
        line = lines[name]
        assert line.spread is not None
        if name != "revenue_per_customer":  # which is measured with what customers did before
            assert line.skewness == line.spread.skewness
        assert line.needed_n == design.needed_n(line.spread, line.relative)
        assert line.visible == design.visible(line.spread, 500)


def test_what_decides_is_how_the_specification_measures_it() -> None:
    specification = specification_of(planned_n=500)
    plan = plan_of(specification, purchases())
    by_hand = replace(
        plan.primary, needed_n=20_000, visible=0.5, needed_n_cuped=10_000, visible_cuped=0.3, skewness=0.0
    )
    skewed = Line("conversion", "secondary", Spread(1.0, 1.0), 0.1, skewness=1000.0)
    told = replace(plan, lines=(by_hand, skewed))
    first, *others = specification.metrics
    for is_cuped, needed_n, visible in ((True, 10_000, 0.3), (False, 20_000, 0.5)):
        metrics = (first.model_copy(update={"cuped": is_cuped}), *others)
        asked = specification.model_copy(update={"metrics": metrics})
        with pytest.raises(UnderpoweredError) as caught:
            refuse_underpowered(asked, told)
        assert (caught.value.needed_n, caught.value.visible) == (needed_n, visible)
    weighted = zip(specification.variants, (0.9, 0.1), strict=True)
    variants = tuple(variant.model_copy(update={"weight": weight}) for variant, weight in weighted)
    unequal = specification.model_copy(update={"variants": variants})
    assert not [one for one in doubts(unequal, told) if "by chance" in one]  # a secondary one decides nothing


def test_days_are_those_in_which_so_many_customers_came() -> None:
    plan = plan_of(specification_of(planned_n=100), purchases())
    assert plan.days(1) == 1 + 7
    assert plan.days(10**6) is None
    assert plan.days(None) is None
    by_hand = replace(plan, per_day=(2.0, 0.0, 3.0))
    assert [by_hand.days(n) for n in (1, 2, 3, 5, 6)] == [1 + 7, 1 + 7, 3 + 7, 3 + 7, None]
    assert replace(plan, per_day=()).days(1) is None


def test_without_prices_nothing_is_said_of_revenue() -> None:
    by_name = {line.metric: line for line in plan_of(specification_of(), purchases(price=None)).lines}
    assert by_name["revenue_per_customer"].spread is by_name["order_value"].spread is None
    assert by_name["conversion"].spread is not None
    told = next(doubts(specification_of(), plan_of(specification_of(), purchases(price=None))))
    assert told.startswith("revenue_per_customer, which decides, can't be measured")


def test_too_little_history_is_refused() -> None:
    with pytest.raises(BadLogError, match="holds no purchase"):
        plan_of(specification_of(), purchases().clear())
    with pytest.raises(BadLogError, match="only 4 customers"):
        plan_of(specification_of(), purchases(4))


def held(planned_n: int, **more: object) -> None:
    specification = specification_of(planned_n=planned_n)
    head = specification.experiment.model_copy(update=more)
    specification = specification.model_copy(update={"experiment": head})
    refuse_underpowered(specification, plan_of(specification, purchases()))


def test_what_cannot_be_seen_is_not_promised() -> None:
    with pytest.raises(UnderpoweredError, match=r"planned_n = 50 can't show 10.0%") as caught:
        held(50)
    held(caught.value.needed_n)
    held(50, accept_underpowered=True)


def doubted(planned_n: int, margin: float = 0.25, **more: object) -> list[str]:
    specification = specification_of(planned_n=planned_n)
    head = specification.experiment.model_copy(update=more)
    metrics = tuple(
        one.model_copy(update={"margin": margin if one.margin else None}) for one in specification.metrics
    )
    specification = specification.model_copy(update={"experiment": head, "metrics": metrics})
    return list(doubts(specification, plan_of(specification, purchases())))


def test_what_is_accepted_and_what_the_shop_has_no_customers_for_is_said() -> None:
    assert "50 customers show" in doubted(50, margin=1.0, accept_underpowered=True)[0]
    assert doubted(100, margin=1.0, planned_days=60, accept_underpowered=True)[1:] == []
    (days,) = doubted(14_000)
    assert days == "planned_n = 14,000 takes over 59 days of customers who buy, and planned_days is 28"


def test_a_guardrail_that_could_not_be_shown_harmless_is_said() -> None:
    told = doubted(14_000, margin=0.01)
    assert [one.split()[1] for one in told if one.startswith("guardrail")] == ["units_per_customer"]


def test_skewed_figures_of_unequal_arms_are_told_before_the_start() -> None:
    specification = specification_of(planned_n=500)
    told = {}
    for share in (0.5, 0.1):
        arms = [(1 - share, specification.variants[0]), (share, specification.variants[1])]
        variants = tuple(one.model_copy(update={"weight": weight}) for weight, one in arms)
        unequal = specification.model_copy(update={"variants": variants})
        told[share] = [one for one in doubts(unequal, plan_of(unequal, purchases())) if "by chance" in one]
    assert told[0.5] == []
    assert told[0.1][0].startswith("revenue_per_customer is found lower by chance alone in about ")


def test_a_guardrail_needs_as_many_as_its_sequence_does() -> None:
    spread, alpha, margin = Spread(2.0, 9.0), 0.025, 0.1
    n = Design(alpha, 0.8, (0.5, 0.5), ALWAYS).needed_n(spread, margin)
    assert n is not None
    # Where nothing differs the sequence's end lies above -margin in 80 of 100.
    variance = 9.0 * 4 / n
    low = -half_width(variance, n, alpha, n) - 0.8416 * sqrt(variance)
    assert low == pytest.approx(-margin * 2.0, rel=1e-3)


def test_the_command_shows_the_plan_and_then_refuses(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec", planned_n=50))
    purchases().drop("order_row", "discount").write_parquet(tmp_path / "purchases.parquet")
    said = ["plan", "--spec", str(tmp_path / "spec.toml"), "--data", str(tmp_path)]
    result = CliRunner().invoke(commands, said)
    assert "revenue_per_customer" in result.output
    assert isinstance(result.exception, UnderpoweredError)
    neither = CliRunner().invoke(commands, said[:3])
    assert "either --store or --data" in neither.output


@pytest.mark.parametrize(
    "metric",
    ['name = "shown"\ncolumn = "products_shown"', 'name = "nps"', 'name = "repeat_purchase"\nkind = "ces"'],
)
def test_cuped_of_what_is_not_known_of_before_is_refused_by_name(tmp_path: Path, metric: str) -> None:
    vain = f'{SPECIFICATION.format(id="rec", planned_n=50)}[[metrics]]\n{metric}\nrole = "secondary"\n'
    (tmp_path / "spec.toml").write_text(f"{vain}cuped = true\n")
    said = ["plan", "--spec", str(tmp_path / "spec.toml"), "--data", str(tmp_path)]
    name = metric.split('"')[1]
    with pytest.raises(BadSpecificationError, match=f"metrics: cuped does nothing for {name}: .* clicks$"):
        CliRunner().invoke(commands, said, catch_exceptions=False)


def test_a_nextbest_toml_beside_the_history_that_nobody_named_is_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec", planned_n=50))
    (tmp_path / "nextbest.toml").write_text("")
    said = ["plan", "--spec", str(tmp_path / "spec.toml"), "--data", str(tmp_path)]
    with pytest.raises(BadConfigError, match="give --config"):
        CliRunner().invoke(commands, said, catch_exceptions=False)


def test_a_history_with_too_many_bad_lines_names_no_file_that_is_gone_again(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec", planned_n=50))
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\na,p,never\n")
    said = ["plan", "--spec", str(tmp_path / "spec.toml"), "--data", str(tmp_path)]
    result = CliRunner().invoke(commands, said)
    assert str(result.exception) == (
        "purchases: 1 of 1 lines rejected (purchased_at: not a time: 1), more than max_reject_share = 0.1 in "
        "[history]; set date_format in [history.purchases]"
    )


def test_a_place_by_lot_is_told_how_many_customers_it_takes() -> None:
    assert list(lot_lines(specification_of())) == []
    for planned_n, begins in ((2000, "ranker: a place"), (1000, "ranker: a place"), (999, "ranker: too few")):
        specification = specification_of(planned_n=planned_n)
        control, ranker = specification.variants
        arms = (control, ranker.model_copy(update={"explore": 1}))
        (told,) = lot_lines(specification.model_copy(update={"variants": arms}))
        assert told.startswith(begins)
        assert "among 5 says nothing of a rival under 500 customers" in told
