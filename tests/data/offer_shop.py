"""A tiny shop with offers, and a desk that shows them."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from service.live.told import Told
from service.offers.desk import OfferDesk
from service.rules.book import RuleBook
from service.rules.reading import NO_RULES
from service.versions.served import ServedVersion
from service.web.parameters import Query, parse_offers_query
from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, TinyOffer, TinyShop, publish

NOW_S = AS_OF.timestamp() + 3600
ALL = parse_offers_query(b"")
# Worth to anna: milk .5 x ((1 - .8) x 1 - .1) = .05, butter .2 x ((1 - .1) x 1 - .1) = .16; cheese costs more
# than it brings: .9 x ((1 - .95) x 1 - .1) < 0; of cake the discount isn't known.
MILK = TinyOffer("milk 10 off", ["milk"], {"anna": (0.5, 0.8)})
BUTTER = TinyOffer("butter 10 off", ["butter", "yoghurt"], {"anna": (0.2, 0.1), "": (0.1, 0.05)})
CHEESE = TinyOffer("cheese 10 off", ["cheese"], {"anna": (0.9, 0.95)})
CAKE = TinyOffer("cake", ["cake"], {"anna": (0.4, 0.5)}, discount=float("nan"))
OVER = TinyOffer("over", ["milk"], {"anna": (0.9, 0.0)}, ends=AS_OF)
LATER = TinyOffer("later", ["milk"], {"anna": (0.9, 0.0)}, starts=AS_OF + timedelta(days=1))
SHOP = TinyShop(offers=(MILK, BUTTER, CHEESE, CAKE, OVER, LATER))


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


def served_of(folder: Path, shop: TinyShop = SHOP) -> ServedVersion:
    return ServedVersion(Store(folder).open(publish(Store(folder), shop)), VARIANT)


def desk_of(
    news_of: Callable[[str], Told | None] = lambda _: None, book: RuleBook | None = None
) -> OfferDesk:
    return OfferDesk(news_of, book or RuleBook(NO_RULES, Clock()), Clock())


def offers(desk: OfferDesk, served: ServedVersion, customer_id: str = "anna", query: Query = ALL) -> Any:
    return json.loads(desk.body(served, customer_id, query))


def ids(body: Any) -> list[str]:
    return [offer["offer_id"] for offer in body["offers"]]
