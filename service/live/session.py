"""What a customer bought since the night, on one version: what isn't due yet, a list with what is new."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import ceil
from typing import NamedTuple

import numpy as np

from models.arrays import NONE, IntArray
from models.session import Recent
from models.strangers import SIMILAR, goes_with
from service.answering.packed import Columns
from service.live.told import Line, Told
from service.versions.served import EPOCH, UNKNOWN, ServedVersion
from storage.versions.evidence import ITSELF, NO_EVIDENCE

FIRST_LINE = 200
"""In a list with something new, evidence from here on is a line of the session; a place in the history is
below, since the night explains other products by the latest 200 purchases only."""
MOST_ANCHORS = 50
"""Lines of the session that may explain another product, the latest."""

MOST = 200  # products of a list
KEPT_SESSIONS = 2000

assert FIRST_LINE + MOST_ANCHORS <= ITSELF


class Bought(NamedTuple):
    """A product that was bought since the night.

    Attributes:
        day: of the last purchase, the shop's local date, in days since 1970-01-01.
        times: distinct orders that the night doesn't know, at least one.
        due_day: when to expect it again, in the same; 0 if nobody ever buys such products again.
        place: in `ServedVersion.histories`, NONE if the night doesn't know the customer with it.
    """

    product_row: int
    day: int
    times: int
    due_day: int
    place: int


@dataclass(frozen=True, eq=False)
class Session:
    """A customer's purchases since the night.

    Attributes:
        customer_row: NONE of a customer without a history that counts.
        bought: the latest first.
        by_row: the same by product row.
        held: products that nobody buys twice; of somebody whom the night didn't see also those that are not
            due yet, the one that is due first ahead.
        today: the shop's local date, in days since 1970-01-01.
    """

    served: ServedVersion
    customer_row: int
    bought: tuple[Bought, ...]
    by_row: dict[int, Bought]
    held: tuple[int, ...]
    today: int

    @cached_property
    def columns(self) -> Columns:
        """The customer's list, made once: rules that move products ask for the whole of it again and again,
        of which Redis has the beginning."""
        return assembled(self)


class Sessions:
    """The sessions that a worker used lately: a visit asks for the same one again and again."""

    def __init__(self) -> None:
        self._served: ServedVersion | None = None
        self._kept: dict[str, tuple[ServedVersion, Told, int, Session | None]] = {}

    def of(
        self, served: ServedVersion, customer_id: str, customer_row: int, told: Told, now_s: float
    ) -> Session | None:
        """As `session_of`; the same object as long as nothing changed."""
        if served is not self._served:
            self._served, self._kept = served, {}  # a session holds the files of its version open
        mine = self._kept  # another thread may begin with another version meanwhile
        today = day_of(served, now_s)
        kept = mine.get(customer_id)
        if kept is not None and kept[0] is served and kept[1] is told and kept[2] == today:
            return kept[3]
        session = session_of(served, customer_row, told, now_s)
        if len(mine) >= KEPT_SESSIONS:
            mine.clear()
        mine[customer_id] = served, told, today, session
        return session


def session_of(served: ServedVersion, customer_row: int, told: Told, now_s: float) -> Session | None:
    """The session on a version; None if it has none of the products, or nothing of it is new to the night."""
    lines: dict[int, list[Line]] = {}  # of one product several, where it was replaced and both ids are told
    for line in told.lines:
        lines.setdefault(served.product_row(line.product_id), []).append(line)
    lines.pop(NONE, None)
    each = (_bought(served, customer_row, row, of_product) for row, of_product in lines.items())
    found = [one for one in each if one is not None]
    if not found:
        return None
    found.sort(key=lambda one: -one.day)  # lines come by their last order, which the night may have had
    today = day_of(served, now_s)
    waiting = [one for one in found if one.due_day == 0 or (customer_row == NONE and one.due_day > today)]
    waiting.sort(key=lambda one: (one.due_day == 0, one.due_day, one.product_row))
    return Session(
        served,
        customer_row,
        tuple(found),
        {one.product_row: one for one in found},
        tuple(one.product_row for one in waiting),
        today,
    )


def own_evidence(line: int) -> int:
    """What explains a product that was bought since the night by itself, from its place among those."""
    return FIRST_LINE + line if line < MOST_ANCHORS else ITSELF


def day_of(served: ServedVersion, at_s: float) -> int:
    """The shop's local date at a moment, in days since 1970-01-01."""
    return (datetime.fromtimestamp(at_s, UTC).astimezone(served.zone).date() - EPOCH).days


def _bought(served: ServedVersion, customer_row: int, row: int, lines: list[Line]) -> Bought | None:
    """A product that was bought; None if the version knows all that is told of it."""
    place = NONE if customer_row == NONE else served.find_place(customer_row, row)
    new_days = _days_of_new_orders(served, customer_row, row, lines, place)
    if not new_days:
        return None
    times, day, interval = len(new_days), max(new_days), _interval_days(served, row, place)
    return Bought(row, day, times, day + max(1, ceil(interval)) if interval >= 0 else 0, place)


def _days_of_new_orders(
    served: ServedVersion, customer_row: int, row: int, lines: list[Line], place: int
) -> list[int]:
    """On which day each order was that the night doesn't know: an event that comes late may tell of one that
    it does.

    It knows what was bought up to the last day of the product in the customer's history; an order with an id
    only if it was before `as_of`, since a day may have several, or if the night had this line of it, whatever
    time it is said to have been.

    Args:
        place: as in `Bought`.
    """
    last_day = NONE if place == NONE else served.histories.last_day[place]
    customer_id = "" if customer_row == NONE else served.customers[customer_row]
    new: dict[str, int] = {}
    for line in lines:
        for at_ms, order_id in zip(line.orders_ms, line.order_ids, strict=True):
            day = day_of(served, at_ms / 1000)
            is_known = at_ms < served.since.as_of_ms and day <= last_day
            if not is_known and not (customer_id and served.has_order(customer_id, order_id, row)):
                new[order_id] = day
    # As for the night, what was bought on one day without an id is one order.
    days = {day_of(served, at_ms / 1000) for line in lines for at_ms in line.loose_ms}
    return [*new.values(), *(day for day in days if day > last_day)]


def _interval_days(served: ServedVersion, row: int, place: int) -> float:
    """The customer's own interval if it is known, else what is usual for the product; NaN if nothing is."""
    if place != NONE:
        due_day, last_day = served.histories.due_day[place], served.histories.last_day[place]
        if due_day > last_day:
            return due_day - last_day
        if served.histories.interval_days[place] >= 0:
            return served.histories.interval_days[place]
    return served.product_interval[row]


def assembled(session: Session) -> Columns:
    """The customer's list with what is new: the night's, in which what was bought and its like step back, and
    what orders soon after another are for steps up, and what goes with the purchases; for somebody whom the
    night didn't see what `ServedVersion.proposed_to_stranger` says. What is held isn't in it.

    Every source proposes products in an order, and a product counts by its places. Ties go to the lower
    product row.
    """
    served = session.served
    night = served.candidates(session.customer_row) if session.customer_row != NONE else None
    bought = [one.product_row for one in session.bought]
    similar, anchors = goes_with(
        served.similar_product, served.similar_score, np.array(bought[:MOST_ANCHORS])
    )
    if night is None:
        times = [one.times for one in session.bought]
        products, scores = served.proposed_to_stranger(similar, bought, times)
    else:
        recent = [
            Recent(one.product_row, session.today - one.day, one.due_day - one.day) for one in session.bought
        ]
        products, scores = served.moves.moved(
            np.asarray(night.rows), similar[:SIMILAR], recent, served.session
        )
    best = products[np.lexsort((products, -scores))]
    rows = best[~np.isin(best, session.held)][:MOST]
    return _explained(session, rows, night, dict(zip(similar.tolist(), anchors.tolist(), strict=True)))


def _explained(session: Session, rows: IntArray, night: Columns | None, anchors: dict[int, int]) -> Columns:
    """A list with its evidence: the product's own purchase, else the night's word, else a purchase since."""
    known: dict[int, tuple[int, float]] = {}
    if night is not None:
        known = {row: (evidence, probability) for row, evidence, probability in night.entries()}
    line_of = {one.product_row: line for line, one in enumerate(session.bought)}
    evidence = np.full(len(rows), NO_EVIDENCE, np.uint8)
    probability = np.full(len(rows), UNKNOWN, np.float16)
    for place, row in enumerate(rows.tolist()):
        why, probability[place] = known.get(row, (NO_EVIDENCE, UNKNOWN))
        if row in line_of:
            why, probability[place] = own_evidence(line_of[row]), UNKNOWN  # the night counted on no purchase
        elif why == NO_EVIDENCE and row in anchors:
            why = FIRST_LINE + anchors[row]
        elif FIRST_LINE <= why < ITSELF:
            why = ITSELF  # only what was bought itself has a place so far back
        evidence[place] = why
    halves: memoryview[float] = memoryview(probability)
    return Columns(memoryview(rows.astype(np.int32)), memoryview(evidence), halves)
