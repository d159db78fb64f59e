"""Before a version answers, it answers for nobody: the latest requests are replayed on it, so that the first
caller doesn't wait for pages, caches and code that nobody used yet."""

import time
from collections.abc import Callable, Iterable

from service.errors import RefusedError
from service.recommender import LATEST, Recommender
from service.versions.champion import Serving
from service.web.parameters import Query, parse_personal_query

LONGEST_S = 1.0  # a slow disk, or a Redis that hangs, must not keep a version from answering
PAUSE_S = 0.0005  # the version before goes on answering meanwhile, in another thread of this process
PLAIN = parse_personal_query(b"")


def warm_up(recommender: Recommender, serving: Serving, clock: Callable[[], float] = time.monotonic) -> int:
    """Answer the latest requests from a version that nobody uses yet.

    A worker that just started has none: then for customers of the version, evenly spaced. No list of who
    asked is kept on a disk for this.

    Args:
        clock: seconds.
    Returns:
        how many there were, or how many fitted into `LONGEST_S`.
    """
    until_s = clock() + LONGEST_S
    done = 0
    latest = list(recommender.latest)
    for customer_id, query in latest or _customers_of(serving):
        if clock() > until_s:
            break
        try:
            answer = recommender.recommend(serving.served, customer_id, query)
        except RefusedError:
            continue  # a category that this version doesn't have
        serving.writer.recommendations(customer_id, answer)
        done += 1
        if latest:
            time.sleep(PAUSE_S)
    return done


def _customers_of(serving: Serving) -> Iterable[tuple[str, Query]]:
    customers = serving.served.customers
    return ((customers[row], PLAIN) for row in range(0, len(customers), len(customers) // LATEST + 1))
