"""The columns that trees see, and that they tell of nothing but what was known."""

import numpy as np
import pytest

from models.arrays import DAY_S
from models.due import Due
from models.history.interactions import Interactions
from models.ranking.features import names
from models.ranking.sources import Candidates, Limits
from models.ranking.view import View, feature_names
from models.repeat import Repeat, RepeatOptions
from models.trend import Trend, TrendOptions
from tests.data.shops import market

LIMITS = Limits(20, 5, 1000)


def view_of(history: Interactions, *, with_due: bool = True) -> View:
    due = {"due": Due()} if with_due else {}
    sources = {
        "trend": Trend(TrendOptions(half_life_days=14.0)),
        "repeat": Repeat(RepeatOptions(half_life_days=28.0, due_power=1.0)),
        **due,
    }
    fitted = {name: model.fit(history) for name, model in sources.items()}
    return View(history, fitted, 7.0, LIMITS)


def known(view: View, rows: list[int]) -> tuple[Candidates, dict[str, np.ndarray]]:
    found = view.candidates(np.array(rows, np.int32))[0]()
    columns = dict(zip(feature_names(view.sources), view.features(found).T, strict=True))
    return found, columns


def test_columns_are_figures_then_due_then_scores_and_places_of_each_source() -> None:
    view = view_of(market().interactions())
    assert feature_names(view.sources) == [
        *names(),
        *("due: expected_days", "due: last_age over expected_days"),
        *("score: trend", "score: repeat", "score: due"),
        *("place: trend", "place: repeat", "place: due"),
    ]  # none of them has a nearness
    found, columns = known(view, [0, 1, 150])
    for place, name in enumerate(view.sources):
        np.testing.assert_array_equal(columns[f"score: {name}"], found.scores[:, place])
        np.testing.assert_array_equal(columns[f"place: {name}"], found.places[:, place])


def test_the_whole_history_is_not_counted_anew_for_each_few_customers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    view = view_of(market().interactions())
    monkeypatch.delattr(np, "bincount")
    monkeypatch.delattr(np, "unique")
    found = view.candidates(np.array([3], np.int32))[0]()
    assert len(found)


def test_features_are_float32_and_none_for_no_pairs() -> None:
    view = view_of(market().interactions())
    found = view.candidates(np.array([3], np.int32))[0]()
    assert view.features(found).dtype == np.float32
    assert view.features(found.at(np.empty(0, np.int64))).shape == (0, len(feature_names(view.sources)))


def test_a_figure_stands_beside_its_own_pair() -> None:
    history = market().interactions()
    found, columns = known(view_of(history), [2, 77])
    times = history.matrix().toarray()[found.customer_row, found.product_row]
    np.testing.assert_array_equal(np.nan_to_num(columns["product: own times"]), times)


def test_due_says_days_to_expect_of_own_products_alone() -> None:
    found, columns = known(view_of(market().interactions()), [0, 5, 150])
    expected = columns["due: expected_days"]
    np.testing.assert_array_equal(np.isnan(expected), ~found.is_own)
    own = found.is_own
    np.testing.assert_allclose(
        columns["due: last_age over expected_days"][own],
        columns["product: own last_age"][own] / (expected[own] + 0.5),
        rtol=1e-5,
    )


def test_without_due_its_columns_are_unknown() -> None:
    view = view_of(market().interactions(), with_due=False)
    _, columns = known(view, [0, 5])
    assert np.isnan(columns["due: expected_days"]).all()
    assert "score: due" not in columns


@pytest.mark.parametrize("days_ago", [7, 30, 60])
def test_nothing_later_changes_a_candidate_or_a_figure(days_ago: int) -> None:
    shop = market()
    moment = shop.as_of_s - days_ago * DAY_S
    other = np.where(shop.at_s >= moment, (shop.product_row + 7) % 120, shop.product_row).astype(np.int32)
    changed = Interactions.build(
        shop.customer_row,
        other,
        shop.order_row,
        shop.at_s,
        catalogue=shop.catalogue,
        as_of_s=shop.as_of_s,
        n_customers=shop.n_customers,
    )
    one, of_one = known(view_of(shop.interactions().before(moment)), [0, 9, 90])
    two, of_two = known(view_of(changed.before(moment)), [0, 9, 90])
    np.testing.assert_array_equal(one.product_row, two.product_row)
    for name, column in of_one.items():
        np.testing.assert_array_equal(column, of_two[name], err_msg=name)
