"""Of customers who stayed away, what the sources promise is seen more often, and all stand for as many."""

import numpy as np

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


def stands_for(some: list[Window], *, is_first: bool) -> float:
    """For how many pairs those here stand, of the first three places or of the others; the mean."""
    masks = [(each.features[:, PLACE] < 3) == is_first for each in some]
    return float(
        np.mean([(each.weight / each.share)[mask].sum() for each, mask in zip(some, masks, strict=True)])
    )


def test_of_who_stayed_away_what_the_sources_promise_is_seen_more_often() -> None:
    whole = [away(seed, 1000) for seed in range(8)]
    some = [away(seed, 6) for seed in range(8)]
    seen, usual = (
        np.concatenate([each.features[:, PLACE] < 3 for each in windows]).mean() for windows in (some, whole)
    )
    assert seen > 1.5 * usual


def test_what_is_seen_more_often_stands_for_fewer() -> None:
    whole = [away(seed, 1000) for seed in range(8)]
    some = [away(seed, 6) for seed in range(8)]
    for is_first in (True, False):
        np.testing.assert_allclose(
            stands_for(some, is_first=is_first), stands_for(whole, is_first=is_first), rtol=0.15
        )
