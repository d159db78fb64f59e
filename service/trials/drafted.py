"""Two answers dealt into one list: customers see products of both sides, and clicks say which is better."""

from datetime import UTC, datetime

from experiments.assignment import Entry
from experiments.interleaving import team_draft
from service.answering.own_list import Answer, Pick
from service.versions.served import ServedVersion


def drafted(
    served: ServedVersion,
    first: Answer,
    second: Answer,
    n: int,
    *,
    entry: Entry,
    customer_id: str,
    at_s: float,
) -> tuple[Answer, dict[int, str]]:
    """The list of both, and the side that each product counts for, by product row.

    Args:
        first, second: of two variants of one version. What both hold comes with what the side says of it that
            picked it; what rules pin may move.
        at_s: when it is shown: the coins are the same all day (UTC).
    """
    sides = {"A": _by_id(served, first), "B": _by_id(served, second)}
    day = datetime.fromtimestamp(at_s, UTC).date()
    dealt = team_draft(
        list(sides["A"]), list(sides["B"]), n, customer_id=customer_id, day=day, salt=entry.salt
    )
    picks = [sides[team][product_id] for product_id, team in dealt]
    own, pinned = first.own or second.own, {**second.pinned, **first.pinned}
    answer = Answer(picks, own, first.level, pinned, viewed=first.viewed or second.viewed)
    return answer, {pick[0]: team for pick, (_, team) in zip(picks, dealt, strict=True)}


def _by_id(served: ServedVersion, answer: Answer) -> dict[str, Pick]:
    return {served.products[pick[0]]: pick for pick in answer.picks}
