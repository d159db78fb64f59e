"""An answer with one place filled by lot, from what may stand there: nothing is hidden, no pin moved."""

from datetime import UTC, datetime
from typing import NamedTuple

from experiments.assignment import Arm, Entry
from experiments.exploring import lot
from service.answering.own_list import Answer, Pick, Rung


class Drawn(NamedTuple):
    """What is known of a place that was filled by lot.

    Attributes:
        row: of the product that was drawn.
        pool: what it was drawn from, each with the same chance, in the order of the arm's own list.
        rivals: by model, the product of the pool that it would put there; NONE where it lists none of them.
    """

    row: int
    pool: tuple[Pick, ...]
    rivals: dict[str, int]


def explored(
    answer: Answer, n: int, *, entry: Entry, arm: Arm, customer_id: str, at_s: float
) -> tuple[Answer, Drawn | None]:
    """The first n of an answer with the drawn product at the arm's place, and without rivals what was drawn.

    The others keep their order. Where a rule pins that place, it is the next one that is free; where there is
    none within n, nothing is drawn.

    Args:
        answer: n products and behind them the others that may be drawn.
        at_s: when it is shown: the lot is the same all day (UTC).
    """
    picks = list(answer.picks)
    free = [at for at, pick in enumerate(picks) if pick[1] is not Rung.PINNED and at >= arm.explore - 1]
    places = free[: arm.explore_among]
    if not places or places[0] >= n:
        return answer.with_picks(picks[:n]), None
    pool = [picks[at] for at in places]
    day = datetime.fromtimestamp(at_s, UTC).date()
    drawn = pool[lot(len(pool), customer_id=customer_id, day=day, salt=entry.salt)]
    in_order = [drawn, *(pick for pick in pool if pick is not drawn)]
    for at, pick in zip(places, in_order, strict=True):
        picks[at] = pick
    return answer.with_picks(picks[:n]), Drawn(drawn[0], tuple(pool), {})
