"""Why a product is shown: a code, a sentence that is true whenever it is read, and the figures behind it."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from math import isnan

RECENT_DAYS = 28  # the window of `popular/recent_buyers`, before the version's as_of
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason as it stands in an answer."""

    code: str
    text: str
    evidence: dict[str, str | int | float | None]


def due_again(times: int, interval_days: float, last_day: int) -> Reason:
    """Bought before.

    Args:
        times: distinct orders.
        interval_days: mean days between them, NaN for a single one.
        last_day: of the last one, in days since 1970-01-01.
    """
    iso, long = _day(last_day)
    known = not isnan(interval_days)
    evidence = {
        "times": times,
        "interval_days": round(interval_days, 1) if known else None,
        "last_purchased_on": iso,
    }
    if not known:
        return Reason("due_again", f"Bought before, on {long}", evidence)
    days = max(1, round(interval_days))
    every = "day" if days == 1 else f"{days} days"
    return Reason("due_again", f"Bought about every {every}, last on {long}", evidence)


def because_you_bought(product_id: str, title: str, last_day: int) -> Reason:
    """Goes with another product that the customer bought."""
    evidence: dict[str, str | int | float | None] = {
        "product_id": product_id,
        "last_purchased_on": _day(last_day)[0],
    }
    return Reason("because_you_bought", f"Because you bought {title}", evidence)


def similar(product_id: str, title: str) -> Reason:
    """Bought by the customers of another product."""
    return Reason("similar", f"Bought by customers who bought {title}", {"product_id": product_id})


def popular(recent_buyers: int, buyers: int) -> Reason:
    """Bought by many; by whom in the whole history where nobody did of late."""
    number, days = (recent_buyers, RECENT_DAYS) if recent_buyers else (buyers, None)
    who = "1 customer" if number == 1 else f"{number} customers"
    when = f" in the last {days} days" if days else ""
    return Reason("popular", f"Bought by {who}{when}", {"customers": number, "days": days})


@lru_cache(4096)
def _day(day: int) -> tuple[str, str]:
    when = EPOCH + timedelta(days=day)
    return when.isoformat(), f"{when.day} {when:%B %Y}"
