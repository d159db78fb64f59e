"""Flask without what no route here needs: sessions, signals, host names, half the cost of a bare route."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter, Rule

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

NO_SESSION = NullSession()
REQUEST = "werkzeug.request"
BY_ID = re.compile(r"/(\w+)/<id:(\w+)>")


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION

    def is_null_session(self, obj: object) -> bool:
        return True


class _Found(MapAdapter):
    """A route that is known already."""

    def __init__(self, rule: Rule, of_the_path: dict[str, str]) -> None:
        self._rule, self._of_the_path = rule, of_the_path

    def match(self, *_: Any, return_rule: bool = False, **__: Any) -> Any:
        return self._rule if return_rule else self._rule.endpoint, self._of_the_path


class _Direct(NamedTuple):
    """What whoever stands around the app asks of a request, where there is none of Flask's."""

    url_rule: Rule
    view_args: dict[str, str]


type DirectView = Callable[["WSGIEnvironment", str], "WSGIApplication"]
"""Answers a GET by environment and id alone: Flask's `request` and `current_app` are not there."""


class ThinFlask(Flask):
    """Flask that finds a route by path and method alone, and calls its view, which is no coroutine.

    What nobody registered here isn't looked for after an answer either: teardowns.

    Attributes:
        direct: views by endpoint that are called without a request of Flask's, for as long as they don't fail
            and no hooks are registered. An error is Flask's business, with all that it has for errors.
    """

    session_interface = _NoSessions()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.url_map.merge_slashes = False  # it redirects, to the host that the caller names
        self.direct: dict[str, DirectView] = {}

    def add_direct(self, rule: str, endpoint: str, view: DirectView) -> None:
        """Add a route that ends with an id."""

        def through_flask(**of_the_path: str) -> Any:
            (named,) = of_the_path.values()
            return self.direct[endpoint](request.environ, named)

        self.direct[endpoint] = view
        self.add_url_rule(rule, endpoint, through_flask, methods=["GET"])

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        first, named = _parts_of(environ["PATH_INFO"])
        found = self._direct_by_id.get(first)
        if found is None or not named or environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return super().wsgi_app(environ, start_response)
        rule, name = found
        environ[REQUEST] = _Direct(rule, {name: named})
        try:
            answer = self.direct[rule.endpoint](environ, named)
        except Exception as err:
            return self._failed(err, environ, start_response)
        return answer(environ, start_response)

    def _failed(
        self, err: Exception, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        with self.request_context(environ):
            try:
                answer: Any = self.handle_user_exception(err)
            except Exception as unexpected:
                answer = self.handle_exception(unexpected)
            return self.make_response(answer)(environ, start_response)

    @cached_property
    def _direct_by_id(self) -> dict[str, tuple[Rule, str]]:
        """Of `_by_id` the routes to direct views, by first part alone; none where a hook wants a request."""
        hooks = self.before_request_funcs, self.after_request_funcs, self.teardown_request_funcs
        if any(None in found for found in hooks) or self.teardown_appcontext_funcs:
            return {}
        return {
            first: (rule, name)
            for (method, first), (rule, name) in self._by_id.items()
            if method == "GET" and rule.endpoint in self.direct
        }

    @cached_property
    def _by_id(self) -> dict[tuple[str, str], tuple[Rule, str]]:
        """Routes such as /recommend/<id:customer_id>, by method and first part, and what the rest is called.

        Nearly all calls are for these, and an id may be anything: no other route can be meant.
        """
        found, others = {}, set()
        for rule in self.url_map.iter_rules():
            whole = BY_ID.fullmatch(rule.rule)
            if whole:
                methods = (rule.methods or set()) - {"OPTIONS"}  # which tells of all rules with this path
                found.update({(method, whole[1]): (rule, whole[2]) for method in methods})
            elif rule.rule.count("/") > 1:
                others.add(rule.rule.split("/")[1])
        return {name: one for name, one in found.items() if name[1] not in others}

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return None  # for URLs made outside of requests
        path, method = request.environ["PATH_INFO"], request.environ["REQUEST_METHOD"]
        first, named = _parts_of(path)
        if not first:
            return super().create_url_adapter(request)
        found = self._by_id.get((method, first))
        if found is not None and named:
            rule, name = found
            return _Found(rule, {name: named})
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name="/",
            subdomain="",
            url_scheme="",
            path_info=_as_text(path),
            default_method=method,
        )

    def do_teardown_request(self, *args: Any, **options: Any) -> None:
        if self.teardown_request_funcs:
            super().do_teardown_request(*args, **options)

    def do_teardown_appcontext(self, *args: Any, **options: Any) -> None:
        if self.teardown_appcontext_funcs:
            super().do_teardown_appcontext(*args, **options)

    def full_dispatch_request(self) -> Response:
        if None in self.before_request_funcs or None in self.after_request_funcs or request.blueprints:
            return super().full_dispatch_request()  # there may be hooks
        try:
            found = self.dispatch_request()
        except Exception as err:
            found = self.handle_user_exception(err)
        return self.make_response(found)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


def _parts_of(path: str) -> tuple[str, str]:
    """The first part of a path as WSGI gives it, and what stands behind it; "" twice where there is none, or
    Flask has to look at it."""
    if path[:1] != "/" or "//" in path:
        return "", ""
    first, _, rest = path[1:].partition("/")
    return first, rest if rest.isascii() else _as_text(rest)


def _as_text(path: str) -> str:
    """A path of WSGI holds the bytes of UTF-8 as if each were a character."""
    return path.encode("latin-1").decode(errors="replace")
