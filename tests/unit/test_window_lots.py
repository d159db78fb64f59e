"""Of customers who stayed away, what the sources promise is seen more often, and all stand for as many."""

import numpy as np
import pytest

from models.arrays import BoolArray
from models.ranking.view import feature_names
from models.ranking.windows import Window
from tests.data.shops import market
from tests.unit.test_model_windows import SOURCES, STARTS_S, made

PLACE = feature_names(SOURCES).index("place: popular")


def away(seed: int, negatives: int) -> Window:
    """The new products of those who stayed away, where 24 customers come."""
    shop = market()
    few = shop.lines(np.flatnonzero((shop.at_s < STARTS_S) | (shop.customer_row < 25)))
    found = made(few, negatives=negatives, seed=seed)
    return found.only(~found.has_come & ~found.is_own)


@pytest.fixture(scope="module")
def whole() -> Window:
    return away(0, 1000)


@pytest.fixture(scope="module")
def some() -> list[Window]:
    return [away(seed, 30) for seed in range(24)]


def are_first(each: Window) -> BoolArray:
    """The first three places of a source."""
    first: BoolArray = each.features[:, PLACE] < 3
    return first


def test_of_who_stayed_away_what_the_sources_promise_is_seen_more_often(
    whole: Window, some: list[Window]
) -> None:
    assert np.concatenate([are_first(each) for each in some]).mean() > 1.5 * are_first(whole).mean()


@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_seen_more_often_stands_for_fewer(whole: Window, some: list[Window], is_first: bool) -> None:
    def stands_for(each: Window) -> float:
        return float((each.weight / each.share)[are_first(each) == is_first].sum())

    assert np.mean([stands_for(each) for each in some]) == pytest.approx(stands_for(whole), rel=0.15)
