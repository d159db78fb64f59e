"""Puts the gate before every view of a Flask app: around the views, since Flask's hooks cost more."""

from typing import TYPE_CHECKING, Any

from flask import request
from flask.typing import ResponseReturnValue, RouteCallable

from service.access.callers import Caller
from service.access.gate import Gate
from service.access.routes import ROUTES, Route, UndeclaredRouteError
from service.web.thin_flask import DirectView, ThinFlask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

CALLER = "nextbest.caller"


def guard(app: ThinFlask, gate: Gate) -> None:
    """Guard all views that the app has now: call it when no more are added.

    Raises:
        UndeclaredRouteError: the table says of one of them nowhere who may call it.
    """
    for name, view in app.view_functions.items():
        if name not in ROUTES:
            raise UndeclaredRouteError(name)
        if name in app.direct:  # which `view` calls
            app.direct[name] = _guarded_direct(app.direct[name], ROUTES[name], gate)
        else:
            app.view_functions[name] = _guarded(view, ROUTES[name], gate)


def caller_of(environ: "WSGIEnvironment") -> Caller | None:
    """Who calls, once the guard has let them in; None if nobody needs a credential."""
    caller: Caller | None = environ[CALLER]
    return caller


def client_of(environ: "WSGIEnvironment") -> str:
    """Id of the key that a call came with, for the record; empty without one."""
    caller = caller_of(environ)
    return caller.key_id if caller else ""


def _guarded(view: RouteCallable, route: Route, gate: Gate) -> RouteCallable:
    check = gate.check

    def guarded(**of_the_path: Any) -> ResponseReturnValue:
        environ = request.environ
        environ[CALLER] = check(environ, route, of_the_path.get("customer_id"))
        answer: ResponseReturnValue = view(**of_the_path)  # type: ignore[assignment]  # none of ours is async
        return answer

    return guarded


def _guarded_direct(view: DirectView, route: Route, gate: Gate) -> DirectView:
    check = gate.check

    def guarded(environ: "WSGIEnvironment", named: str) -> "WSGIApplication":
        environ[CALLER] = check(environ, route, named)
        return view(environ, named)

    return guarded
