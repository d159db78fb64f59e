"""One place of a list filled by lot, with a known chance: what another model would do there can be valued.

The lot follows from experiment, customer and day: the same customer sees the same list all day, in every
worker, and a front end in another language can draw it too.

The day imports this file: it needs nothing but the standard library.
"""

from datetime import date

from experiments.assignment import place


def lot(among: int, *, customer_id: str, day: date, salt: str) -> int:
    """Which of so many is drawn, counted from 0; each has the chance 1 / among.

    Args:
        among: at least 1.
        salt: names the experiment and its version; holds no line break.
    """
    return int(place(f"explore/{salt}/{day.isoformat()}", customer_id) * among)
