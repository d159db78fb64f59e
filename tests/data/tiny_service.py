"""The service's app over a store, in this process: for tests that need no server."""

import json
from pathlib import Path
from typing import Any

from flask import Flask

from service.app import Parts, create_app
from service.champion import ChampionFollower
from service.metrics import Metrics
from service.recommender import FirstLevel, ListCache, Recommender
from service.settings import Settings
from storage.store import Store


class DictCache:
    """A cache for tests of what is around it."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, str, str], bytes] = {}

    def get(self, version_id: str, variant: str, customer_id: str) -> bytes | None:
        return self.lists.get((version_id, variant, customer_id))

    def put(self, version_id: str, variant: str, customer_id: str, value: bytes) -> None:
        self.lists[version_id, variant, customer_id] = value


def tiny_app(
    store: Path, cache: ListCache | None = None, *, first_level_life_s: float = 0, slow_ms: int = 10_000
) -> Flask:
    """An app that took the store's champion and doesn't follow it."""
    metrics = Metrics(None)
    follower = ChampionFollower(Store(store), metrics, poll_s=1)
    follower.look()
    recommender = Recommender(FirstLevel(10, first_level_life_s), cache)
    return create_app(
        Parts(Settings(store=store, slow_ms=slow_ms), follower, recommender, metrics, lambda: "none", b"key")
    )


def get(app: Flask, url: str) -> Any:
    """The JSON of a 200 answer."""
    response = app.test_client().get(url)
    assert response.status_code == 200, response.text
    return json.loads(response.data)
