"""Rankers of a small market whose fit takes a second, fitted once for all tests of a process."""

from dataclasses import replace
from functools import cache

import numpy as np

from models.due import PRIOR, DueOptions
from models.numerics.boosting import TreeOptions
from models.popular import PopularOptions
from models.ranker import Discovery, Ranker, RankerOptions
from models.ranking.calibration import UNCHANGED
from models.repeat import RepeatOptions
from models.trend import TrendOptions
from tests.data.shops import market

# the fast sources alone, their constants given: a fit takes a second
OPTIONS = RankerOptions(
    without=("season", "item_item", "sequel", "als", "ease", "neighbours", "affinity", "content"),
    trees=TreeOptions(n_trees=12, learning_rate=0.4, leaves=8, min_pairs=20),
    popular=PopularOptions(half_life_days=28.0),
    trend=TrendOptions(half_life_days=28.0),
    repeat=RepeatOptions(half_life_days=28.0, due_power=0.5),
    due=DueOptions(coefficients=tuple(PRIOR.tolist())),
    calibration=UNCHANGED,
    negatives=50,
    max_customers=140,
    n_folds=4,
)
# of those nearly no trees: where windows are counted, or what leaves no product to order
COUNTED = replace(OPTIONS, trees=replace(OPTIONS.trees, n_trees=2))
EVERYONE = np.arange(151, dtype=np.int32)


@cache
def ranker() -> Ranker:
    return Ranker(OPTIONS).fit(market().interactions())


@cache
def discovery() -> Discovery:
    return Discovery(OPTIONS, ranker().sources_).fit(market().interactions())
