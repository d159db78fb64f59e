"""The parts of an answer, each by itself: what of its time goes where."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.access.gate import Gate, Limits
from service.access.routes import ROUTES
from service.answering.first_level import FirstLevel
from service.answering.own_list import OwnList
from service.answering.packed import owner_of, pack, unpack
from service.cache.redis_cache import RedisCache
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.rules.placed import PlacedRules
from service.telemetry.measured import Measured
from service.telemetry.metrics import Metrics
from service.versions.champion import Serving
from service.web.finished import PRIVATE_HEADERS, Finished
from service.web.parameters import Query, check_id, parse_query
from tests.data.tiny_service import Known

ASKED = 500


@dataclass(frozen=True, slots=True)
class Part:
    """One line of the table; `do` gets a number that rises with each call."""

    name: str
    do: Callable[[int], object]


def parts_of(
    now: Serving, metrics: Metrics, cache: RedisCache, shop: tuple[Known, dict[str, str]]
) -> list[Part]:
    """The parts of `GET /recommend/<customer_id>`, in their order."""
    served, query = now.served, Query()
    rows = np.random.default_rng(1).integers(0, len(served.customers), ASKED).tolist()
    ids = [served.customers[row] for row in rows]
    rules = RuleBook().at(served, None)
    callers, key = shop
    gate = Gate(callers, Limits(), (), metrics)
    recommender = Recommender(FirstLevel(ASKED + 1, 1e9), None)
    answers = [recommender.recommend(served, customer_id, query) for customer_id in ids]
    lists = [served.candidates(row) for row in rows]
    owners = [owner_of(served.version_id, served.variant, customer_id, 1) for customer_id in ids]
    values = [pack(owner, found, served.key) for owner, found in zip(owners, lists, strict=True)]
    for customer_id, value in zip(ids, values, strict=True):
        cache.put(served.version_id, served.variant, customer_id, value, 1)
    cache.flush()
    text = now.writer.recommendations(ids[0], answers[0])
    finished, ready, kept = (
        Finished(text, PRIVATE_HEADERS["en"]),
        answers[0],
        _kept(served, ids, lists, rules),
    )
    around = Measured(lambda *_: [], metrics, slow_ms=10_000, log_key=b"bench")

    def fresh(number: int) -> str:
        answer = answers[number % ASKED]
        assert answer.own is not None
        assert answer.kept is not None
        answer.kept.written = None
        return now.writer.recommendations(ids[number % ASKED], answer)

    return [
        Part("access, a known key", lambda _: gate.check(key, ROUTES["recommend"], ids[0])),
        Part("parameters", lambda n: (check_id("customer_id", ids[n % ASKED], ""), parse_query(b""))),
        Part("id to row", lambda n: served.customers.find(ids[n % ASKED])),
        Part("list from the map", lambda n: served.candidates(rows[n % ASKED])),
        Part("list from Redis: the round trip", lambda n: _get(cache, served, ids[n % ASKED])),
        Part(
            "list from Redis: check and unpack",
            lambda n: unpack(owners[n % ASKED], values[n % ASKED], served.key),
        ),
        Part("list in the worker", lambda n: kept.get(ids[n % ASKED], rules, None)),
        Part("choose, id and list included", lambda n: recommender.recommend(served, ids[n % ASKED], query)),
        Part("JSON", fresh),
        Part("JSON of a list in the worker", lambda _: now.writer.recommendations(ids[0], ready)),
        Part("answer and headers", lambda _: finished({"REQUEST_METHOD": "GET"}, _started)),
        Part("metrics and time", lambda _: (around({}, _started), metrics.answer(ready, None))),
    ]


def _kept(served: Any, ids: list[str], lists: list[Any], rules: PlacedRules) -> FirstLevel:
    kept = FirstLevel(ASKED + 1, 1e9)
    kept.get("", rules, None)
    for customer_id, found in zip(ids, lists, strict=True):
        kept.put(customer_id, OwnList(served, 0, None, found, rules, rules.of_nobody()))
    return kept


def _get(cache: RedisCache, served: Any, customer_id: str) -> None:
    if cache.ask(served.version_id, served.variant, customer_id, 1)()[0] is None:
        raise SystemExit("a list isn't in Redis")


def _started(*_: object) -> Any:
    return None
