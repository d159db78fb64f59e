"""ThinFlask finds what Flask finds, for any path and method, and neither reads nor sets a session."""

from typing import Any

from flask import Blueprint, Flask, Response, has_request_context, request, session
from flask.testing import EnvironBuilder
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from service.app import IdConverter
from service.web.thin_flask import ThinFlask

PARTS = st.sampled_from(["recommend", "health", "live", "", "a b", "ü", "%2F", "..", "anna", "\ud800"])
PATHS = st.lists(PARTS, max_size=4).map("/".join)


def app_of(kind: type[Flask]) -> Flask:
    app = kind("shop", static_folder=None)
    app.url_map.converters["id"] = IdConverter
    app.url_map.merge_slashes = False
    for path in ("/", "/recommend/<id:customer_id>", "/health/live", "/health/<name>/x"):
        app.add_url_rule(path, path, lambda **_: "")
    return app


FLASK, THIN = app_of(Flask), app_of(ThinFlask)


def found(app: Flask, path: str, method: str) -> Any:
    environ = {
        "PATH_INFO": path.encode("utf-8", "replace").decode("latin-1"),
        "REQUEST_METHOD": method,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "HTTP_HOST": "shop.example:8000",
        "wsgi.url_scheme": "http",
    }
    adapter = app.create_url_adapter(app.request_class(environ))
    assert adapter is not None
    try:
        return adapter.match()
    except RequestRedirect as redirect:
        return redirect.new_url
    except HTTPException as err:
        return type(err), getattr(err, "valid_methods", None)


@given(path=PATHS.map("/{}".format), method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]))
@example(path="/health//live", method="GET")
@example(path="/recommend/a//b", method="GET")
@example(path="//recommend/a", method="GET")
@example(path="", method="GET")
def test_a_thin_flask_finds_what_flask_finds(path: str, method: str) -> None:
    assert found(THIN, path, method) == found(FLASK, path, method)


def test_no_path_is_redirected_to_the_host_that_a_caller_names() -> None:
    app = ThinFlask("shop", static_folder=None)
    app.add_url_rule("/health/live", "live", lambda: "")
    answer = app.test_client().get("/health//live", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.headers.get("Location")) == (404, None)


def test_a_route_beside_one_that_takes_any_id_is_found_before_it() -> None:
    for kind in (Flask, ThinFlask):
        app = app_of(kind)
        app.add_url_rule("/recommend/all/now", "now", lambda: "")
        assert found(app, "/recommend/all/now", "GET") == ("now", {})
        assert found(app, "/recommend/all", "GET") == ("/recommend/<id:customer_id>", {"customer_id": "all"})


def test_what_was_registered_for_the_end_of_a_request_is_called() -> None:
    app, ends = ThinFlask("shop", static_folder=None), []
    app.add_url_rule("/", "index", lambda: "")
    app.teardown_request(lambda _: ends.append("request"))
    app.teardown_appcontext(lambda _: ends.append("app"))
    assert app.test_client().get("/").status_code == 200
    assert ends == ["request", "app"]


def test_a_thin_flask_has_no_session_and_sets_no_cookie() -> None:
    app = ThinFlask("shop", static_folder=None)
    app.secret_key = "secret"  # noqa: S105  # pragma: allowlist secret

    @app.get("/")
    def length() -> str:
        return str(len(session))

    answer = app.test_client().get("/", headers={"Cookie": "session=anything"})
    assert (answer.text, "Set-Cookie" in answer.headers) == ("0", False)


def test_hooks_of_an_app_and_of_a_blueprint_are_called() -> None:
    def marked(answer: Response) -> Response:
        answer.headers["X-Hook"] = "was here"
        return answer

    page = Blueprint("page", __name__)
    page.after_request(marked)
    page.add_url_rule("/page", "page", lambda: "")
    app = app_of(ThinFlask)
    app.register_blueprint(page)
    client = app.test_client()
    assert ["X-Hook" in client.get(path).headers for path in ("/page", "/")] == [True, False]
    app = app_of(ThinFlask)
    app.after_request(marked)
    assert "X-Hook" in app.test_client().get("/").headers


def test_errors_of_views_come_to_their_handlers() -> None:
    app = app_of(ThinFlask)

    def broken() -> str:
        raise LookupError("gone")

    app.add_url_rule("/broken", "broken", broken)
    app.register_error_handler(LookupError, lambda err: (str(err), 410))
    app.register_error_handler(404, lambda _: ("nothing here", 404))
    client = app.test_client()
    assert (client.get("/broken").status_code, client.get("/broken").text) == (410, "gone")
    assert (client.get("/none").status_code, client.get("/none").text) == (404, "nothing here")
    assert client.post("/").status_code == 405
    assert client.options("/").status_code == 200


def direct_app() -> ThinFlask:
    """Its view answers with the id and whether Flask has a request; of "bad" it raises."""
    app = ThinFlask("shop", static_folder=None)
    app.url_map.converters["id"] = IdConverter

    def view(environ: Any, named: str) -> Response:
        if named == "bad":
            raise LookupError(named)
        return Response(f"{named!a} {has_request_context()} {environ['werkzeug.request'].url_rule.endpoint}")

    app.add_direct("/recommend/<id:customer_id>", "recommend", view)
    app.register_error_handler(LookupError, lambda err: (f"{err} {request.view_args}", 410))
    return app


def test_a_direct_view_is_called_without_a_request_of_flasks() -> None:
    client = direct_app().test_client()
    assert client.get("/recommend/anna").text == "'anna' False recommend"
    assert (client.head("/recommend/anna").status_code, client.head("/recommend/anna").data) == (200, b"")
    assert (client.options("/recommend/anna").status_code, client.options("/recommend/anna").data) == (
        200,
        b"",
    )
    assert client.post("/recommend/anna").status_code == 405
    assert client.get("/recommend/").status_code == 404
    assert client.get("/recommended/anna").status_code == 404


def test_an_error_of_a_direct_view_comes_to_flasks_handlers() -> None:
    answer = direct_app().test_client().get("/recommend/bad")
    assert (answer.status_code, answer.text) == (410, "bad {'customer_id': 'bad'}")


def test_an_error_of_a_direct_view_that_nobody_handles_is_a_500_as_any() -> None:
    app = ThinFlask("shop", static_folder=None)
    app.url_map.converters["id"] = IdConverter
    app.add_direct("/recommend/<id:customer_id>", "recommend", lambda environ, named: 1 / 0)  # type: ignore[arg-type,return-value]
    assert app.test_client().get("/recommend/anna").status_code == 500


def test_where_hooks_are_registered_a_direct_view_goes_through_flask() -> None:
    app, seen = direct_app(), []
    app.before_request(lambda: seen.append(request.path))
    assert app.test_client().get("/recommend/anna").text == "'anna' True recommend"
    assert seen == ["/recommend/anna"]


@given(named=st.text(min_size=1, max_size=20))
@example(named="a/b")
@example(named="/b")
@example(named="a//b")
@example(named="\ud800")
@example(named="ü%2F")
def test_a_direct_view_gets_the_id_that_flask_would_give_it(named: str) -> None:
    path = f"/recommend/{named}".encode("utf-8", "replace").decode("latin-1")
    assert answer_of(direct_app(), path) == answer_of(hooked_app(), path)


def answer_of(app: Flask, path: str) -> tuple[list[str], bytes]:
    """Status and body, whether or not Flask had a request."""
    statuses: list[str] = []
    environ = EnvironBuilder(app, "/").get_environ() | {"PATH_INFO": path}
    body = b"".join(app(environ, lambda status, *_: statuses.append(status)))  # type: ignore[arg-type,func-returns-value]
    return statuses, body.replace(b" True ", b" False ")


def hooked_app() -> ThinFlask:
    app = direct_app()
    app.before_request(lambda: None)
    return app
