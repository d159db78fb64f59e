"""A ranker's trees together: what they say of a customer's candidates, their order and the log odds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np

from models.arrays import AnyArray, DoubleArray, FloatArray, IntArray, LongArray
from models.base import Told
from models.numerics.boosting import TreeOptions, Trees
from models.numerics.cores import at_once
from models.ranking.lessons import Lessons
from models.ranking.sources import Candidates
from models.ranking.windows import Window

MIN_NEW = 200  # products bought that were new to their customer, for trees that learn from such alone
NEW_RIDGE = 5.0
OF_NEW = ("new_order", "new_chance")


@dataclass(frozen=True, eq=False)
class Opinions:
    """What a ranker says of its candidates.

    Attributes:
        found: the candidates of some customers.
        order: shape (n,), float32, higher is better.
        probability: shape (n,), float32, of a purchase within the horizon.
    """

    found: Candidates
    order: FloatArray
    probability: FloatArray

    def of(self, rows: IntArray) -> "Opinions":
        """Those of some customers, rows rising, and of nobody else."""
        kept = np.flatnonzero(np.isin(self.found.customer_row, rows))
        theirs = replace(self.found.at(kept), rows=np.intersect1d(self.found.rows, rows))
        return Opinions(theirs, self.order[kept], self.probability[kept])

    def told(self) -> Told:
        """A line for each customer, a column for each product that is somebody's candidate."""
        found = self.found
        products = np.unique(found.product_row)
        line = np.searchsorted(found.rows, found.customer_row)
        column = np.searchsorted(products, found.product_row)
        scores = np.full((len(found.rows), len(products)), np.nan, np.float32)
        probability = scores.copy()
        scores[line, column], probability[line, column] = self.order, self.probability
        return Told(found.rows, products, scores, probability)


@dataclass(frozen=True, eq=False)
class Ensembles:
    """Two ensembles for all candidates, and up to two more for those that are new to their customer.

    What a customer buys again is easier to tell from the rest than one novelty from another, so trees that
    learn from both spend themselves on the former. The order of all is the sum of the first two, each in its
    standard deviations. The places that new products hold in it go to those that the sum of all four would
    put first; of the trees of the new ones half as many do, since there is less to tell, and with a small
    ridge: what few purchases say of a novelty is all that there is, but without any one surprise among
    thousands of pairs would be taken for certain. To each of the four is added how much more than lately is
    to be expected of the product, as it was a year ago: no window that trees learn from shows it before a
    feast that comes once a year.

    Attributes:
        trees: by name: order, chance, and where there was enough to learn from those of OF_NEW.
        spread: the standard deviation of what each of them says.
        level: log odds that are known of all pairs of the coming horizon, on top of what trees say.
    """

    trees: dict[str, Trees]
    spread: dict[str, float]
    level: float = 0.0

    @classmethod
    def grown(cls, lessons: Lessons, options: TreeOptions, window: Window, level: float) -> Self:
        """Ensembles that learned from the lessons; their spread is that on those who came in the window."""
        steps = {"order": lessons.order, "chance": lessons.chance}
        if lessons.n_new >= MIN_NEW:
            if lessons.has_own:  # else it is the order of all
                steps["new_order"] = lessons.new_order
            steps["new_chance"] = lessons.new_chance
        of_new = replace(options, n_trees=options.n_trees and -(-options.n_trees // 2), ridge=NEW_RIDGE)
        grown = at_once(
            [partial(step, of_new if name in OF_NEW else options) for name, step in steps.items()]
        )
        trees = dict(zip(steps, grown, strict=True))
        came = window.only(window.has_come)
        said = _said(trees, came.features, np.flatnonzero(~came.is_own))
        return cls(trees, {name: _spread(sums) for name, sums in said.items()}, level)

    def judged(
        self, found: Candidates, features: FloatArray, rise: FloatArray
    ) -> tuple[DoubleArray, DoubleArray]:
        """The order of candidates, higher is better, and the log odds of each.

        Args:
            found: the candidates.
            features: of each.
            rise: how much more of each is to be expected than the features know, as a log; shape (n,).
        """
        new = np.flatnonzero(~found.is_own)
        said = {
            name: sums + (rise[new] if name in OF_NEW else rise)
            for name, sums in _said(self.trees, features, new).items()
        }
        order = said["order"] / self.spread["order"] + said["chance"] / self.spread["chance"]
        if set(said) & set(OF_NEW):
            of_new = {name: sums if name in OF_NEW else sums[new] for name, sums in said.items()}
            liking = [sums / self.spread[name] for name, sums in of_new.items()]
            order[new] = dealt(order[new], np.sum(liking, axis=0), found.customer_row[new])
        return order, said["chance"] + self.level

    def gains(self) -> DoubleArray:
        """How much each feature brought to the order, as a share of all."""
        return self.trees["order"].gains()

    def arrays(self) -> dict[str, AnyArray]:
        """The text of the trees, by name."""
        return {f"{name}_trees": trees.text for name, trees in self.trees.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any], spread: Mapping[str, float], level: float) -> Self:
        """The ensembles with these spreads and this level, from what `arrays` gave."""
        return cls({name: Trees(arrays[f"{name}_trees"]) for name in spread}, dict(spread), level)


def dealt(scores: DoubleArray, liking: DoubleArray, customer_row: AnyArray) -> DoubleArray:
    """Each customer's scores dealt out anew among their pairs: the highest goes to the one liked most.

    Args:
        scores, liking, customer_row: shape (n,); among equals the first pair goes first.
    """
    found = scores.copy()
    found[np.lexsort((-liking, customer_row))] = scores[np.lexsort((-scores, customer_row))]
    return found


def _said(trees: Mapping[str, Trees], features: FloatArray, new: LongArray) -> dict[str, DoubleArray]:
    """What each ensemble says: of all pairs, or of the new ones at these places."""
    of_new = features[new] if set(trees) & set(OF_NEW) else features[:0]
    return {name: each.sums(of_new if name in OF_NEW else features) for name, each in trees.items()}


def _spread(sums: DoubleArray) -> float:
    return max(float(sums.std()), 1e-9) if len(sums) else 1.0
