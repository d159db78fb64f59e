"""Every reason that an answer can give is derived again from the shop's own files."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from inspect import getsource
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from service import reasons
from service.answers import AnswerWriter
from service.offers.desk import OfferDesk
from service.own_list import FirstLevel
from service.parameters import Query, parse_offers_query
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.served import ServedVersion
from tests.data.coupons import CAMPAIGN_DAYS, START, coupon_shop
from tests.data.nights import champion, quick_config, run

AS_OF = START + timedelta(days=149)
NOW = START + timedelta(days=CAMPAIGN_DAYS[-1], hours=1)
PIN = """schema = 1
[[rules]]
id = "the-pin"
kind = "pin"
products = ["p7"]
position = 1
placements = ["home"]
"""
EVERY = {*re.findall(r'"code": "(\w+)"', getsource(reasons)), "similar", "bought_with"}
type Reason = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """What the shop's files say: the days on which each customer bought each product."""

    days: Mapping[tuple[str, str], list[date]]

    @classmethod
    def of(cls, folder: Path) -> "Truth":
        days: dict[tuple[str, str], list[date]] = defaultdict(list)
        for customer, product, day in pl.read_csv(folder / "purchases.csv").iter_rows():
            bought_on = date.fromisoformat(day)
            if bought_on < AS_OF.date() and bought_on not in days[customer, product]:
                days[customer, product].append(bought_on)
        return cls({pair: sorted(found) for pair, found in days.items() if found})

    def buyers(self, product: str, since: date = date.min) -> set[str]:
        return {who for (who, what), days in self.days.items() if what == product and days[-1] >= since}

    def check(self, customer: str, product: str, reason: Reason, cart: str = "") -> None:
        """Fails where a reason for showing a product to a customer isn't true."""
        told, mine = reason["evidence"], self.days.get((customer, product), [])
        match reason["code"]:
            case "due_again":
                assert (told["times"], told["last_purchased_on"]) == (len(mine), mine[-1].isoformat())
                if len(mine) > 1:
                    interval = (mine[-1] - mine[0]).days / (len(mine) - 1)
                    assert told["interval_days"] == pytest.approx(interval, abs=0.11)
            case "because_you_bought":
                other = told["product_id"]
                assert not mine
                assert told["last_purchased_on"] == self.days[customer, other][-1].isoformat()
                assert self.buyers(product) & self.buyers(other)
            case "similar" | "bought_with":
                assert told["product_id"] == cart != product
                assert self.buyers(product) & self.buyers(cart)
            case "popular":
                last = AS_OF.date() - timedelta(days=1)
                since = date.min if told["days"] is None else AS_OF.date() - timedelta(days=told["days"])
                assert told["customers"] == len(self.buyers(product, since)) > 0
                assert date.fromisoformat(told["until"]) in (last, AS_OF.date())
            case "chosen_by_shop":
                assert (told, product) == ({"rule": "the-pin"}, "p7")
            case code:
                raise AssertionError(f"nothing is derived for {code}")

    def check_offer(self, customer: str, offer: Reason, *, redeemed_ever: bool) -> None:
        """The same of an offer for its products."""
        products = [one["product_id"] for one in offer["products"]]
        told, mine = offer["reason"]["evidence"], {one for who, one in self.days if who == customer}
        match offer["reason"]["code"]:
            case "bought_before":
                days = self.days[customer, told["product_id"]]
                assert told["product_id"] in products
                assert (told["times"], told["last_purchased_on"]) == (len(days), days[-1].isoformat())
            case "others_redeem":
                assert redeemed_ever
                assert not mine & set(products)
            case "for_everybody":
                assert not redeemed_ever
                assert not mine & set(products)
            case code:
                raise AssertionError(f"nothing is derived for {code}")


@pytest.fixture(scope="module", params=[True, False], ids=["redeemed", "never redeemed"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shop's files and what a night made of them, with redemptions and without any."""
    folder = tmp_path_factory.mktemp("shop")
    coupon_shop(folder)
    if not request.param:
        header = (folder / "redemptions.csv").read_text().splitlines()[0]
        (folder / "redemptions.csv").write_text(header + "\n")
    store, config = folder.parent / f"store-{request.param}", quick_config(folder.parent)
    where = ["--data", folder, "--store", store, "--config", config, "--as-of", f"{AS_OF:%Y-%m-%d}"]
    assert run("nightly", *where).code == 0
    version = champion(store)
    yield Truth.of(folder), ServedVersion(version, version.manifest.default_variant), request.param


def test_every_reason_is_true_of_every_customer(shop: tuple[Truth, ServedVersion, bool]) -> None:
    truth, served, redeemed_ever = shop
    book = RuleBook(parse_rules(PIN), NOW.timestamp)
    recommender = Recommender(FirstLevel(100, 1), None, book=book, clock=NOW.timestamp)
    desk, writer = OfferDesk(None, lambda _: None, book, NOW.timestamp), AnswerWriter(served)
    seen = set()

    def check(customer: str, body: str, cart: str = "") -> None:
        for item in json.loads(body)["recommendations"]:
            truth.check(customer, item["product_id"], item["reason"], cart)
            seen.add(item["reason"]["code"])

    for customer in (*(f"c{number}" for number in range(60)), "a stranger"):
        for query in (Query(10), Query(10, placement="home"), Query(10, objective="discovery")):
            check(customer, writer.recommendations(customer, recommender.recommend(served, customer, query)))
        check(customer, writer.reorder(customer, recommender.reorder(served, customer, Query(10))))
        for offer in json.loads(desk.body(served, customer, parse_offers_query(b"n=50")))["offers"]:
            truth.check_offer(customer, offer, redeemed_ever=redeemed_ever)
            seen.add(offer["reason"]["code"])
    for row, product in enumerate(served.products[row] for row in range(len(served.products))):
        check("", writer.similar(row, recommender.similar(served, row, Query(3))), product)
        cart = Query(3, exclude=(product,))
        check("", writer.complements([row], recommender.complements(served, [row], None, cart)), product)
    assert seen == EVERY - {"for_everybody" if redeemed_ever else "others_redeem"}
