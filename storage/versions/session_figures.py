"""How much what was bought since the night moves a list: set by the shop, written into each version.

They stand in the version and not in the day's settings, so that all workers make the same list of it.
"""

from typing import NamedTuple


class SessionFigures(NamedTuple):
    """The usual ones are those by which answers before the baskets of a grocer's week were best.

    Attributes:
        first: a place counts 1 / (first + place).
        steps_back: of what a product counts, what it loses right after it was bought, 0 to 1; others of its
            category lose as much at most.
        half_life: half of that is made up in each such share of the interval at which it is bought.
    """

    first: float = 2.0
    steps_back: float = 0.65
    half_life: float = 1 / 48
