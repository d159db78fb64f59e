"""Whose id a token may ask for: the own one as the route reads it, and none that only looks like it."""

import pytest

from tests.data.callers import SHOP, Apps, made_apps
from tests.data.credentials import bearer


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    return made_apps(tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("empty"))


def test_an_anonymous_customer_may_ask_for_the_own_id_and_gets_what_is_popular(apps: Apps) -> None:
    answer = apps.public.test_client().get("/recommend/anon-1", headers=bearer(SHOP.token("anon-1")))
    assert answer.get_json()["source"] == "popular"


@pytest.mark.parametrize(
    ("sub", "asked"),
    [
        ("a/b", "/recommend/a/b"),
        ("a/b", "/recommend/a%2Fb"),
        ("käthe", "/recommend/k%C3%A4the"),
        ("/", "/recommend//"),
        ("%61nna", "/recommend/%2561nna"),
    ],
)
def test_an_own_id_is_the_one_that_the_route_reads(apps: Apps, sub: str, asked: str) -> None:
    client = apps.public.test_client()
    assert client.get(asked, headers=bearer(SHOP.token(sub))).get_json()["customer_id"] == sub


@pytest.mark.parametrize(
    ("sub", "asked"),
    [
        ("anna", "/recommend/Anna"),
        ("anna", "/recommend/anna/"),
        ("anna", "/recommend/anna%00"),
        ("anna", "/recommend/anna%20"),
        ("anna", "/recommend/x/../anna"),
        ("a", "/recommend/a/b"),
        ("käthe", "/recommend/ka%CC%88the"),  # the same letters, otherwise composed
        ("%61nna", "/recommend/%61nna"),
        ("bert", "/recommend/anna?customer_id=bert"),
    ],
)
def test_an_id_that_only_looks_like_the_own_one_is_another(apps: Apps, sub: str, asked: str) -> None:
    refused = apps.public.test_client().get(asked, headers=bearer(SHOP.token(sub)))
    assert refused.status_code == 403
