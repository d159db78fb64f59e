"""Of purchases that come late only those count that the night didn't have, by their order or their day."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.arrays import NONE
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.session import session_of
from service.live.told import Told, told_of
from service.recommender import Recommender
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.live import Trade
from storage.versions.store import Store
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import VARIANT, TinyShop, write_version

SHOP = TinyShop(product_interval={"milk": 5.0})
MORNING = datetime(2018, 1, 2, 8, tzinfo=UTC)


@pytest.fixture
def tiny(tmp_path: Path) -> ServedVersion:
    return tiny_served(tmp_path, SHOP)


def trades(*products: str) -> list[Trade]:
    return [Trade(product, False, int(MORNING.timestamp() * 1000), "o1", 1.0) for product in products]


def bought(*products: str, erased: int = 0) -> Told:
    return told_of(1, trades(*products), erased)


def test_an_order_that_the_night_had_is_no_new_one_whatever_time_it_is_said_to_have(tmp_path: Path) -> None:
    shop = replace(SHOP, orders=[("anna", "o1", "milk"), ("ben", "o1", "bread")])
    served = tiny_served(tmp_path, shop)
    anna, now_s = served.customers.find("anna"), MORNING.timestamp()
    assert session_of(served, anna, bought("milk"), now_s) is None
    both = session_of(served, anna, bought("milk", "bread"), now_s)  # the same order, a line that it hasn't
    assert both is not None
    assert [served.products[one.product_row] for one in both.bought] == ["bread"]
    an_hour_ago = int((MORNING.timestamp() - 3600) * 1000)
    trade = [Trade("milk", False, an_hour_ago, "o2", 1.0), *trades("milk")]
    new = session_of(served, anna, told_of(1, trade), now_s)
    assert new is not None
    assert new.bought[0].times == 1  # o2 alone
    the_day_before = int((MORNING.timestamp() - 86_400) * 1000)
    trade = [Trade("milk", False, the_day_before, "o2", 1.0), Trade("bread", False, an_hour_ago, "o3", 1.0)]
    new = session_of(served, anna, told_of(1, [*trade, *trades("milk")]), now_s)
    assert new is not None
    assert [served.products[one.product_row] for one in new.bought] == ["bread", "milk"]  # the latest first
    # after an erasure the night is no word on the customer
    assert session_of(served, NONE, bought("milk", erased=1), now_s) is not None


def milk_at(*moments: datetime, orders: str | None = None) -> Told:
    """Milk, each time in the order of that letter, or without any."""
    ids = [None] * len(moments) if orders is None else list(orders)
    trade = [
        Trade("milk", False, int(at.timestamp() * 1000), order, 1.0)
        for at, order in zip(moments, ids, strict=True)
    ]
    return told_of(1, trade)


def why_milk(served: ServedVersion, told: Told) -> tuple[str, Any]:
    recommender = Recommender(FirstLevel(10, 0), None, lambda _: told, clock=MORNING.timestamp)
    answer = recommender.recommend(served, "anna", Query(n=12))
    body = json.loads(AnswerWriter(served).recommendations("anna", answer))
    said = {one["product_id"]: one["reason"] for one in body["recommendations"]}
    return answer.source, said["milk"]


@pytest.mark.parametrize("day", [20, 28])
@pytest.mark.parametrize("orders", [None, "a"])
def test_a_late_event_of_what_the_night_knows_changes_nothing(
    tiny: ServedVersion, day: int, orders: str | None
) -> None:
    source, reason = why_milk(tiny, milk_at(datetime(2017, 12, day, 9, tzinfo=UTC), orders=orders))
    assert source == "personal"
    assert (reason["evidence"]["times"], reason["evidence"]["last_purchased_on"]) == (5, "2017-12-28")
    assert reason["due_on"] == "2018-01-03"


def test_a_late_event_beside_a_new_one_counts_only_the_new_one(tiny: ServedVersion) -> None:
    told = milk_at(datetime(2017, 12, 28, 9, tzinfo=UTC), MORNING, orders="ab")
    source, reason = why_milk(tiny, told)
    assert source == "session"
    assert (reason["evidence"]["times"], reason["evidence"]["last_purchased_on"]) == (6, "2018-01-02")


def test_another_order_later_on_the_day_of_the_night_is_new_and_the_same_day_without_ids_is_not(
    tmp_path: Path,
) -> None:
    store, noon = Store(tmp_path), datetime(2017, 12, 28, 12, tzinfo=UTC)
    served = ServedVersion(store.open(write_version(store, SHOP, now=noon, as_of=noon)), VARIANT)
    later = noon.replace(hour=15)
    assert why_milk(served, milk_at(later, orders="b"))[1]["evidence"]["times"] == 6
    assert why_milk(served, milk_at(later))[1]["evidence"]["times"] == 5


def test_without_order_ids_a_local_day_is_an_order(tmp_path: Path) -> None:
    shop = replace(SHOP, timezone="America/New_York")
    served = tiny_served(tmp_path, shop)
    evening, night = datetime(2018, 1, 2, 23, tzinfo=UTC), datetime(2018, 1, 3, 3, tzinfo=UTC)
    assert why_milk(served, milk_at(evening, evening, night))[1]["evidence"]["times"] == 6
    assert why_milk(served, milk_at(evening, evening.replace(day=4)))[1]["evidence"]["times"] == 7
    assert why_milk(served, milk_at(evening, evening, night, orders="abb"))[1]["evidence"]["times"] == 7
