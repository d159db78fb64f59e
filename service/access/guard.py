"""Puts the gate before every view of a Flask app: around the views, since Flask's hooks cost more."""

from typing import TYPE_CHECKING, Any

from flask import Flask, request
from flask.typing import ResponseReturnValue, RouteCallable

from service.access.callers import Caller
from service.access.gate import Gate
from service.access.routes import ROUTES, Route, UndeclaredRouteError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

CALLER = "nextbest.caller"


def guard(app: Flask, gate: Gate) -> None:
    """Guard all views that the app has now: call it when no more are added.

    Raises:
        UndeclaredRouteError: the table says of one of them nowhere who may call it.
    """
    for name, view in app.view_functions.items():
        if name not in ROUTES:
            raise UndeclaredRouteError(name)
        app.view_functions[name] = _guarded(view, ROUTES[name], gate)


def caller_of(environ: "WSGIEnvironment") -> Caller | None:
    """Who calls, once the guard has let them in; None if nobody needs a credential."""
    caller: Caller | None = environ[CALLER]
    return caller


def _guarded(view: RouteCallable, route: Route, gate: Gate) -> RouteCallable:
    check = gate.check

    def guarded(**of_the_path: Any) -> ResponseReturnValue:
        environ = request.environ
        environ[CALLER] = check(environ, route, of_the_path.get("customer_id"))
        answer: ResponseReturnValue = view(**of_the_path)  # type: ignore[assignment]  # none of ours is async
        return answer

    return guarded
