"""Figures that are learned one after another, with scores worked out by hand."""

from typing import NamedTuple

import numpy as np
import pytest

from models.arrays import DoubleArray
from models.validation.one_by_one import one_by_one


class Two(NamedTuple):
    first: float = 1.0
    second: float = 1.0


TRIED = {"first": (0.0, 1.0, 2.0), "second": (0.0, 1.0, 2.0)}
# The second figure is worth 3 at 2, but only where the first one is 2; so is the first: 1 and less.
WORTH = {(0.0, 1.0): 0.5, (1.0, 1.0): 1.0, (2.0, 1.0): 2.0, (2.0, 2.0): 3.0}


def scores(figures: Two) -> DoubleArray:
    return WORTH.get(tuple(figures), 0.0) + np.array([-0.1, 0.0, 0.1, 0.0])


def test_each_figure_becomes_the_best_beside_those_before_it() -> None:
    assert one_by_one(Two(), TRIED, scores, errors=2.0) == Two(2.0, 2.0)
    assert one_by_one(Two(), {"second": TRIED["second"]}, scores, errors=2.0) == Two()
    assert one_by_one(Two(), {}, scores, errors=2.0) == Two()


@pytest.mark.parametrize(("errors", "found"), [(0.9, 2.0), (1.1, 1.0)])
def test_what_may_be_chance_changes_nothing(errors: float, found: float) -> None:
    """Gains of 3, -1, 3 and -1: 1 on average, and its standard error is 2 / 2."""

    def unsure(figures: Two) -> DoubleArray:
        return np.array([3.0, -1.0, 3.0, -1.0]) * (figures.first == 2.0)

    assert one_by_one(Two(), {"first": (2.0,)}, unsure, errors) == Two(first=found)


def test_of_figures_that_are_as_good_it_stays_as_it_is() -> None:
    assert one_by_one(Two(), TRIED, lambda figures: np.ones(3), errors=0.0) == Two()
