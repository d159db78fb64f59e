"""Reasons are true whenever they are read, and their figures stand beside them."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest

from service.answering.reasons import Reasons

reasons = Reasons()
DAY = (date(2017, 12, 28) - date(1970, 1, 1)).days


def read(text: str) -> Any:
    return json.loads(text)


def test_a_product_bought_in_several_orders_says_how_often_and_when_last() -> None:
    assert read(reasons.due_again(5, 6.1, DAY, DAY + 7)) == {
        "code": "due_again",
        "text": "Bought about every 6 days, last on 28 December 2017",
        "due_on": "2018-01-04",
        "evidence": {"times": 5, "interval_days": 6.1, "last_purchased_on": "2017-12-28"},
    }


@pytest.mark.parametrize("interval_days", [0.6, 1.0, 1.4])
def test_an_interval_of_about_a_day_is_every_day(interval_days: float) -> None:
    assert read(reasons.due_again(2, interval_days, DAY, 0))["text"].startswith(
        "Bought about every day, last on"
    )


@pytest.mark.parametrize(("after", "text"), [(20, "20 days"), (1, "a day")])
def test_a_single_order_says_when_such_products_are_bought_again(after: int, text: str) -> None:
    assert read(reasons.due_again(1, float("nan"), DAY, DAY + after)) == {
        "code": "due_again",
        "text": f"Bought on 28 December 2017; such products are bought again after about {text}",
        "due_on": "2018-01-17" if after == 20 else "2017-12-29",
        "evidence": {
            "times": 1,
            "interval_days": None,
            "typical_interval_days": after,
            "last_purchased_on": "2017-12-28",
        },
    }


def test_a_product_due_on_the_day_of_its_only_order_names_no_interval() -> None:
    reason = read(reasons.due_again(1, float("nan"), DAY, DAY))
    assert (reason["text"], reason["due_on"]) == ("Bought before, on 28 December 2017", "2017-12-28")


def test_a_single_order_promises_no_interval_where_none_is_known() -> None:
    assert read(reasons.due_again(1, float("nan"), DAY, 0)) == {
        "code": "bought_before",
        "text": "Bought before, on 28 December 2017",
        "evidence": {"times": 1, "interval_days": None, "last_purchased_on": "2017-12-28"},
    }


def test_another_product_is_named_as_the_shop_wrote_it() -> None:
    reason = read(reasons.because_you_bought("17", 'Mug "Best"\n') + reasons.bought_on(0))
    assert reason == {
        "code": "because_you_bought",
        "text": 'Because you bought Mug "Best"\n',
        "evidence": {"product_id": "17", "last_purchased_on": "1970-01-01"},
    }


def test_what_was_bought_twice_within_a_day_has_no_interval_to_speak_of() -> None:
    assert (
        read(reasons.due_again(2, 0.1, 17_500, 0))["text"] == "Bought in 2 orders, last on 30 November 2017"
    )


@pytest.mark.parametrize(
    ("recent", "ever", "text", "days"),
    [
        (412, 500, "Bought by 412 customers in the 28 days to 30 November 2017", 28),
        (1, 1, "Bought by 1 customer in the 28 days to 30 November 2017", 28),
        (0, 9, "Bought by 9 customers", None),
    ],
)
def test_popular_counts_customers_and_names_its_window(
    recent: int, ever: int, text: str, days: int | None
) -> None:
    reason = read(reasons.popular(recent, ever, 28, 17_500))
    evidence = {"customers": recent or ever, "days": days, "until": "2017-11-30"}
    assert (reason["text"], reason["evidence"]) == (text, evidence)


@pytest.mark.parametrize(
    ("recent", "text"),
    [
        (412, 'Popular in Milk & "More": bought by 412 customers in the 28 days to 30 November 2017'),
        (1, 'Popular in Milk & "More": bought by 1 customer in the 28 days to 30 November 2017'),
    ],
)
def test_popular_in_names_the_category_and_counts_its_customers(recent: int, text: str) -> None:
    assert read(reasons.popular_in('Milk & "More"', recent, 28, 17_500)) == {
        "code": "popular_in",
        "text": text,
        "evidence": {"category": 'Milk & "More"', "customers": recent, "days": 28, "until": "2017-11-30"},
    }


@pytest.mark.parametrize(
    ("buyers", "text", "first_bought_on"),
    [
        (7, "New: first bought on 20 November 2017", "2017-11-20"),
        (0, "Nobody had bought it by 30 November 2017", None),
    ],
)
def test_what_is_new_says_since_when(buyers: int, text: str, first_bought_on: str | None) -> None:
    assert read(reasons.new_in(buyers, 17_490 if buyers else 0, 28, 17_500)) == {
        "code": "new_in",
        "text": text,
        "evidence": {
            "customers": buyers,
            "days": 28 if buyers else None,
            "first_bought_on": first_bought_on,
            "until": "2017-11-30",
        },
    }


@pytest.mark.parametrize(
    ("ends_at", "last_day", "text"),
    [
        (datetime(2017, 12, 1, tzinfo=UTC), 17_500, "On offer until 30 November 2017"),
        (None, None, "On offer"),
    ],
)
def test_an_offer_names_the_last_day_on_which_it_is_on(
    ends_at: datetime | None, last_day: int | None, text: str
) -> None:
    assert read(reasons.on_offer("winter-7", ends_at, last_day)) == {
        "code": "on_offer",
        "text": text,
        "evidence": {"offer_id": "winter-7", "ends_at": ends_at and "2017-12-01T00:00:00+00:00"},
    }


def test_what_was_bought_before_is_due_again_only_where_it_is_known_when() -> None:
    for times, interval_days in ((1, float("nan")), (5, 6.1)):
        assert read(reasons.due_again(times, interval_days, DAY, DAY + 7))["code"] == "due_again"
        reason = read(reasons.due_again(times, interval_days, DAY, 0))
        assert (reason["code"], "due_on" in reason) == ("bought_before", False)
