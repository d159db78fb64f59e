"""One operation: what it takes, what it answers and refuses, and who may call it."""

from collections.abc import Sequence

from service.access.routes import MEANING, ROUTES, Customers, Scope
from service.answering.languages import LANGUAGES
from service.openapi.json_schema import Json, ref
from service.openapi.parameters import LANGUAGE
from service.web.problems import PROBLEM_JSON

ERRORS = {
    "400": "A parameter or id can't be used",
    "401": "Neither an API key nor a customer's token that is valid",
    "403": "The key or token may not do that; whether the id exists makes no difference",
    "404": "The product, or the version of the rules, isn't known",
    "409": "Another event has this event_id, or rules come from a file",
    "410": "The customer was erased",
    "411": "The body's length isn't told beforehand",
    "413": "The body is too large",
    "415": "The body isn't JSON",
    "421": "No key was made yet, and the call's Host isn't this machine",
    "429": "Too many requests; Retry-After says when to go on",
    "503": "It can't be answered now; Retry-After says when to ask again",
    "507": "There is no room to keep it",
}
WITH_BODY = ("400", "411", "413", "415", "503")  # what every route with a body may answer
KEEPING = (*WITH_BODY, "507")  # and every one that keeps what it is told
RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
TOLD_IN: Json = {
    "Content-Language": {"description": "That of the reasons.", "schema": {"enum": list(LANGUAGES)}},
    "Vary": {"description": "Has Accept-Language.", "schema": {"type": "string"}},
}
SECURITY_SCHEMES: Json = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "Of the shop's back end; never from a browser.",
    },
    "customerToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Of one customer, for at most 15 minutes; for its own id only.",
    },
    "operatorKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key of the scope operate, on the operator's listener.",
    },
}
HEALTH = "health"  # the tag of what takes no key
TAGS: list[Json] = [
    *({"name": scope.value, "description": meaning} for scope, meaning in MEANING.items()),
    {"name": HEALTH, "description": "whether it is there and can answer; without a key"},
]


def operation(
    name: str,
    summary: str,
    answer: Json,
    errors: Sequence[str] = (),
    *,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    answered: str | None = None,
) -> Json:
    """An operation.

    Args:
        name: of its line in `ROUTES`; the scope there is also its tag, by which /docs groups.
        answer: the content of a 200.
        errors: statuses of `ERRORS`, besides those of the gate.
        body: what it takes, with its media type.
        answered: what a 200 says; None: the summary.
    """
    scope = ROUTES[name].scope
    success: Json = {"description": answered or summary, "content": answer}
    if LANGUAGE in parameters:
        success["headers"] = TOLD_IN
    refusals = ("401", "403", "421", "429") if scope else ()
    return {
        "operationId": name,
        "summary": summary,
        "tags": [scope.value if scope else HEALTH],
        **({"parameters": list(parameters)} if parameters else {}),
        **({"requestBody": body} if body else {}),
        "responses": {"200": success} | {status: _problem(status) for status in sorted((*errors, *refusals))},
        "security": _security(name),
    }


def _problem(status: str) -> Json:
    return {
        "description": ERRORS[status],
        **({"headers": RETRY_AFTER} if status in ("429", "503") else {}),
        "content": {PROBLEM_JSON: {"schema": ref("Problem")}},
    }


def _security(name: str) -> list[Json]:
    """What a caller needs; the names after a key are its scopes."""
    route = ROUTES[name]
    if route.scope is None:
        return []
    if route.scope is Scope.OPERATE:
        return [{"operatorKey": [route.scope.value]}]
    key: list[Json] = [{"apiKey": [route.scope.value]}]
    return key if route.customers is Customers.NOTHING else [*key, {"customerToken": []}]
