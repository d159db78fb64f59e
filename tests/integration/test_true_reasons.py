"""Every reason that an answer can give is derived again from the shop's own files."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from inspect import getsource
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from service.answering import reasons
from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_offers_query
from tests.data.coupons import CAMPAIGN_DAYS, START, coupon_shop, day
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
EVERY = {*re.findall(r'"code": "(\w+)"', getsource(reasons)), "similar", "bought_with", "due_again"}
FIRST_PLACES, NEW_DAYS = 10, 28  # as docs/api.md has it
# A product bought for the first time of late, one that nobody bought, and one that few bought long ago and
# that is on offer for everybody; a budget is promised by the record, which isn't there.
MORE = {
    "products": ["fresh,drinks,b0,3,", "unsold,drinks,b0,3,", "slow,drinks,b0,3,"],
    "purchases": [
        *(f"c{n},fresh,{day(140 + n)}" for n in range(5)),
        *(f"c{n},slow,{day(20 + n)}" for n in (7, 11)),
    ],
    "offers": [f"for-all,slow;fresh;unsold;p0,0.1,{day(0)},{day(200)},,"],
}
type Reason = dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """What the shop's files say.

    Attributes:
        days: on which each customer bought each product.
        category, brand: by product.
        offers: the products of each, and when it ends.
        is_due_known: the night learned when products are due again.
    """

    days: Mapping[tuple[str, str], list[date]]
    category: Mapping[str, str]
    brand: Mapping[str, str]
    offers: Mapping[str, tuple[list[str], datetime]]
    is_due_known: bool

    @classmethod
    def of(cls, folder: Path, *, is_due_known: bool) -> "Truth":
        days: dict[tuple[str, str], list[date]] = defaultdict(list)
        for customer, product, written in pl.read_csv(folder / "purchases.csv").iter_rows():
            bought_on = date.fromisoformat(written)
            if bought_on < AS_OF.date() and bought_on not in days[customer, product]:
                days[customer, product].append(bought_on)
        lines = pl.read_csv(folder / "offers.csv").iter_rows(named=True)
        offers = {
            one["offer_id"]: (
                one["product_ids"].split(";"),
                datetime.fromisoformat(one["ends_at"]).replace(tzinfo=UTC) + timedelta(days=1),
            )
            for one in lines
        }
        products = pl.read_csv(folder / "products.csv")
        category, brand = (
            dict(zip(products["product_id"], products[column], strict=True))
            for column in ("category", "brand")
        )
        days = {pair: sorted(found) for pair, found in days.items() if found}
        return cls(days, category, brand, offers, is_due_known)

    def buyers(self, product: str, since: date = date.min) -> set[str]:
        return {who for (who, what), days in self.days.items() if what == product and days[-1] >= since}

    def first_day(self, product: str) -> date | None:
        return min((days[0] for (_, what), days in self.days.items() if what == product), default=None)

    def is_new(self, product: str) -> bool:
        first = self.first_day(product)
        return first is None or first >= AS_OF.date() - timedelta(days=NEW_DAYS)

    def is_popular_in_category(self, product: str) -> bool:
        since = AS_OF.date() - timedelta(days=NEW_DAYS)
        beside = [one for one, category in self.category.items() if category == self.category[product]]
        counts = [count for one in beside if (count := len(self.buyers(one, since)))]
        mine = len(self.buyers(product, since))
        place = sum(count >= mine for count in counts)
        return mine > 0 and place <= min(FIRST_PLACES, (len(counts) + 1) // 2)

    def check(
        self, customer: str, product: str, reason: Reason, cart: str = "", offer: Reason | None = None
    ) -> None:
        """Fails where a reason for showing a product to a customer isn't true."""
        told, mine = reason["evidence"], self.days.get((customer, product), [])
        match reason["code"]:
            case "due_again" | "bought_before" as code:
                assert (code == "due_again") == ("due_on" in reason) == self.is_due_known
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
            case "alike":
                assert told["product_id"] == cart != product
                assert self.brand[product] == self.brand[cart]  # all have the same category and no title
            case "popular_in":
                since = AS_OF.date() - timedelta(days=told["days"])
                assert (told["category"], told["days"]) == (self.category[product], NEW_DAYS)
                assert told["customers"] == len(self.buyers(product, since))
                assert self.is_popular_in_category(product)
                assert not self.is_new(product)
            case "new_in":
                first = self.first_day(product)
                assert self.is_new(product)
                assert told["first_bought_on"] == (first and first.isoformat())
                assert (told["customers"], told["days"]) == (
                    len(self.buyers(product)),
                    NEW_DAYS if first else None,
                )
            case "on_offer":
                assert offer is not None
                products, ends_at = self.offers[told["offer_id"]]
                assert told == {"offer_id": offer["offer_id"], "ends_at": ends_at.isoformat()}
                assert product in products
                assert ends_at > NOW
                assert not (mine or self.is_new(product) or self.is_popular_in_category(product))
            case "popular":
                assert not (mine or offer or self.is_new(product) or self.is_popular_in_category(product))
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
            case "others_redeem":  # of a stranger nobody can say who buys like them
                assert redeemed_ever
                assert mine
                assert not mine & set(products)
            case "for_everybody":
                assert not (redeemed_ever and mine)
                assert not mine & set(products)
            case code:
                raise AssertionError(f"nothing is derived for {code}")


@pytest.fixture(scope="module", params=[True, False], ids=["redeemed", "never redeemed"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A shop's files and what a night made of them, with redemptions and without any."""
    folder = tmp_path_factory.mktemp("shop")
    coupon_shop(folder)
    for name, lines in MORE.items():
        with (folder / f"{name}.csv").open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
    if not request.param:
        header = (folder / "redemptions.csv").read_text().splitlines()[0]
        (folder / "redemptions.csv").write_text(header + "\n")
    store, config = folder.parent / f"store-{request.param}", quick_config(folder.parent)
    if request.param:  # the other night doesn't know when anything is due again
        config.write_text(config.read_text().replace('"repeat"]', '"repeat", "due"]'))
    where = ["--data", folder, "--store", store, "--config", config, "--as-of", f"{AS_OF:%Y-%m-%d}"]
    assert run("nightly", *where).code == 0
    version = champion(store)
    truth = Truth.of(folder, is_due_known=request.param)
    yield truth, ServedVersion(version, version.manifest.default_variant), request.param


def test_every_reason_is_true_of_every_customer(shop: tuple[Truth, ServedVersion, bool]) -> None:
    truth, served, redeemed_ever = shop
    book = RuleBook(parse_rules(PIN), NOW.timestamp)
    recommender = Recommender(FirstLevel(100, 1), None, book=book, clock=NOW.timestamp)
    desk, writer = OfferDesk(lambda _: None, book, NOW.timestamp), AnswerWriter(served)
    seen = set()

    def check(customer: str, body: str, cart: str = "") -> None:
        for item in json.loads(body)["recommendations"]:
            truth.check(customer, item["product_id"], item["reason"], cart, item["offer"])
            seen.add(item["reason"]["code"])

    for customer in (*(f"c{number}" for number in range(60)), "a stranger"):
        for query in (Query(20), Query(10, placement="home"), Query(10, objective="discovery")):
            answer = recommender.recommend(served, customer, query)
            check(customer, writer.recommendations(customer, answer))
            offers = desk.with_products(served, customer, answer, query.placement).texts
            check(customer, writer.recommendations(customer, answer, offers=offers))
        check(customer, writer.reorder(customer, recommender.reorder(served, customer, Query(10))))
        for offer in json.loads(desk.body(served, customer, parse_offers_query(b"n=50")))["offers"]:
            truth.check_offer(customer, offer, redeemed_ever=redeemed_ever)
            seen.add(offer["reason"]["code"])
    for row, product in enumerate(served.products[row] for row in range(len(served.products))):
        check("", writer.similar(row, recommender.similar(served, row, Query(3))), product)
        cart = Query(3, exclude=(product,))
        check("", writer.complements([row], recommender.complements(served, [row], None, cart)), product)
    assert seen == EVERY - (set() if redeemed_ever else {"others_redeem", "due_again"})
