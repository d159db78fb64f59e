"""The operator's listener: its routes are for an operator's key, and it has no others."""

import pytest

from tests.data.callers import CALLERS, OPERATOR, PATHS, RIGHT_KEY, Apps, ask, made_apps, view_of

RULES = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
OPERATORS = {
    "metrics": ("GET", None),
    "rules": ("GET", None),
    "put_rules": ("PUT", RULES),
    "rules_versions": ("GET", None),
    "roll_back_rules": ("POST", None),
    "try_rules": ("POST", RULES),
}


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    return made_apps(tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("empty"))


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("route", sorted(OPERATORS))
def test_the_operators_routes_are_for_an_operators_key_on_the_operators_listener(
    apps: Apps, route: str, who: str
) -> None:
    caller, (path, _), (method, body) = CALLERS[who], PATHS[route], OPERATORS[route]
    headers = caller.headers("anna")
    answer = apps.operators.test_client().open(path, method=method, data=body, headers=headers)
    expected = {caller.operators_metrics, 404} if route == "roll_back_rules" else {caller.operators_metrics}
    assert answer.status_code in expected, answer.text  # there may be nothing to go back to
    assert (answer.status_code in (200, 404)) == (caller.operators_metrics == 200)
    public, nowhere = ask(apps.public, path, caller, method), ask(apps.public, "/nope", caller, method)
    assert public.status_code == 404
    assert public.data == nowhere.data


@pytest.mark.parametrize("who", CALLERS)
def test_the_page_without_data_is_for_anybody_on_the_operators_listener_alone(apps: Apps, who: str) -> None:
    assert ask(apps.operators, "/preview", CALLERS[who]).status_code == 200
    assert ask(apps.public, "/preview", CALLERS[who]).status_code == 404


def test_an_operators_key_is_taken_from_a_page_of_the_same_listener_where_it_has_one(apps: Apps) -> None:
    client = apps.operators.test_client()

    def asked(path: str, method: str, origin: str, headers: dict[str, str] = OPERATOR) -> int:
        sent = headers | {"Origin": origin, "Host": "127.0.0.1:9000"}
        return client.open(path, method=method, data=RULES, headers=sent).status_code

    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000") == 200
    for other in ("http://127.0.0.1:9001", "http://127.0.0.1", "https://shop.example", "null", ""):
        assert asked("/rules/dry-run", "POST", other) == 403, other
    assert asked("/rules", "PUT", "http://127.0.0.1:9000") == 403  # it only looks
    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000", RIGHT_KEY) == 403
    assert asked("/rules/dry-run", "POST", "http://127.0.0.1:9000", {}) == 401


def test_the_operators_listener_has_nothing_else(apps: Apps) -> None:
    for route in set(PATHS) - set(OPERATORS) - {"preview", "openapi", "docs", "docs_page.show"}:
        assert ask(apps.operators, PATHS[route][0], CALLERS["an operator"]).status_code == 404
    refused = apps.operators.test_client().post("/events", json=view_of("anna"), headers=OPERATOR)
    assert refused.status_code == 404


def test_who_looks_for_another_route_is_told_what_each_listener_has(apps: Apps) -> None:
    here = "here are /docs, /preview, /rules and /metrics; everything else is on the public listener"
    for path in ("/", "/recommend/anna", "/nope"):
        assert ask(apps.operators, path, CALLERS["an operator"]).json["detail"] == here
    index = ask(apps.public, "/", CALLERS["nobody"]).json
    assert "the operator's listener (NEXTBEST_OPERATOR_PORT) has /rules" in index["elsewhere"]
    assert ask(apps.public, "/preview", CALLERS["nobody"]).json["detail"] == "GET / lists the routes"
