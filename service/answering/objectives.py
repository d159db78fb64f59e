"""What an answer is for: the order of a list by worth, or by what is due; what the customer never had."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.arrays import NONE, FloatArray
from service.answering.packed import Columns
from service.live.session import FIRST_LINE, Session, own_evidence
from service.versions.served import UNKNOWN, ServedVersion
from service.web.parameters import OBJECTIVES
from storage.versions.evidence import ITSELF

PROBABILITY, VALUE, DISCOVERY, REORDER = OBJECTIVES


class Owned(NamedTuple):
    """A product that the customer bought before.

    Attributes:
        due_day: when to expect it again, days since 1970-01-01; 0 where that isn't known.
        evidence: as an own list has it.
    """

    product_row: int
    due_day: int
    evidence: int


def by_value(
    columns: Columns, worth: FloatArray, factors: FloatArray | None, costs: Mapping[int, float]
) -> Columns:
    """A list by probability times worth less the cost of the product's offer, the highest first; what has no
    such value keeps its order behind.

    Args:
        worth: of one sold unit, by product row, NaN where it isn't known.
        factors: by product row, of rules that boost and bury; a cost stays as it is.
        costs: that offers are expected to have, by product row.
    """
    rows = np.asarray(columns.rows)
    probability = np.asarray(columns.probability, np.float32)
    value = np.where(probability >= 0, probability * worth[rows], np.nan)
    if factors is not None:  # of a loss a boost leaves less
        value = np.where(value < 0, value / factors[rows], value * factors[rows])
    if costs:
        value = value - np.array([costs.get(row, 0.0) for row in rows.tolist()])
    return _at(columns, np.argsort(-value, kind="stable"))  # NaN is sorted last


def due_first(columns: Columns, owned: list[Owned], today: int) -> Columns:
    """What is due again, then the rest of what was bought before, then the list as it is.

    What is due stands in the order of the list, and behind that by the day it was due, the latest first: what
    has been due for years won't be bought again. What isn't due yet or at no known day stands by that day.
    """
    rows = columns.rows.tolist()
    place_of = {row: place for place, row in enumerate(rows)}
    far = len(rows)

    def order(one: Owned) -> tuple[bool, int, int, int]:
        if 0 < one.due_day <= today:
            return False, place_of.get(one.product_row, far), -one.due_day, one.product_row
        return True, 0, one.due_day or 2**31, one.product_row

    first = sorted(owned, key=order)
    of_owned = {one.product_row for one in first}
    rest = [place for place, row in enumerate(rows) if row not in of_owned]
    probability = [
        columns.probability[place_of[one.product_row]] if one.product_row in place_of else UNKNOWN
        for one in first
    ]
    head = _columns(
        np.array([one.product_row for one in first], np.int32),
        np.array([one.evidence for one in first], np.uint8),
        np.array(probability, np.float16),
    )
    return _joined(head, _at(columns, np.array(rest, np.intp)))


def owned_by(served: ServedVersion, customer_row: int, session: Session | None) -> list[Owned]:
    """All that a customer bought, before the night and since."""
    since = session.by_row if session else {}
    owned = []
    if customer_row != NONE:
        start, stop = served.history_of(customer_row)
        furthest = FIRST_LINE if session else ITSELF
        products, due_days = served.histories.product, served.histories.due_day
        for place in range(start, stop):
            if products[place] not in since:
                evidence = place - start if place - start < furthest else ITSELF
                owned.append(Owned(products[place], due_days[place], evidence))
    if session:
        lines = enumerate(session.bought)
        owned += [Owned(one.product_row, one.due_day, own_evidence(line)) for line, one in lines]
    return owned


def _at(columns: Columns, places: NDArray[np.intp]) -> Columns:
    return _columns(
        np.asarray(columns.rows)[places],
        np.asarray(columns.evidence)[places],
        np.asarray(columns.probability)[places],
    )


def _joined(one: Columns, other: Columns) -> Columns:
    parts = [np.concatenate([np.asarray(a), np.asarray(b)]) for a, b in zip(one, other, strict=True)]
    return _columns(*parts)


def _columns(rows: np.ndarray, evidence: np.ndarray, probability: np.ndarray) -> Columns:
    halves: memoryview[float] = memoryview(probability.astype(np.float16, copy=False))
    return Columns(memoryview(rows), memoryview(evidence), halves)
