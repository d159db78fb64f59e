"""What sources of candidates find, worked out by hand for four customers, and what always holds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from models.arrays import IntArray
from tests.data.scores import DAY_S, history_of
from training.evaluation import contribution
from training.evaluation.contribution import (
    KINDS,
    Contribution,
    SourceFigures,
    Step,
    count_sources,
    pool_sources,
)
from training.evaluation.folds import Fold, TargetTruth, split

N_PRODUCTS = 6


def rows(*cells: tuple[int, int], n_customers: int = 4) -> sparse.csr_array:
    customer, product = np.array(cells, np.int64).reshape(-1, 2).T
    shape = (n_customers, N_PRODUCTS)
    return sparse.csr_array((np.ones(len(cells), np.bool_), (customer, product)), shape=shape)


def truth_of(*cells: tuple[int, int]) -> TargetTruth:
    customers = np.unique([customer for customer, _ in cells]).astype(np.int32)
    return TargetTruth(customers, rows(*cells)[customers], np.ones(len(customers), np.int32))


def ints(*lines: list[int]) -> IntArray:
    return np.array(lines, np.int32)


# Customer 0 owned 0 and 1, customer 1 owned 2, customer 3 nothing; customer 2 bought nothing in the window.
OWNED = rows((0, 0), (0, 1), (1, 2))
TRUTH = truth_of((0, 0), (0, 1), (0, 3), (1, 2), (1, 4), (3, 5))
EVERYBODY = np.arange(4, dtype=np.int32)
CANDIDATES = {
    "own": ints([0, 1], [2, -1], [-1, -1], [-1, -1]),  # finds 3 repeats
    "trend": ints([3, 0], [3, 0], [3, 0], [3, 0]),  # finds a repeat and a new one, both of customer 0
    "wide": ints(
        [3, 5, 1, 4], [5, -1, -1, -1], [1, -1, -1, -1], [1, 2, -1, -1]
    ),  # the other repeat, the same new
}


def found() -> Contribution:
    return pool_sources([count_sources(TRUTH, OWNED, EVERYBODY, CANDIDATES)])


def test_each_source_is_measured_alone_and_on_top_of_the_others() -> None:
    repeats, new = found().kinds["repeats"], found().kinds["new"]
    assert (repeats.bought, new.bought) == (3, 3)
    assert repeats.sources == {
        "own": SourceFigures(
            alone=1.0, on_top=1 / 3, candidates=3 / 4
        ),  # only it finds product 2 of customer 1
        "trend": SourceFigures(alone=1 / 3, on_top=0.0, candidates=1 / 4),
        "wide": SourceFigures(alone=1 / 3, on_top=0.0, candidates=1 / 4),
    }
    assert new.sources == {
        "own": SourceFigures(0.0, 0.0, 0.0),
        "trend": SourceFigures(alone=1 / 3, on_top=0.0, candidates=7 / 4),
        "wide": SourceFigures(alone=1 / 3, on_top=0.0, candidates=7 / 4),
    }
    assert (repeats.found, new.found) == (1.0, 1 / 3)


def test_sources_are_added_by_what_they_add_most_and_equals_as_given() -> None:
    assert found().kinds["all"].steps == [
        Step("own", 3 / 6, 3 / 4),
        Step("trend", 4 / 6, (3 + 7) / 4),  # as much as wide adds, and given before it
        Step("wide", 4 / 6, (3 + 7 + 6) / 4),
    ]
    assert [step.source for step in found().kinds["new"].steps] == ["trend", "own", "wide"]


def test_repeats_and_new_are_those_of_the_fold() -> None:
    lines = [(0, 0, 1.0, 0), (0, 1, 2.0, 1), (1, 2, 2.0, 2), (0, 0, 5.0, 3), (0, 3, 5.0, 3), (1, 4, 6.0, 4)]
    whole = history_of(lines, n_customers=2, n_products=5, as_of_day=9)
    history, truth = split(whole, Fold(4 * DAY_S, 5))
    lists = {"some": ints([0, 3], [0, 4])}
    some = pool_sources(
        [count_sources(truth.targets["all"], history.matrix(), np.arange(2, dtype=np.int32), lists)]
    )
    assert some.kinds["new"].bought == truth.targets["new"].products.nnz == 2
    assert some.kinds["repeats"].bought == 1
    assert (some.kinds["new"].found, some.kinds["repeats"].found) == (1.0, 1.0)


def test_only_what_the_asked_customers_bought_counts() -> None:
    asked = np.array([3, 1], np.int32)
    lists = {"one": ints([5, 5, 0], [0, -1, 2])}
    some = pool_sources([count_sources(TRUTH, OWNED, asked, lists)])
    assert some.customers == 2
    assert some.kinds["all"].bought == 3
    assert some.kinds["new"].sources["one"] == SourceFigures(1 / 2, 1 / 2, candidates=3 / 2)  # 5 counts once
    assert some.kinds["repeats"].sources["one"] == SourceFigures(1.0, 1.0, candidates=1 / 2)


def test_folds_are_pooled_pair_by_pair() -> None:
    one = count_sources(TRUTH, OWNED, EVERYBODY, CANDIDATES)
    other = count_sources(truth_of((1, 2)), OWNED, EVERYBODY[1:2], {n: v[1:2] for n, v in CANDIDATES.items()})
    both = pool_sources([one, other]).kinds["repeats"]
    assert both.bought == 4
    assert both.sources["own"] == SourceFigures(alone=1.0, on_top=2 / 4, candidates=4 / 5)
    assert both.sources["trend"].alone == 1 / 4


def test_blocks_of_customers_give_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found()
    monkeypatch.setattr(contribution, "_BLOCK_CELLS", 8)  # one customer at a time
    assert found() == whole


def test_without_customers_or_purchases_no_kind_is_left() -> None:
    nobody = count_sources(TRUTH, OWNED, EVERYBODY[:0], {"own": np.empty((0, 2), np.int32)})
    assert pool_sources([nobody]) == Contribution(customers=0, kinds={})
    idle = count_sources(TRUTH, OWNED, EVERYBODY[2:3], {"own": ints([1, 2])})
    assert pool_sources([idle]) == Contribution(customers=1, kinds={})


def test_a_source_without_candidates_finds_nothing() -> None:
    none = {"none": np.full((4, 2), -1, np.int32), "narrow": np.empty((4, 0), np.int32)}
    figures = pool_sources([count_sources(TRUTH, OWNED, EVERYBODY, none)]).kinds["all"]
    assert figures.found == figures.candidates == 0
    assert [step.source for step in figures.steps] == ["none", "narrow"]


@pytest.mark.parametrize(
    ("lists", "fault"),
    [
        ({}, "0 sources"),
        ({"own": ints([0])}, "own gave 1 lists for 4 customers"),
        ({"own": ints([0], [0], [0], [6])}, "own gave product row 6 of 6 products"),
        ({str(n): ints([0], [0], [0], [0]) for n in range(63)}, "63 sources"),
    ],
)
def test_lists_that_do_not_fit_are_refused(lists: dict[str, IntArray], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        count_sources(TRUTH, OWNED, EVERYBODY, lists)


def test_folds_of_different_sources_are_not_pooled() -> None:
    one = count_sources(TRUTH, OWNED, EVERYBODY, CANDIDATES)
    other = count_sources(TRUTH, OWNED, EVERYBODY, {"own": CANDIDATES["own"]})
    with pytest.raises(ValueError, match="different sources"):
        pool_sources([one, other])


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 4))
def test_shares_stay_in_order_whatever_the_candidates(seed: int, n_sources: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    bought = [(int(c), int(p)) for c, p in np.argwhere(rng.random((4, N_PRODUCTS)) < 0.4)]
    owned = sparse.csr_array(rng.random((4, N_PRODUCTS)) < 0.4)
    lists = {f"s{n}": rng.integers(-1, N_PRODUCTS, (4, k), np.int32) for n in range(n_sources)}
    figures = pool_sources([count_sources(truth_of(*bought), owned, EVERYBODY, lists)])
    for kind in KINDS:
        if kind not in figures.kinds:
            continue
        part = figures.kinds[kind]
        shares = [step.found for step in part.steps]
        assert shares == sorted(shares)
        assert shares[-1] == part.found <= 1
        assert shares[0] == max(source.alone for source in part.sources.values())
        assert part.steps[-1].candidates == part.candidates
        assert sum(source.on_top for source in part.sources.values()) <= part.found + 1e-12
        for name, source in part.sources.items():
            assert 0 <= source.on_top <= source.alone <= part.found
            others = {n: v for n, v in lists.items() if n != name}
            if others:
                rest = pool_sources([count_sources(truth_of(*bought), owned, EVERYBODY, others)])
                assert rest.kinds[kind].found == pytest.approx(part.found - source.on_top)
