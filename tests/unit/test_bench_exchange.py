"""Peers from another process: what goes there, what comes back, and RecTools itself where it is installed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.history.interactions import Interactions
from tests.benchmarks.quality_exchange import RECTOOLS, Elsewhere, Outsider, filled_up
from tests.benchmarks.quality_questions import Column, Question, Split
from tests.benchmarks.quality_rectools import CONTESTANTS
from tests.benchmarks.quality_runs import Entrant, entrants, kept, run
from tests.data.shops import START_S, grocer, shop_of
from training.evaluation.folds import Fold

DAY_S = 86_400
BOTH = np.array([0, 1], np.int32)
OWN_PRODUCTS_AND_ONE_NEW = """
import json, sys
import numpy as np

model, asked, lists = sys.argv[1:]
wanted = json.loads(model)
given = np.load(asked)
every = np.full((len(given["asked"]), int(given["k"])), -1, np.int32)
new = np.full_like(every, -1)
new[:, 0] = wanted["new"]
for place, row in enumerate(given["asked"]):
    own = np.unique(given["product_row"][given["customer_row"] == row])
    every[place, : len(own)] = own[::-1] if wanted.get("last_first") else own
np.savez(lists, every=every, new=new, fit_s=1.5, lists_s=0.5, peak_mb=np.nan)
"""

type Make = Callable[..., Elsewhere]


@pytest.fixture
def other(tmp_path: Path) -> Make:
    """A model in another process that shows own products by row, and what `model` names as new."""
    script = tmp_path / "other.py"
    script.write_text(OWN_PRODUCTS_AND_ONE_NEW)
    return lambda **settings: Elsewhere(**settings, command=(sys.executable, str(script)))


def question(day: float, days: int) -> Question:
    """Customer 0: product 0, then 1 and 2, then 2, then 2 and 4; customer 1: product 3, 3 again, then 0."""
    orders = [(0, 10.0, [0]), (0, 11.0, [1, 2]), (0, 12.0, [2]), (0, 14.0, [2, 4])]
    orders += [(1, 12.0, [3]), (1, 14.0, [3]), (1, 15.0, [0])]
    interactions = shop_of(orders, n_customers=2, n_products=5).interactions()
    return Question("test", interactions, Fold(START_S + int(day * DAY_S), days))


def history() -> Interactions:
    return question(13, 7).history


def test_every_purchase_is_sent_and_counts_one_unless_it_is_to_decay() -> None:
    sent = Elsewhere({}).sent(history())
    assert set(sent) == {"customer_row", "product_row", "at_s", "weight"}
    assert sent["customer_row"].tolist() == [0, 0, 0, 0, 1]
    assert sent["product_row"].tolist() == [0, 1, 2, 2, 3]
    assert sent["at_s"].tolist() == [START_S + day * DAY_S for day in (10, 11, 11, 12, 12)]
    assert sent["weight"].tolist() == [1, 1, 1, 1, 1]
    decayed = Elsewhere({}, weights="decayed").sent(history())["weight"]
    np.testing.assert_allclose(decayed, 0.5 ** (np.array([3, 2, 2, 1, 1]) / 60), rtol=1e-6)


def test_binary_sends_each_pair_once() -> None:
    sent = Elsewhere({}, weights="binary").sent(history())
    assert sent["product_row"].tolist() == [0, 1, 2, 3]
    assert sent["at_s"][2] == START_S + 11 * DAY_S  # the first time


def test_only_the_most_bought_products_are_sent_and_categories_where_they_are_known() -> None:
    sent = Elsewhere({}, most_bought=2, knows_categories=True).sent(history())
    assert sent["product_row"].tolist() == [0, 2, 2]  # of those in one order, the first row
    assert sent["category_row"].tolist() == [0, 1, 2, -1, 1]


def test_lists_go_on_with_popular_products_that_are_neither_in_them_nor_owned() -> None:
    lists = np.array([[4, -1, -1], [1, 2, 3]], np.int32)
    fill = np.array([3, 4, 2, 0], np.int32)
    assert filled_up(lists, BOTH, fill).tolist() == [[4, 3, 2], [1, 2, 3]]
    assert filled_up(lists, BOTH, fill, history().matrix()).tolist() == [[4, 3, -1], [1, 2, 3]]
    assert lists[0].tolist() == [4, -1, -1]


def test_what_the_other_process_leaves_is_what_customers_see(other: Make) -> None:
    lists = other(model={"new": 4}).lists(question(13, 7), BOTH)
    assert lists.every.shape == (2, 20)
    assert lists.every[:, :5].tolist() == [[0, 1, 2, 3, -1], [3, 2, 1, 0, -1]]
    assert lists.new[:, :5].tolist() == [[4, 3, -1, -1, -1], [4, 2, 1, 0, -1]]
    assert (lists.fit_s, lists.lists_s, lists.peak_mb) == (1.5, 0.5, None)


def test_each_target_is_measured_on_its_own_lists(other: Make, tmp_path: Path) -> None:
    columns = tuple(Column("", target, "ndcg@10") for target in ("all", "new", "next_order"))
    asked = question(13, 7)
    split = Split("a", [asked], [question(11.5, 1)], columns, columns[0], "none", {})
    entrant = Entrant(
        "out", "out", False, "r", Outsider("out", "out", [{"model": {"new": 4}}], lambda s: other(**s))
    )
    run(split, tmp_path, [entrant], again=False, say=lambda _: None)
    part = kept(tmp_path, split, asked, entrant)
    two = 1 + 1 / np.log2(3)  # the best that two products can reach
    # Customer 0 buys 2 and 4, the new one, and sees 0 1 2 3; customer 1 buys 3, then 0, and sees 3 2 1 0.
    np.testing.assert_allclose(part.figures["all/ndcg@10"], [0.5 / two, (1 + 1 / np.log2(5)) / two])
    np.testing.assert_allclose(part.figures["new/ndcg@10"], [1, 1 / np.log2(5)])
    np.testing.assert_allclose(part.figures["next_order/ndcg@10"], [0.5 / two, 1])
    assert part.customers["new"].tolist() == [0, 1]
    assert part.settings == {"model": {"new": 4}}
    assert (part.cost.fit_s, part.cost.score_s, part.cost.peak_mb) == (1.5, 0.5, None)


def test_settings_are_chosen_by_lists_of_the_other_process(other: Make) -> None:
    grid = [{"model": {"new": 4}}, {"model": {"new": 4, "last_first": True}}]
    outsider = Outsider("out", "out", grid, lambda settings: other(**settings))
    assert outsider.chosen([question(11.5, 1)]) == grid[1]  # customer 0 buys the last product again


def test_a_process_that_fails_ends_the_run_by_name_and_model(tmp_path: Path) -> None:
    script = tmp_path / "fails.py"
    script.write_text("raise SystemExit(3)")
    with pytest.raises(SystemExit, match=r'exit code 3 on {"cls": "EASEModel"}'):
        Elsewhere({"cls": "EASEModel"}, command=(sys.executable, str(script))).lists(question(13, 7), BOTH)


def test_a_missing_environment_is_told_with_the_way_to_it() -> None:
    with pytest.raises(SystemExit, match="nowhere/python is missing: make bench-quality"):
        Elsewhere({}, command=("nowhere/python",)).lists(question(13, 7), BOTH)


def test_rectools_models_take_part_under_names_of_their_own() -> None:
    names = [entrant.name for entrant in entrants()]
    assert len(names) == len(set(names))
    assert {peer.name for peer in CONTESTANTS} < set(names)
    for peer in CONTESTANTS:
        assert all(json.loads(json.dumps(settings)) == settings for settings in peer.grid)


MADE = Path(RECTOOLS[0]).parents[1] / ".made"
needs_rectools = pytest.mark.skipif(not MADE.exists(), reason="make bench-quality installs it")


@needs_rectools
@pytest.mark.parametrize("peer", CONTESTANTS, ids=lambda peer: peer.name)
def test_rectools_shows_distinct_products_and_none_that_is_owned_as_new(peer: Outsider) -> None:
    asked = Question("test", grocer().interactions(), Fold(START_S + 60 * DAY_S, 7))
    rows = asked.truth.targets["all"].customer_row
    lists = peer.make(peer.grid[-1 if peer.name == "rectools_als" else 0]).lists(asked, rows)
    owned = asked.history.matrix().toarray()[rows] > 0
    for line, new, mine in zip(lists.every, lists.new, owned, strict=True):
        assert len(set(line)) == len(line) == 20
        shown = new[new >= 0]
        assert len(set(shown)) == len(shown) == 24 - mine.sum()  # nobody bought the last of 25 products
        assert not mine[shown].any()
    assert lists.fit_s > 0


@needs_rectools
def test_rectools_ease_is_the_closed_form_once_its_weights_are_turned_round() -> None:
    asked = Question("test", grocer().interactions(), Fold(START_S + 60 * DAY_S, 7))
    bought = asked.history.matrix().toarray()[:, :24].astype(np.float64)
    inverse = np.linalg.inv(bought.T @ bought + 50 * np.eye(24))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    model = {"cls": "EASEModel", "regularization": 50}
    for is_corrected, right in ((True, weights), (False, weights.T)):  # where both are right, drop one
        expected: Any = np.argsort(-(bought @ right)[BOTH], axis=1)[:, :20]
        lists = Elsewhere(model, corrects_ease=is_corrected).lists(asked, BOTH)
        assert lists.every.tolist() == expected.tolist()
