"""Of a list under factors only the beginning is read, and it stands in the order of the whole."""

from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from service.answering.own_list import OwnList, entries_of, under_factors
from service.answering.packed import LIST_LENGTH, WHOLE, Columns
from service.rules.effects import Scale
from service.rules.ruling import Ruling
from service.versions.served import UNKNOWN

CHANCES = st.lists(st.just(-1.0) | st.just(float("nan")) | st.floats(0, 1, width=16), max_size=90)


class Served(SimpleNamespace):
    """A version with one list of which it is counted how often it is read."""

    def __init__(self, whole: Columns) -> None:
        n = max(len(whole.rows), 1)
        shelf = SimpleNamespace(in_stock=np.ones(n, bool), changes=0)
        super().__init__(products=range(n), shelf=shelf, n_read=0)
        self.whole = whole

    def candidates(self, _: int) -> Columns:
        self.n_read += 1
        return self.whole


def beginning_of(chances: list[float], factor: float, rows: set[int]) -> OwnList:
    """A list of products 0, 1, 2... as Redis has it, some of whose products have a factor."""
    whole = Columns.of([(row, 0, chance) for row, chance in enumerate(chances)])
    served: Any = Served(whole)
    scaled = np.array([row for row in sorted(rows) if row < len(served.products)], np.int32)
    ruling = Ruling(served, [Scale(scaled, factor)])
    columns, behind = whole.first(LIST_LENGTH), whole.most_from(LIST_LENGTH)
    rules: Any = None
    own = OwnList(served, 0, None, columns, rules, ruling, behind=behind)
    own.moved = ruling.moved(columns)
    return own


@given(CHANCES, st.sampled_from([0.0, 0.5, 1.5, 4.0]), st.sets(st.integers(0, 89), max_size=30))
@example([0.9] * 45 + [0.3] * 5 + [0.1] * 40, 4.0, {88})  # it comes before the last of the beginning
@example([0.9] * 45 + [0.3] * 5 + [0.1] * 40, 4.0, {3, 46, 70, 88})
def test_the_order_is_that_of_the_whole_list(chances: list[float], factor: float, rows: set[int]) -> None:
    own, whole = beginning_of(chances, factor, rows), beginning_of(chances, factor, rows)
    whole.columns, whole.behind = own.served.candidates(0), WHOLE
    whole.moved = whole.ruling.moved(whole.columns)
    found = [(counts, entry[0]) for counts, entry in under_factors(own)]
    assert found == [(counts, entry[0]) for counts, entry in under_factors(whole)]
    assert sorted(row for _, row in found) == list(range(len(chances)))
    assert [row for _, row in found] == [entry[0] for entry in entries_of(own)]


@given(CHANCES, st.sets(st.integers(0, 89), max_size=30), st.sets(st.integers(0, 89), max_size=30))
@example([0.5] * 49 + [0.01] + [-1.0] * 10, {49}, set())  # that of the last moved is the last known
@example([0.5] * 49 + [0.01] + [-1.0] * 10, {3}, {49})
@example([0.02] * 50 + [-1.0] * 40, {3}, set())
def test_an_answer_takes_the_same_from_a_beginning(
    chances: list[float], rows: set[int], without: set[int]
) -> None:
    own, whole = beginning_of(chances, 0.5, rows), beginning_of(chances, 0.5, rows)
    whole.columns, whole.behind = own.served.candidates(0), WHOLE
    whole.moved = whole.ruling.moved(whole.columns)
    found = taken_from(own, set(without))
    assert found == taken_from(whole, set(without))
    assert sorted(found) == sorted(set(range(len(chances))) - without)


def taken_from(own: OwnList, taken: set[int]) -> list[int]:
    """What an answer takes, which leaves out from then on what it has."""
    found = []
    for _, (row, _, _) in under_factors(own, taken):
        if row not in taken:
            found.append(row)
            taken.add(row)
    return found


def test_of_products_that_come_to_count_the_same_the_one_that_was_ahead_stays_ahead() -> None:
    for factor, row, order in ((0.5, 0, [0, 1, 2]), (2.0, 2, [0, 2, 1])):
        own = beginning_of([0.5, 0.25, 0.25], factor, {row})
        assert [entry[0] for _, entry in under_factors(own)] == order


def test_what_moves_less_than_something_behind_waits_for_it() -> None:
    own = beginning_of([0.9] * 45 + [0.15] * 4 + [0.14] * 41, 1.0, set())
    own.ruling = Ruling(own.served, [Scale(np.array([row], np.int32), by) for row, by in ((49, 2), (88, 4))])
    own.moved = own.ruling.moved(own.columns)
    assert [entry[0] for _, entry in under_factors(own)][45:49] == [88, 49, 45, 46]  # .56, .28, .15


def test_what_stands_behind_is_not_read_before_something_of_it_may_come() -> None:
    chances = [0.9 - place / 100 for place in range(50)] + [0.1] * 40  # .9 to .41, then .1
    own = beginning_of(chances, 4.0, {2, 88})
    first = [entry[0] for _, entry in islice(under_factors(own), 49)]
    assert first[:4] == [2, 0, 1, 3]  # .88 times 4 is the most
    assert own.served.n_read == 0  # type: ignore[attr-defined]  # behind is at most .4, and the last has .41
    rest = [entry[0] for _, entry in under_factors(own)][49:]
    assert rest[:3] == [49, 88, 50]
    assert own.served.n_read == 1  # type: ignore[attr-defined]


def test_a_product_that_a_list_no_longer_has_has_the_probability_of_the_night() -> None:
    own = beginning_of([0.5] * 50 + [0.25, -1.0], 1.5, set())
    assert [own.probability(row) for row in (0, 50, 51, 52)] == [0.5, 0.25, UNKNOWN, UNKNOWN]
    own.behind = WHOLE  # as of an assembled list, which has 200 of what the night and the session propose
    assert own.probability(50) == 0.25
    own.session = SimpleNamespace(by_row={50: None})  # type: ignore[assignment]
    assert own.probability(50) == UNKNOWN  # it was bought since


def test_the_factors_of_many_rules_together_are_numbers() -> None:
    served: Any = Served(Columns.of([(0, 0, 0.0), (1, 0, 0.5)]))
    rows = np.array([0], np.int32)
    boosted, buried = (Ruling(served, [Scale(rows, factor)] * 20) for factor in (1000.0, 0.001))
    assert boosted.factors is not None
    assert buried.factors is not None
    assert np.isfinite(boosted.factors).all()
    assert boosted.most_factor == boosted.factors[0] > 1e29
    assert 0 < buried.factors[0] < 1e-29
    assert [score for score, _ in boosted.moved(served.whole)] == [0]
