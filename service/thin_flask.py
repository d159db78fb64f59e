"""Flask without what no route here asks for: sessions, signals, host names. They are half of a bare route."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

NO_SESSION = NullSession()


class _NoSessions(SessionInterface):
    def open_session(self, app: Flask, request: Request) -> NullSession:
        return NO_SESSION

    def is_null_session(self, obj: object) -> bool:
        return True


class ThinFlask(Flask):
    """Flask that finds a route by path and method alone, and calls its view, which is no coroutine."""

    session_interface = _NoSessions()

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None:
            return super().create_url_adapter(request)
        environ, path = request.environ, request.environ["PATH_INFO"]
        if path[:1] != "/" or "//" in path:
            return super().create_url_adapter(request)  # perhaps a redirect, and that names the host
        return MapAdapter(
            self.url_map,
            server_name="",
            script_name="/",
            subdomain="",
            url_scheme="",
            path_info=path.encode("latin-1").decode(errors="replace"),
            default_method=environ["REQUEST_METHOD"],
        )

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
