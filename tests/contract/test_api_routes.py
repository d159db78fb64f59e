"""Every route and every error: status, headers and the shape that the OpenAPI document promises."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, override

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from storage.versions.store import Store
from tests.data.tiny_service import DictCache, get, tiny_app
from tests.data.tiny_version import TinyShop, publish


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    publish(Store(root))
    return root


@pytest.fixture(scope="module")
def app(store: Path) -> Flask:
    return tiny_app(store)


@pytest.fixture
def empty_app(tmp_path: Path) -> Iterator[Flask]:
    yield tiny_app(tmp_path)


def problem(response: TestResponse, status: int, kind: str, field: str | None = None) -> dict[str, object]:
    body: dict[str, object] = json.loads(response.data)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert body["type"] == f"urn:nextbest:problem:{kind}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body.get("field") == field
    assert ("reason" in body) == (field is not None)
    return body


def test_a_known_customer_gets_the_own_list_with_reasons(app: Flask, store: Path) -> None:
    body = get(app, "/recommend/anna?n=3")
    version = Store(store).champion()
    assert version is not None
    assert body.pop("request_id")
    assert [item["product_id"] for item in body["recommendations"]] == ["milk", "bread", "butter"]
    assert body.pop("recommendations")[0] == {
        "product_id": "milk",
        "rank": 1,
        "probability": None,
        "expected_value": None,
        "title": "Fresh Milk",
        "category": "dairy",
        "price": 1.19,
        "url": "https://shop.example/milk",
        "image_url": None,
        "offer": None,
        "reason": {
            "code": "due_again",
            "text": "Bought about every 6 days, last on 28 December 2017",
            "due_on": "2018-01-03",
            "evidence": {"times": 5, "interval_days": 6.1, "last_purchased_on": "2017-12-28"},
        },
    }
    assert body == {
        "customer_id": "anna",
        "version": version.current.version_id,
        "variant": "blend",
        "experiments": [],
        "source": "personal",
    }


def test_an_unknown_customer_gets_popular_products(app: Flask) -> None:
    body = get(app, "/recommend/nobody?n=3")
    assert (body["customer_id"], body["source"]) == ("nobody", "popular")
    assert [item["product_id"] for item in body["recommendations"]] == ["milk", "bread", "apple"]
    reasons = [item["reason"] for item in body["recommendations"]]
    assert [reason["code"] for reason in reasons] == ["popular_in", "popular_in", "popular"]
    assert (reasons[0]["text"], reasons[2]["text"]) == (
        "Popular in dairy: bought by 412 customers in the 28 days to 31 December 2017",
        "Bought by 3 customers",
    )


def test_ten_products_come_without_asking_and_all_that_are_in_stock_when_asked_for_more(app: Flask) -> None:
    assert len(get(app, "/recommend/anna")["recommendations"]) == 10
    assert len(get(app, "/recommend/anna?n=100")["recommendations"]) == len(TinyShop().products) - 1


def test_two_answers_differ_in_their_request_id_only(app: Flask) -> None:
    first, second = get(app, "/recommend/anna"), get(app, "/recommend/anna")
    assert first.pop("request_id") != second.pop("request_id")
    assert first == second


def test_popular_and_similar_take_the_same_filters(app: Flask) -> None:
    popular = get(app, "/popular?category=dairy&exclude=milk,cheese")
    assert [item["product_id"] for item in popular["recommendations"]] == ["butter", "yoghurt"]
    similar = get(app, "/similar/milk?category=bakery&exclude=rolls")
    assert (similar["product_id"], similar["source"]) == ("milk", "similar")
    assert [(item["product_id"], item["reason"]["code"]) for item in similar["recommendations"]] == [
        ("bread", "similar"),
        ("cake", "popular"),
    ]


@pytest.mark.parametrize(
    ("path", "customer"),
    [
        ("/recommend/k%C3%A4the%2F1", "käthe/1"),
        ("/recommend/k%C3%A4the/1", "käthe/1"),
        ("/recommend/a//b/", "a//b/"),
        ("/recommend//", "/"),
        ("/recommend/%0A%22%5C%01", '\n"\\\1'),
        ("/recommend/007", "007"),
        ("/recommend/" + "x" * 256, "x" * 256),
    ],
)
def test_an_id_is_taken_as_it_is(app: Flask, path: str, customer: str) -> None:
    assert get(app, path)["customer_id"] == customer


ROUTES = ["/recommend/anna", "/popular", "/similar/milk"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("query", "kind", "field"),
    [
        ("n=0", "bad_parameter", "n"),
        ("n=101", "bad_parameter", "n"),
        ("n=few", "bad_parameter", "n"),
        ("n=1&n=1", "bad_parameter", "n"),
        ("sort=price", "unknown_parameter", "sort"),
        ("category=shoes", "unknown_category", "category"),
        ("category=", "bad_parameter", "category"),
        ("category=%FF", "bad_parameter", None),
        ("exclude=a,,b", "bad_parameter", "exclude"),
    ],
)
def test_bad_parameters_are_named(app: Flask, route: str, query: str, kind: str, field: str | None) -> None:
    problem(app.test_client().get(f"{route}?{query}"), 400, kind, field)


def test_what_was_looked_at_is_a_parameter_of_recommend_alone(app: Flask) -> None:
    many = ",".join(["milk"] * 21)
    problem(app.test_client().get(f"/recommend/nobody?viewed={many}"), 400, "bad_parameter", "viewed")
    problem(app.test_client().get("/recommend/nobody?viewed=a,,b"), 400, "bad_parameter", "viewed")
    problem(app.test_client().get("/popular?viewed=milk"), 400, "unknown_parameter", "viewed")
    assert get(app, "/recommend/nobody?viewed=milk&n=1")["source"] == "viewed"


@pytest.mark.parametrize("route", ["/recommend/", "/similar/"])
def test_ids_that_cannot_be_are_refused(app: Flask, route: str) -> None:
    field = "customer_id" if "recommend" in route else "product_id"
    not_utf_8 = app.test_client().get("/", environ_overrides={"PATH_INFO": f"{route}\xff"})
    problem(not_utf_8, 400, "bad_id", field)
    problem(app.test_client().get(route + "x" * 257), 400, "bad_id", field)
    problem(app.test_client().get(route + "%C3%BC" * 129), 400, "bad_id", field)
    problem(app.test_client().get(route + "a%00"), 400, "bad_id", field)
    problem(app.test_client().get(route), 404, "not_found")


def test_a_product_that_is_not_known_is_404(app: Flask) -> None:
    problem(app.test_client().get("/similar/shoe"), 404, "unknown_product", "product_id")


@pytest.mark.parametrize(
    "route", [*ROUTES, "/", "/health/live", "/health/ready", "/metrics", "/openapi.json"]
)
def test_other_methods_are_405_and_name_those_that_go(app: Flask, route: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        response = app.test_client().open(route, method=method, data=b"x" * 1000)
        problem(response, 405, "method_not_allowed")
        assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/recommend/anna", "/customers/anna", "/products/milk", "/events"])
def test_options_name_every_method_of_a_path(app: Flask, path: str) -> None:
    wrong = app.test_client().patch(path, data=b"{}")
    asked = app.test_client().options(path)
    assert (asked.status_code, wrong.status_code) == (200, 405)
    assert set(asked.headers["Allow"].split(", ")) == set(wrong.headers["Allow"].split(", ")) != {"OPTIONS"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/basket"),
        ("POST", "/recommend"),
        ("POST", "/events"),
        ("PUT", "/products/milk"),
        ("PUT", "/customers/anna"),
        ("GET", "/customers/anna"),
        ("DELETE", "/customers/anna"),
    ],
)
def test_a_route_without_parameters_refuses_them_before_it_does_anything(
    app: Flask, method: str, path: str
) -> None:
    problem(app.test_client().open(f"{path}?n=3", method=method, json={}), 400, "unknown_parameter", "n")


@pytest.mark.parametrize("path", ["/customers/anna%20", "/customers/%C2%A0anna", "/products/%20milk"])
def test_nothing_is_kept_or_erased_under_an_id_with_blanks_around_it(app: Flask, path: str) -> None:
    field = "customer_id" if "customers" in path else "product_id"
    for method in ("PUT", "DELETE") if "customers" in path else ("PUT",):
        refused = app.test_client().open(path, method=method, json={"consent": "all"})
        assert "blanks" in str(problem(refused, 400, "bad_id", field)["reason"])


def test_a_body_in_another_coding_is_415(app: Flask) -> None:
    zipped = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    for path in ("/events", "/basket"):
        problem(app.test_client().post(path, data=b"\x1f\x8b", headers=zipped), 415, "unsupported_type")
        plain = app.test_client().post(path, data=b"{}", headers=zipped | {"Content-Encoding": "identity"})
        assert plain.status_code == 400


def test_who_sent_a_body_that_was_not_read_is_told_that_the_connection_ends(app: Flask) -> None:
    for method, path, body, ends in (
        ("POST", "/basket?n=1", b"{}", "close"),
        ("POST", "/nope", b"{}", "close"),
        ("PUT", "/popular", b"x" * 10_000, "close"),
        ("POST", "/basket", b"{}", None),
        ("POST", "/basket", b"x" * 10_000, None),
        ("POST", "/nope", b"", None),
        ("GET", "/nope", b"", None),
    ):
        refused = app.test_client().open(path, method=method, data=body, content_type="application/json")
        assert (refused.status_code >= 400, refused.headers.get("Connection")) == (True, ends)


def test_a_body_without_a_length_is_411_and_one_that_is_too_large_413(app: Flask) -> None:
    for method in ("POST", "PUT", "PATCH"):
        chunked = app.test_client().open("/popular", method=method, headers={"Transfer-Encoding": "chunked"})
        problem(chunked, 411, "length_required")
        problem(app.test_client().open("/popular", method=method), 411, "length_required")
        large = app.test_client().open("/popular", method=method, data=b"x" * 65_537)
        problem(large, 413, "too_large")
        assert app.test_client().open("/popular", method=method, data=b"x" * 65_536).status_code == 405


def test_what_is_not_there_is_404(app: Flask) -> None:
    for path in (
        "/nope",
        "/reorder",
        "/popular/",
        "/docs/../service/settings.py",
        "/docs/%2e%2e/__init__.py",
    ):
        problem(app.test_client().get(path), 404, "not_found")


@pytest.mark.parametrize("route", ["/recommend/anna", "/health/ready"])
def test_without_the_folder_of_the_version_nobody_is_told_that_no_night_was(
    tmp_path: Path, route: str
) -> None:
    publish(Store(tmp_path))
    shutil.rmtree(Store(tmp_path).versions)
    response = tiny_app(tmp_path).test_client().get(route)
    assert "can't be opened" in problem(response, 503, "no_version")["detail"]  # type: ignore[operator]


def test_an_unexpected_error_tells_nothing_of_itself(store: Path) -> None:
    class Broken(DictCache):
        @override
        def ask(self, *_: object) -> NoReturn:
            raise ZeroDivisionError("secret detail")

    response = tiny_app(store, Broken()).test_client().get("/recommend/anna")
    body = problem(response, 500, "internal")
    assert "secret" not in str(body)
    assert "Traceback" not in response.text
    with_body = tiny_app(store, Broken()).test_client().get("/recommend/anna", data=b"{}")
    assert (response.headers.get("Connection"), with_body.headers.get("Connection")) == (None, "close")


@pytest.mark.parametrize("route", [*ROUTES, "/health/ready"])
def test_without_a_version_there_is_503_and_the_rest_answers(empty_app: Flask, route: str) -> None:
    response = empty_app.test_client().get(route)
    problem(response, 503, "no_version")
    assert response.headers["Retry-After"] == "5"
    assert get(empty_app, "/health/live") == {"status": "live"}
    assert empty_app.test_client().get("/metrics").status_code == 200


def test_a_bad_request_is_bad_also_without_a_version(empty_app: Flask) -> None:
    problem(empty_app.test_client().get("/recommend/anna?n=0"), 400, "bad_parameter", "n")


def test_personal_answers_stay_out_of_every_cache(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/recommend/anna").headers["Cache-Control"] == "private, no-store"
    assert client.get("/popular").headers["Cache-Control"] == "private, max-age=5"
    assert client.get("/recommend/anna?n=0").headers["Cache-Control"] == "no-store"
    for path in (*ROUTES, "/", "/nope", "/health/ready", "/metrics", "/openapi.json"):
        assert client.get(path).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/recommend/anna", "/popular", "/similar/milk"])
def test_head_has_the_headers_of_get_and_no_body(app: Flask, path: str) -> None:
    client = app.test_client()
    got, head = client.get(path), client.head(path)
    assert (head.status, head.headers.to_wsgi_list()) == (got.status, got.headers.to_wsgi_list())
    assert head.data == b""
    assert got.content_length == len(got.data)
    assert got.content_type == "application/json"


def test_ready_tells_version_variant_age_and_redis(app: Flask) -> None:
    body = get(app, "/health/ready")
    assert (body["status"], body["variant"], body["redis"]) == ("ready", "blend", "none")
    assert body["as_of"] == "2018-01-01T00:00:00+00:00"
    assert body["age_s"] > 365 * 86_400


def test_the_index_lists_the_routes_and_docs_come_from_here(app: Flask) -> None:
    routes = get(app, "/")["routes"]
    assert {"GET /recommend/{customer_id}", "GET /customers/{customer_id}"} < set(routes)
    assert "Erase" in routes["DELETE /customers/{customer_id}"]
    client = app.test_client()
    assert client.get("/docs").headers["Location"] == "/docs/"
    page = client.get("/docs/").text
    assert "http://" not in page
    assert "https://" not in page
    with client.get("/docs/swagger-ui-bundle.js") as script:
        assert script.status_code == 200


def test_metrics_count_answers_by_route_status_and_level(store: Path) -> None:
    app = tiny_app(store)
    client = app.test_client()
    for path in ("anna", "anna", "nobody", "nobody?category=fruit", "anna?n=0"):
        client.get(f"/recommend/{path}")
    client.get("/nope")
    text = client.get("/metrics").text
    assert 'nextbest_requests_total{route="recommend",status="200"} 4.0' in text
    assert 'nextbest_requests_total{route="recommend",status="400"} 1.0' in text
    assert 'nextbest_requests_total{route="none",status="404"} 1.0' in text
    assert 'nextbest_recommendations_total{level="map",placement=""} 2.0' in text
    assert 'nextbest_recommendations_total{level="category",placement=""} 1.0' in text
    assert 'nextbest_recommendations_total{level="popular",placement=""} 1.0' in text
    assert 'nextbest_filled_products_total{rung="scores"} 4.0' in text  # cheese and rolls, twice
    assert 'nextbest_version_info{variant="blend"' in text
    assert "last_success" not in text


def test_metrics_tell_when_a_night_last_succeeded(tmp_path: Path) -> None:
    success = tmp_path / "last_success.json"
    success.write_text('{"run_id": "r", "at": "2018-01-01T02:00:00+00:00", "version_id": "v"}')
    lines = tiny_app(tmp_path).test_client().get("/metrics").text.splitlines()
    assert "nextbest_night_last_success_timestamp_seconds 1.514772e+09" in lines


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"at": 7}', '{"at": "yesterday"}'])
def test_a_last_success_that_cannot_be_read_is_left_out(content: str, tmp_path: Path) -> None:
    (tmp_path / "last_success.json").write_text(content)
    response = tiny_app(tmp_path).test_client().get("/metrics")
    assert response.status_code == 200
    assert "last_success" not in response.text
