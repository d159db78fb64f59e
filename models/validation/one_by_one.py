"""Several figures learned one after another, each changed only where that is surely better."""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from models.arrays import DoubleArray


def one_by_one[Figures: NamedTuple](
    usual: Figures,
    tried: Mapping[str, Iterable[float]],
    scores: Callable[[Figures], DoubleArray],
    errors: float,
) -> Figures:
    """The usual figures, one after another changed to what has the highest mean score.

    Args:
        tried: of each figure that is sought, in this order; the earlier of two that are as good.
        scores: of each customer, always in the same order.
        errors: a figure stays as it is unless the gain is beyond so many of its standard errors, paired.
    """
    found = usual
    for name, values in tried.items():
        now = getattr(found, name)
        of = {value: scores(found._replace(**{name: value})) for value in dict.fromkeys([now, *values])}
        best = max(of, key=lambda value: of[value].mean())
        gain = of[best] - of[now]
        if gain.mean() > errors * gain.std() / np.sqrt(len(gain)):
            found = found._replace(**{name: best})
    return found
