"""The list of somebody whom the night didn't see, after a first purchase, by hand on the tiny shop."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.arrays import NONE
from models.errors import DamagedVersionError
from models.strangers import Counts
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.live.session import session_of
from service.live.told import told_of
from service.recommender import Recommender
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.record.live import Trade
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyShop

SHOP = TinyShop(category_interval={"bakery": 2.0})
MORNING = datetime(2018, 1, 2, 8, tzinfo=UTC)


def after_bread(served: ServedVersion, n: int) -> Any:
    """What a stranger who just bought bread is answered."""
    told = told_of(1, [Trade("bread", False, int(MORNING.timestamp() * 1000), "o1", 1.0)])
    recommender = Recommender(FirstLevel(10, 0), None, lambda _: told, clock=MORNING.timestamp)
    answer = recommender.recommend(served, "nobody", Query(n=n))
    return json.loads(AnswerWriter(served).recommendations("nobody", answer))


def shown(said: Any) -> list[str]:
    return [one["product_id"] for one in said["recommendations"]]


def test_a_customer_never_seen_gets_a_personal_list_from_the_first_purchase(tmp_path: Path) -> None:
    said = after_bread(tiny_served(tmp_path, SHOP), n=5)
    # similar: butter .5/2, cheese .5/3, rolls .5/4; the trend: rolls .25/3, cake .25/4; bread waits
    assert shown(said) == ["butter", "rolls", "cheese", "cake", "milk"]
    assert said["source"] == "session"
    codes = [one["reason"]["code"] for one in said["recommendations"]]
    assert codes == ["because_you_bought"] * 3 + ["popular", "popular_in"]


def test_what_each_source_counts_for_a_stranger_is_the_version_s_word(tmp_path: Path) -> None:
    alike = {"bread": ["plum", "pear", "bread"]}
    told = {
        # plum 1/2, pear 1/3 and, of the trend and the similar ones, nothing
        Counts(similar=0, alike=1, taste=0, trend=0, popular=0): ["plum", "pear", "milk"],
        # butter .5/2, cheese .5/3, rolls .5/4; plum .2/2, pear .2/3
        Counts(similar=0.5, alike=0.2, taste=0, trend=0, popular=0): [
            *("butter", "cheese", "rolls", "plum", "pear")
        ],
        # butter .5/2 + .1/6, cheese .5/3, rolls .5/4 + .1/7, milk .1/2
        Counts(similar=0.5, alike=0, taste=0, trend=0, popular=0.1): ["butter", "cheese", "rolls", "milk"],
        None: ["butter", "rolls", "cheese", "cake"],  # of an earlier checkout's night, as it was
    }
    for number, (counts, wanted) in enumerate(told.items()):
        served = tiny_served(tmp_path / str(number), replace(SHOP, alike=alike, counts=counts))
        assert shown(after_bread(served, n=len(wanted))) == wanted


def test_of_a_stranger_s_purchases_the_one_that_is_due_first_is_ahead(tmp_path: Path) -> None:
    served = tiny_served(tmp_path, replace(SHOP, product_interval={"milk": 5.0, "plum": 2.0}))
    told = told_of(
        1,
        [
            Trade(name, False, int(MORNING.timestamp() * 1000), "o1", 1.0)
            for name in ("pear", "milk", "apple", "plum")
        ],
    )
    found = session_of(served, NONE, told, MORNING.timestamp())
    assert found is not None
    assert {served.products[row] for row in found.held[2:]} == {"pear", "apple"}  # never, in order of the row
    assert [*found.held[2:]] == sorted(found.held[2:])
    assert [served.products[row] for row in found.held[:2]] == ["plum", "milk"]


def test_counts_that_can_t_be_are_refused(tmp_path: Path) -> None:
    for number, wrong in enumerate((-1.0, float("nan"), float("inf"))):
        with pytest.raises(DamagedVersionError, match="session/stranger_counts"):
            tiny_served(tmp_path / str(number), replace(SHOP, counts=Counts(taste=wrong)))
