"""Two lists dealt into one, so that each customer compares them: which of them was clicked?

Team draft: in each round a coin says who picks first, then each side adds its best product that isn't there
yet. Everybody gets about as much of both, and neither has the better places on average. The coins are bits
of a hash: the same customer sees the same list all day, in every worker.

The day imports this file: it needs nothing but the standard library.

Source: Radlinski, Kurup, Joachims 2008.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from hashlib import sha256

FIRST, SECOND = "A", "B"
BITS = 256


def team_draft(
    first: Sequence[str], second: Sequence[str], n: int, *, customer_id: str, day: date, salt: str
) -> list[tuple[str, str]]:
    """Up to n products and the team that each counts for, FIRST or SECOND.

    Args:
        first, second: two lists for the customer, best first, without repetitions.
        salt: names the experiment and its version; holds no line break.
    Returns:
        fewer where both lists end before.
    """
    found: dict[str, str] = {}
    queues = {FIRST: iter(first), SECOND: iter(second)}
    for begins_first in _coins(customer_id, day, salt):
        before = len(found)
        for team in (FIRST, SECOND) if begins_first else (SECOND, FIRST):
            product = next((one for one in queues[team] if one not in found), None)
            if product is not None and len(found) < n:
                found[product] = team
        if len(found) in (before, n):
            break
    return list(found.items())


def _coins(customer_id: str, day: date, salt: str) -> Iterator[bool]:
    """As many as anybody asks for."""
    number = 0
    while True:
        said = f"{salt}\n{customer_id}\n{day.isoformat()}\n{number}".encode("utf-8", "surrogatepass")
        bits = int.from_bytes(sha256(said).digest())
        yield from (bool(bits >> place & 1) for place in range(BITS))
        number += 1
