"""Who gets what is popular, in an experiment or held out, gets it under the rules that hold for everybody."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from experiments.assignment import Plan
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.web.parameters import parse_personal_query
from tests.unit.test_trials import Desk, desk_of, entry

NOON = datetime(2018, 1, 2, 12, tzinfo=UTC).timestamp()
ARM, HELD_OUT = Plan((entry("popular"),)), Plan((entry("als"),), holdout_share=1.0)
BOTH = pytest.mark.parametrize("plan", [ARM, HELD_OUT], ids=["arm", "held out"])
FIRST, NEXT = ["milk", "bread", "apple"], ["butter", "rolls", "pear"]  # of the popular that are in stock


def desk_with(folder: Path, rule: str, plan: Plan) -> Desk:
    rules = parse_rules(f'schema = 1\n[[rules]]\nid = "a"\n{rule}') if rule else parse_rules("schema = 1\n")
    desk = desk_of(folder, RuleBook(rules, lambda: NOON), counts=True)
    desk.plans.current = plan
    return desk


def shown(desk: Desk, customer_id: str = "anna", query: bytes = b"n=3") -> list[str]:
    body = desk.ask(customer_id, parse_personal_query(query))
    assert body["variant"] == "popular"
    return [one["product_id"] for one in body["recommendations"]]


@BOTH
def test_what_a_customer_bought_lately_is_hidden_where_a_rule_says_so(tmp_path: Path, plan: Plan) -> None:
    desk = desk_with(tmp_path, 'kind = "exclude_bought"\ndays = 10', plan)
    assert shown(desk) == ["bread", "apple", "butter"]  # anna bought milk five days ago, and bread thirteen
    assert shown(desk, "a stranger") == FIRST


@BOTH
def test_who_asks_for_something_new_is_shown_nothing_bought_before(tmp_path: Path, plan: Plan) -> None:
    desk = desk_with(tmp_path, "", plan)
    assert shown(desk, query=b"n=3&objective=discovery") == ["apple", "butter", "rolls"]
    assert shown(desk, "a stranger", b"n=3&objective=discovery") == shown(desk) == FIRST


@BOTH
def test_variety_holds_as_for_a_stranger(tmp_path: Path, plan: Plan) -> None:
    desk = desk_with(tmp_path, 'kind = "diversity"\nstrength = 1.0', plan)
    plain = desk.plain(parse_personal_query(b"n=6"), "a stranger")["recommendations"]
    first = [one["product_id"] for one in plain]
    assert first[:4] == ["milk", "bread", "apple", "bag"]  # one of each category, and one that has none
    assert shown(desk, query=b"n=6") == first


def test_what_an_arm_showed_often_enough_is_held_back_from_its_customers(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, 'kind = "frequency"\nat_most = 2\ndays = 7', ARM)
    assert [shown(desk) for _ in range(4)] == [FIRST, FIRST, NEXT, NEXT]


def test_who_is_held_out_is_not_counted_and_not_limited(tmp_path: Path) -> None:
    desk = desk_with(tmp_path, 'kind = "frequency"\nat_most = 2\ndays = 7', ARM)
    assert [shown(desk), shown(desk)] == [FIRST, FIRST]
    desk.plans.current = HELD_OUT
    assert [shown(desk) for _ in range(3)] == [FIRST, FIRST, FIRST]
