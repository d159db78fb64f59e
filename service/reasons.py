"""Why a product is shown, as JSON: a code, a sentence true whenever it is read, and the figures behind it.

Written by hand where a customer's own figures stand in it: that text can't be kept, and an encoder would
cost half of an answer. Whatever a shop wrote goes through the encoder.
"""

import json
from datetime import date, timedelta
from functools import lru_cache

EPOCH = date(1970, 1, 1)


def due_again(times: int, interval_days: float, last_day: int, due_day: int) -> str:
    """Bought before. `due_on` is there where it is known.

    Args:
        times: distinct orders.
        interval_days: mean days between them, NaN for a single one.
        last_day: of the last one, in days since 1970-01-01.
        due_day: on which it is to be expected again, in the same; 0 where that isn't known. For a single
            order it is the interval at which others buy such products.
    """
    iso, long = _day(last_day)
    if interval_days >= 0:  # not NaN
        often, interval = _often(times, interval_days)
        text = f"Bought {often}, last on {long}"
    elif due_day > last_day:
        text = f"Bought on {long}; such products are bought again after about {_after(due_day - last_day)}"
        interval = f'null, "typical_interval_days": {due_day - last_day}'
    else:
        text, interval = f"Bought before, on {long}", "null"
    return (
        f'{{"code": "due_again", "text": "{text}"{_due_on(due_day)}, "evidence": '
        f'{{"times": {times}, "interval_days": {interval}, "last_purchased_on": "{iso}"}}}}'
    )


def because_you_bought(product_id: str, title: str) -> str:
    """Goes with another product that the customer bought; `bought_on` ends it."""
    return (
        f'{{"code": "because_you_bought", "text": {json.dumps(f"Because you bought {title}")}, "evidence": '
        f'{{"product_id": {json.dumps(product_id)}, "last_purchased_on": '
    )


def bought_on(last_day: int) -> str:
    """The end of `because_you_bought`: the day of the last purchase, in days since 1970-01-01."""
    return f'"{_day(last_day)[0]}"}}}}'


def similar(product_id: str, title: str, code: str = "similar") -> str:
    """Bought by the customers of another product; `bought_with` where that lies in the cart."""
    text = f"Bought by customers who bought {title}"
    return json.dumps({"code": code, "text": text, "evidence": {"product_id": product_id}})


def bought_before(product_id: str, title: str, times: int, last_day: int) -> str:
    """Of an offer: the customer bought one of its products, in so many orders, on this day last."""
    iso, long = _day(last_day)
    often = "once" if times == 1 else f"{times} times"
    evidence = {"product_id": product_id, "times": times, "last_purchased_on": iso}
    text = f"You bought {title} {often}, last on {long}"
    return json.dumps({"code": "bought_before", "text": text, "evidence": evidence})


def others_redeem() -> str:
    """Of an offer: customers like this one redeem such offers."""
    text = "Customers who buy like you use such offers"
    return json.dumps({"code": "others_redeem", "text": text, "evidence": {}})


def for_everybody() -> str:
    """Of an offer of a shop where nobody redeemed anything yet."""
    return json.dumps({"code": "for_everybody", "text": "An offer for everybody", "evidence": {}})


@lru_cache(1024)
def chosen_by_shop(rule_id: str) -> str:
    """Pinned to its place by a rule."""
    return json.dumps({"code": "chosen_by_shop", "text": "Chosen by the shop", "evidence": {"rule": rule_id}})


def popular(recent_buyers: int, buyers: int, recent_days: int, last_day: int) -> str:
    """Bought by many, of late or else ever; what is new in the shop by nobody.

    Args:
        recent_buyers: distinct customers within the last `recent_days` of the history.
        buyers: distinct customers in the whole history.
        recent_days: length of that window.
        last_day: of the history, in days since 1970-01-01.
    """
    number, days = (recent_buyers, recent_days) if recent_buyers else (buyers, None)
    iso, long = _day(last_day)
    who = "1 customer" if number == 1 else f"{number} customers"
    text = f"Bought by {who}" + (f" in the {days} days to {long}" if days else "")
    text = text if number else "Nobody bought it yet"
    evidence = {"customers": number, "days": days, "until": iso}
    return json.dumps({"code": "popular", "text": text, "evidence": evidence})


@lru_cache(16_384)
def _often(times: int, interval_days: float) -> tuple[str, str]:
    """How often in words, and the interval as a number."""
    days = round(interval_days)
    words = ("about every day" if days == 1 else f"about every {days} days") if days else f"in {times} orders"
    return words, f"{interval_days:.1f}"


def _after(days: int) -> str:
    return f"{days} days" if days > 1 else "a day"


@lru_cache(4096)
def _due_on(day: int) -> str:
    return f', "due_on": "{_day(day)[0]}"' if day else ""


@lru_cache(4096)
def _day(day: int) -> tuple[str, str]:
    when = EPOCH + timedelta(days=day)
    return when.isoformat(), f"{when.day} {when:%B %Y}"
