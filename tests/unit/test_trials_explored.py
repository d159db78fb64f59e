"""A place filled by lot: known chances, nothing that rules hide, pins where they are, and all of it noted."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.assignment import Arm, Entry, Plan
from experiments.exploring import lot
from service.answering.own_list import NO_PINS, Answer, Pick, Rung
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.trials.dealt import dealt
from service.trials.explored import explored
from service.trials.exposures import rows_of
from service.trials.reading import plan_of
from service.web.parameters import Query, parse_personal_query
from storage.record.experiments import RecordedExperiment, Running, State
from storage.versions.evidence import NO_EVIDENCE
from tests.unit.test_trials import Desk, desk_of, now

GOLDEN = json.loads((Path(__file__).parent.parent / "data" / "assignment.json").read_text(encoding="utf-8"))
AT_S = datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()
FOUR = parse_personal_query(b"n=4")
LOT = Arm("lot", 1.0, explore=2, explore_among=3, rivals=("popular", "als", "ease"))
PIN = 'schema = 1\n[[rules]]\nid = "bags"\nkind = "pin"\nproducts = ["bag"]\nposition = 2\n'
HIDE = 'schema = 1\n[[rules]]\nid = "no"\nkind = "block"\nproducts = ["bread", "butter"]\n'


def entry(arm: Arm = LOT, name: str = "a") -> Entry:
    return Entry(name, 1, "hash", "recommend", 0.0, 1.0, (Arm("control", 0.0), arm))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return exploring(tmp_path)


def exploring(folder: Path, arm: Arm = LOT, rules: str = "schema = 1\n") -> Desk:
    desk = desk_of(folder, RuleBook(parse_rules(rules)))
    desk.plans.current = Plan((entry(arm),))
    return desk


@pytest.mark.parametrize("case", GOLDEN["lots"], ids=lambda case: f"{case['day']}|{case['customer_id']}")
def test_the_golden_lots_hold_in_every_language(case: dict[str, str]) -> None:
    day = date.fromisoformat(case["day"])
    drawn = lot(int(case["among"]), customer_id=case["customer_id"], day=day, salt=case["salt"])
    assert drawn == case["drawn"]


def test_each_of_those_that_may_be_drawn_is_drawn_as_often() -> None:
    drawn = Counter(
        lot(5, customer_id=f"c{i}", day=date(2026, 12, day), salt="s") for i in range(4000) for day in (1, 2)
    )
    assert all(abs(count - 1600) < 4 * 36 for count in drawn.values()), drawn  # 4 standard deviations
    assert set(drawn) == set(range(5))


def test_the_lots_of_two_days_and_of_the_variant_are_independent() -> None:
    pairs = Counter(
        tuple(lot(2, customer_id=f"c{i}", day=date(2026, 12, day), salt="s") for day in (1, 2))
        for i in range(8000)
    )
    assert all(abs(count - 2000) < 4 * 39 for count in pairs.values()), pairs


PICKS = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from([Rung.OWN, Rung.OWN, Rung.PINNED])),
    unique_by=lambda one: one[0],
    min_size=1,
    max_size=30,
).map(lambda some: [(row, rung, NO_EVIDENCE, 0.5) for row, rung in some])


@given(PICKS, st.integers(1, 20), st.integers(1, 10), st.integers(2, 15), st.text(max_size=6))
def test_nothing_is_lost_or_doubled_no_pin_moves_and_the_others_keep_their_order(
    picks: list[Pick], n: int, place: int, among: int, customer_id: str
) -> None:
    answer = Answer(picks, None, "map", NO_PINS)
    arm = Arm("lot", 1.0, explore=place, explore_among=among)
    found, drawn = explored(answer, n, entry=entry(arm), arm=arm, customer_id=customer_id, at_s=AT_S)
    assert len(found.picks) == min(n, len(picks))
    assert len({pick[0] for pick in found.picks}) == len(found.picks)
    for at, pick in enumerate(picks[:n]):
        if pick[1] is Rung.PINNED:
            assert found.picks[at] == pick
    if drawn is None:
        assert found.picks == picks[:n]
        return
    assert found.picks[: place - 1] == picks[: place - 1]
    assert 1 <= len(drawn.pool) <= among
    others = [pick[0] for pick in found.picks if pick[1] is Rung.OWN and pick[0] != drawn.row]
    order = [pick[0] for pick in picks]
    assert [order.index(row) for row in others] == sorted(order.index(row) for row in others)


def test_an_answer_has_its_place_filled_by_lot_and_says_from_what(desk: Desk) -> None:
    began = datetime.now(UTC).date()
    plain = [one["product_id"] for one in desk.plain(FOUR)["recommendations"]]
    assert plain == ["milk", "bread", "butter", "apple"]
    body = desk.ask("anna", FOUR)
    shown = [one["product_id"] for one in body["recommendations"]]
    (row,) = rows_of(desk.shown[-1])
    items = json.loads(row.items)
    assert [item[0] for item in items] == shown
    assert [one["rank"] for one in body["recommendations"]] == [1, 2, 3, 4]
    assert shown[0] == "milk"
    drawn = items[1]
    assert drawn[2:4] == [0.333333, None]
    assert drawn[4] == {
        "pool": {"bread": None, "butter": None, "apple": None},
        # of all, bread is the most popular; als has anna's list too; ease has no lists, so it says nothing
        "rivals": {"popular": "bread", "als": "bread"},
    }
    assert [item[2:] for item in items if item[0] != drawn[0]] == [[None, None]] * 3
    days = {began, datetime.now(UTC).date()}
    numbers = [lot(3, customer_id="anna", day=day, salt="variant/a/1") for day in days]
    assert drawn[0] in [["bread", "butter", "apple"][number] for number in numbers]
    assert set(shown) == set(plain)  # nothing else follows: the one that was drawn stepped before the others
    assert desk.ask("anna", FOUR)["recommendations"] == body["recommendations"]


def test_what_the_others_would_choose_is_of_their_own_lists(tmp_path: Path) -> None:
    desk = exploring(tmp_path, replace(LOT, model="popular", explore=1))
    desk.ask("käthe/1", FOUR)
    (row,) = rows_of(desk.shown[-1])
    (lot_,) = [item[4] for item in json.loads(row.items) if len(item) > 4]
    assert list(lot_["pool"]) == ["milk", "bread", "apple"]
    assert lot_["rivals"] == {"popular": "milk", "als": "bread"}
    desk.ask("ben", parse_personal_query(b"n=4&category=dairy"))
    (row,) = rows_of(desk.shown[-1])
    (lot_,) = [item[4] for item in json.loads(row.items) if len(item) > 4]
    assert lot_["rivals"] == {"popular": "milk", "als": None}  # his list holds no dairy


def test_a_pin_stays_and_the_next_free_place_is_filled_by_lot(tmp_path: Path) -> None:
    desk = exploring(tmp_path, rules=PIN)
    body = desk.ask("anna", FOUR)
    assert [one["product_id"] for one in body["recommendations"]][:2] == ["milk", "bag"]
    items = json.loads(rows_of(desk.shown[-1])[0].items)
    assert [len(item) for item in items] == [4, 4, 5, 4]
    assert list(items[2][4]["pool"]) == ["bread", "butter", "apple"]
    assert desk.ask("anna", parse_personal_query(b"n=2"))["recommendations"][1]["product_id"] == "bag"
    assert all(len(item) == 4 for item in json.loads(rows_of(desk.shown[-1])[0].items))


def test_what_is_pinned_behind_the_answer_is_not_drawn_nor_taken_away(tmp_path: Path) -> None:
    rules = PIN.replace('"bag"', '"bread"').replace("position = 2", "position = 5")
    desk = exploring(tmp_path, rules=rules)
    desk.ask("anna", FOUR)
    items = json.loads(rows_of(desk.shown[-1])[0].items)
    assert list(items[1][4]["pool"]) == ["bread", "butter", "apple"]


def test_what_rules_hide_or_is_excluded_is_never_drawn(tmp_path: Path) -> None:
    desk = exploring(tmp_path, rules=HIDE)
    desk.ask("anna", parse_personal_query(b"n=4&exclude=apple"))
    items = json.loads(rows_of(desk.shown[-1])[0].items)
    pool = list(items[1][4]["pool"])
    assert len(pool) == 3
    assert not {"bread", "butter", "apple", "cream"} & set(pool)  # cream is out of stock


def test_of_one_product_nothing_is_drawn_but_that_and_it_is_certain(desk: Desk) -> None:
    desk.ask("anna", parse_personal_query(b"n=2&category=fruit&exclude=plum"))
    items = json.loads(rows_of(desk.shown[-1])[0].items)
    assert items[1][2] == 1
    assert len(items[1][4]["pool"]) == 1


def test_a_list_that_ends_before_the_place_is_shown_as_it_is(desk: Desk) -> None:
    assert len(desk.ask("anna", parse_personal_query(b"n=1"))["recommendations"]) == 1
    assert rows_of(desk.shown[-1])[0].items.count("pool") == 0


def test_who_allows_no_experiments_gets_nothing_by_lot(desk: Desk) -> None:
    desk.live.take(now("anna", True, False))
    assert desk.ask("anna", FOUR) is None
    assert desk.shown == []


def test_the_champion_answers_for_a_model_without_lists_and_nothing_is_drawn(tmp_path: Path) -> None:
    desk = exploring(tmp_path, replace(LOT, model="ease"))
    body = desk.ask("anna", FOUR)
    assert [one["product_id"] for one in body["recommendations"]] == ["milk", "bread", "butter", "apple"]
    (row,) = rows_of(desk.shown[-1])
    assert (row.is_fallback, row.items.count("pool")) == (True, 0)


def test_an_answer_has_one_list_where_two_layers_want_two() -> None:
    drafts = (entry(Arm("both", 1.0, interleave="als"), "b"), Arm("both", 1.0, interleave="als"))
    both = dealt(((entry(), LOT), drafts))
    assert both.exploring is None
    assert both.drafting == drafts
    assert both.asked(FOUR) == FOUR
    assert dealt(((entry(), LOT),)).asked(FOUR) == replace(FOUR, spare=2)
    assert dealt(((entry(), LOT),)).asked(Query(n=1)) == Query(n=1)


def test_what_explores_is_read_from_the_record() -> None:
    text = '[[variants]]\nname = "control"\nweight = 1.0\nexplore = 3\nrivals = ["als"]\n'
    one = RecordedExperiment("a", 1, text, "hash", "recommend", 0.0, 1.0, State.RUNNING, 0, None)
    (arm,) = plan_of(Running((one,), 0.0, ""), now_ms=0).entries[0].arms
    assert (arm.explore, arm.explore_among, arm.rivals) == (3, 5, ("als",))
