"""`Accept-Language`: every route with reasons tells them in it, says so, and no cache mixes languages."""

import json
from pathlib import Path

import pytest
from flask import Flask

from service.answering.languages import LANGUAGES
from service.cache.redis_cache import RedisCache
from service.live.products import LiveProducts
from service.rules.book import RuleBook
from service.rules.reading import parse_rules
from service.telemetry.metrics import Metrics
from storage.record.changes import ProductState
from storage.versions.store import Store
from tests.data.redis_server import redis_server
from tests.data.tiny_service import DictCache, tiny_app
from tests.data.tiny_version import TinyOffer, TinyShop, publish

SHOP = TinyShop(offers=(TinyOffer("milk 10 off", ["milk"], {"anna": (0.5, 0.1), "": (0.1, 0.05)}),))
PIN = '[[rules]]\nid = "p"\nkind = "pin"\nproducts = ["plum"]\nposition = 2\n'
WORDS = {"en": "Bought about", "it": "Acquistato circa", "pl": "Kupowane", "ro": "Cumpărat cam"}
CHOSEN = {"en": "Chosen by", "it": "Scelto dal", "pl": "Wybrane przez", "ro": "Ales de"}
ROUTES = [
    "/recommend/anna?n=3",
    "/recommend/a%20stranger?n=3",
    "/offers/anna",
    "/reorder/anna?within=30",
    "/popular?n=2",
    "/similar/milk?n=2",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root), SHOP)
    return root


@pytest.fixture(scope="module")
def app(store: Path) -> Flask:
    return tiny_app(store)


def texts(app: Flask, url: str, language: str | None) -> list[str]:
    headers = {} if language is None else {"Accept-Language": language}
    answer = app.test_client().get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Language"] == (language or "en")
    assert "Accept-Language" in answer.headers["Vary"]
    assert answer.headers["Content-Length"] == str(len(answer.data))
    body = json.loads(answer.data)
    return [item["reason"]["text"] for item in body.get("recommendations", body.get("offers"))]


@pytest.mark.parametrize("url", ROUTES)
def test_every_route_tells_its_reasons_in_the_language_asked_for(app: Flask, url: str) -> None:
    told = {language: texts(app, url, language) for language in LANGUAGES}
    assert texts(app, url, None) == told["en"]
    every = [text for language in LANGUAGES for text in dict.fromkeys(told[language])]
    assert len(set(every)) == len(every)  # no text in two of them


@pytest.mark.parametrize(
    ("url", "body"),
    [
        ("/basket", {"product_ids": ["milk"], "customer_id": "anna", "n": 3}),
        ("/basket", {"product_ids": ["milk"], "n": 3}),
        ("/recommend", {"customer_ids": ["anna", "ben"], "n": 3}),
    ],
)
def test_questions_with_a_body_too(app: Flask, url: str, body: dict[str, object]) -> None:
    found = set()
    for language in LANGUAGES:
        answer = app.test_client().post(url, json=body, headers={"Accept-Language": language})
        assert (answer.status_code, answer.headers["Content-Language"]) == (200, language)
        assert answer.headers["Vary"] == "Accept-Language"
        found.add(
            json.loads(answer.data).get("answers", [json.loads(answer.data)])[0]["recommendations"][0][
                "reason"
            ]["text"]
        )
    assert len(found) == len(LANGUAGES)


def test_a_list_in_the_worker_has_the_words_of_who_asks(store: Path) -> None:
    book = RuleBook(parse_rules(f"schema = 1\n{PIN}"))
    kept = tiny_app(store, first_level_life_s=60, book=book)
    for _ in range(2):
        for language in ("pl", "en", "ro", "it"):
            milk, plum, _ = texts(kept, "/recommend/anna?n=3", language)
            assert milk.startswith(WORDS[language])
            assert plum.startswith(CHOSEN[language])


def test_what_a_cache_holds_has_no_words(store: Path) -> None:
    cache = DictCache()
    asked = tiny_app(store, cache)
    for language in ("it", "pl"):
        assert texts(asked, "/recommend/anna?n=3", language)[0].startswith(WORDS[language])
    (value,) = cache.lists.values()
    assert not any(word.encode() in value for word in WORDS.values())


def test_a_list_from_a_real_redis_is_told_in_each_language(store: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        cache = RedisCache(server.url, timeout_ms=1000, ttl_s=60, counters=Metrics(None))
        for language in ("ro", "en", "it", "pl"):
            answers = tiny_app(store, cache)
            assert texts(answers, "/recommend/anna?n=3", language)[0].startswith(WORDS[language])
            cache.flush()


def test_new_prices_are_in_the_answers_of_every_language(store: Path) -> None:
    live = LiveProducts()
    kept = tiny_app(store, first_level_life_s=60, live=live)
    for language in ("en", "pl"):
        assert texts(kept, "/recommend/anna?n=1", language)
    live.apply(ProductState("milk", None, 0.79, None), 1)
    for language in ("pl", "en"):
        answer = kept.test_client().get("/recommend/anna?n=1", headers={"Accept-Language": language})
        assert json.loads(answer.data)["recommendations"][0]["price"] == 0.79


def test_an_origin_that_may_read_is_named_beside_the_language(store: Path) -> None:
    shop = tiny_app(store, origins=("https://shop.example",))
    answer = shop.test_client().get("/recommend/anna", headers={"Origin": "https://shop.example"})
    assert sorted(answer.headers.getlist("Vary")) == ["Accept-Language", "Origin"]


def test_an_error_is_told_in_english_and_has_no_language(app: Flask) -> None:
    answer = app.test_client().get("/recommend/anna?n=0", headers={"Accept-Language": "pl"})
    assert answer.status_code == 400
    assert "must be a whole number" in answer.text
    assert "Content-Language" not in answer.headers
