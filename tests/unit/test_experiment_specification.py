"""A specification is checked whole before anything runs; every refusal names what is wrong."""

from pathlib import Path

import pytest

from experiments.errors import BadSpecificationError
from experiments.specification import hash_of, parse, read_specification

GOOD = """
[experiment]
id = "rec-2026-12"
hypothesis = "the ranker earns more than what is popular"
start = 2026-12-01
[[variants]]
name = "ranker"
weight = 0.5
model = "ranker"
[[variants]]
name = "control"
weight = 0.5
model = "popular"
[analysis]
planned_n = 14000
[[metrics]]
name = "revenue_per_customer"
role = "primary"
cuped = true
mde = 0.05
[[metrics]]
name = "ctr"
role = "secondary"
kind = "ratio"
[[metrics]]
name = "nps"
role = "guardrail"
kind = "nps"
margin = 5
"""


def test_a_good_one_is_read_with_its_defaults_and_the_control_first() -> None:
    specification = parse(GOOD)
    assert [arm.name for arm in specification.arms] == ["control", "ranker"]
    assert specification.primary.of_mean == "revenue"
    assert specification.metrics[1].of_ratio == ("clicks", "impressions")
    assert (specification.analysis.alpha, specification.analysis.attribution_days) == (0.05, 7)


@pytest.mark.parametrize("name", ["latency", "fallback"])
def test_known_names_need_no_kind_and_of_these_less_is_better(name: str) -> None:
    guardrail = f'{GOOD}[[metrics]]\nname = "{name}"\nrole = "guardrail"\nmargin = 0.1\n'
    metric = parse(guardrail).metrics[-1]
    assert (metric.kind, metric.direction) == ("ratio", "down")
    said = parse(f'{guardrail}direction = "up"\n').metrics[-1]
    assert said.direction == "up"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('weight = 0.5\nmodel = "popular"', 'weight = 0.4\nmodel = "popular"', "sum to 0.9"),
        ('name = "control"', 'name = "old"', "no variant is called control"),
        ('role = "primary"', 'role = "secondary"', "none is"),
        ('role = "secondary"', 'role = "primary"\nmde = 0.1', "revenue_per_customer, ctr"),
        ("planned_n = 14000", "planned_n = 14000\npeek = true", "analysis.peek"),
        ("mde = 0.05", "", "needs mde"),
        ("margin = 5", "", "needs margin"),
        ('name = "ctr"', 'name = "clicks_per_view"', "isn't known"),
        ("planned_n = 14000", 'planned_n = "14000"', "planned_n"),
        ("start = 2026-12-01", "start = 0", "experiment.start"),
        ('id = "rec-2026-12"', 'id = "holdout"', "the global holdout"),
        ("start = 2026-12-01", "start = 2026-12-01T10:00:00", "experiment.start"),
        ("start = 2026-12-01", "start = 2026-12-01\nplanned_days = true", "planned_days"),
        ("start = 2026-12-01", "start = 2026-12-01\nplanned_days = 7", "attribution_days must be less"),
        ("mde = 0.05", "mde = 5", "mde"),
        ("mde = 0.05", "mde = 0.05\nmargin = 0.1", "margin is for guardrails"),
        ("mde = 0.05", 'mde = 0.05\nnumer = "clicks"', "numer is for kind = 'ratio'"),
        ('kind = "ratio"', 'kind = "ratio"\ncolumn = "clicks"', "column is for kind = 'mean'"),
        ('name = "nps"\nrole = "guardrail"\nkind = "nps"', 'name = "latency"\nrole = "guardrail"', "a share"),
        ('model = "ranker"', 'model = "ranker"\ninterleave = "ranker"', "its own model"),
        ('model = "ranker"', 'model = "ranker"\nexplore_among = 3', "say explore"),
        ('name = "ranker"', 'name = "control"', "control is there twice"),
        ("start = 2026-12-01", "start = 2026-12-01\nplanned_days = 3", "min_days"),
        ("[analysis]", "[analysis", "is no TOML"),
        ("planned_n = 14000", "planned_n = 14000\nalpha = nan", "analysis.alpha"),
        ("planned_n = 14000", "planned_n = 14000\nalpha = 1e-20", "analysis.alpha"),
        ("planned_n = 14000", "planned_n = 14000\npower = 0.2", "analysis.power"),
    ],
)
def test_what_is_wrong_is_refused_by_name(old: str, new: str, why: str) -> None:
    assert old in GOOD
    with pytest.raises(BadSpecificationError, match=why):
        parse(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('explore = 3\ninterleave = "als"', "exclude each other"),
        ('rivals = ["als"]', "say explore"),
        ('explore = 3\nrivals = ["als", "als"]', "rival als is there twice"),
        ("explore = 101", "explore"),
        ("explore = 3\nexplore_among = 16", "explore_among"),
        ("explore = 3\nexplore_among = 1", "explore_among"),
        ('explore = 3\nrivals = [""]', "rivals"),
        ('rules = "A set"', "rules"),
    ],
)
def test_a_policy_that_could_not_be_followed_is_refused(said: str, why: str) -> None:
    with pytest.raises(BadSpecificationError, match=why):
        parse(GOOD.replace('model = "ranker"', f'model = "ranker"\n{said}'))


def test_what_explores_is_another_experiment_and_nothing_changes_without_it() -> None:
    text = GOOD.replace('model = "ranker"', 'model = "ranker"\nexplore = 3\nrivals = ["als", "popular"]')
    control, ranker = parse(text).arms
    assert (control.explore, ranker.explore, ranker.explore_among) == (0, 3, 5)
    assert ranker.rivals == ("als", "popular")
    assert hash_of(parse(text)) != hash_of(parse(GOOD))


def test_a_file_that_is_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadSpecificationError, match=r"none\.toml"):
        read_specification(tmp_path / "none.toml")


def test_a_file_may_begin_with_windows_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f"\ufeff{GOOD}", encoding="utf-8")
    assert read_specification(path) == (parse(GOOD), GOOD)


def test_the_hash_changes_with_what_is_said_and_not_with_a_comment() -> None:
    same = parse("# a comment\n" + GOOD)
    other = parse(GOOD.replace("0.05", "0.06"))
    assert hash_of(same) == hash_of(parse(GOOD)) != hash_of(other)
    said_by_default = parse(GOOD.replace("planned_n = 14000", "planned_n = 14000\nalpha = 0.05"))
    assert hash_of(said_by_default) == hash_of(same)  # so a key that a later release knows changes no hash
