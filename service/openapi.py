"""The API's own description (OpenAPI 3.1), from the parser's limits and the table of who may call what."""

from service.access.routes import MEANING, ROUTES, Customers, Scope
from service.customer_description import customer_schemas, customers_path
from service.events.description import event_schemas, events_operation
from service.json_schema import ANY_OBJECT, Json, as_json, exactly, ref
from service.offers.description import OFFER_OBJECTIVE, offer_schemas
from service.parameters import (
    CATEGORY_BYTES,
    EXCLUDE_BYTES,
    EXCLUDE_MAX,
    FORCED,
    ID_BYTES,
    N_DEFAULT,
    N_MAX,
    N_MIN,
    OBJECTIVES,
    PLACEMENT,
    WITHIN_MAX,
)
from service.problems import PROBLEM_JSON
from service.product_routes import AMOUNT_MAX, STOCK_MAX
from service.question_description import (
    ID,
    KEPT_ID,
    LANGUAGE,
    TOLD_IN,
    answer_schemas,
    body_operation,
    question_schemas,
)
from service.rules.description import ERRORS as RULES_ERRORS
from service.rules.description import rules_paths, rules_schemas

MANY = "The next best products of up to 1,000 customers, in their order; each one's failure stands by itself"
CART = "What goes with a cart, and never what is in it"

REASON_CODES = [
    *("due_again", "bought_before", "because_you_bought", "similar", "bought_with"),
    *("new_in", "popular_in", "on_offer", "popular", "chosen_by_shop"),
]
QUERY: list[Json] = [
    {
        "name": "n",
        "in": "query",
        "description": "How many products.",
        "schema": {"type": "integer", "minimum": N_MIN, "maximum": N_MAX, "default": N_DEFAULT},
    },
    {
        "name": "placement",
        "in": "query",
        "description": "Where it will be shown: the merchandiser's rules may differ by it.",
        "schema": {"type": "string", "pattern": f"^{PLACEMENT.pattern}$"},
    },
    {
        "name": "category",
        "in": "query",
        "description": "Only products of this category.",
        "schema": {"type": "string", "minLength": 1, "maxLength": CATEGORY_BYTES},
    },
    {
        "name": "exclude",
        "in": "query",
        "description": (
            f"Product ids that may not be shown, joined by commas: at most {EXCLUDE_MAX}, of at most "
            f"{ID_BYTES} bytes each and {EXCLUDE_BYTES} bytes in all. Unknown ones are ignored."
        ),
        # A string, not an array: an array can't tell [""] from [], nor an id with a comma from two ids.
        "schema": {"type": "string", "pattern": "^([^,]+(,[^,]+)*)?$"},
    },
]

OBJECTIVE: Json = {
    "name": "objective",
    "in": "query",
    "description": (
        "What the order is for: what is bought most probably, what is worth most (probability times margin), "
        "what the customer never bought before, or what is due again."
    ),
    "schema": {"enum": list(OBJECTIVES), "default": OBJECTIVES[0]},
}

WITHIN: Json = {
    "name": "within",
    "in": "query",
    "description": "Within how many days it is due; 0 for today or earlier.",
    "schema": {"type": "integer", "minimum": 0, "maximum": WITHIN_MAX, "default": 0},
}

VARIANT: Json = {
    "name": "variant",
    "in": "query",
    "description": (
        "Of which experiment's variant, as EXPERIMENT:VARIANT: for an operator's key alone. Left out of "
        "the experiment's report. A customer who allows no experiments gets what they would have got."
    ),
    "schema": {"type": "string", "pattern": f"^{FORCED.pattern}$"},
}

HEALTH = "health"  # the tag of what takes no key

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
    "429": "Too many requests; Retry-After says when to go on",
    "503": "It can't be answered now; Retry-After says when to ask again",
    "507": "There is no room to keep it",
}
RETRY_AFTER: Json = {
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}


def document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "nextbest",
            "version": "1",
            "description": (
                "Which products to show each customer of a shop next. Routes are grouped by the scope that "
                "an API key needs for them."
            ),
        },
        "tags": [
            *({"name": scope.value, "description": meaning} for scope, meaning in MEANING.items()),
            {"name": HEALTH, "description": "whether it is there and can answer; without a key"},
        ],
        "paths": _tagged(_paths()),
        "components": {"schemas": _schemas(), "securitySchemes": _security_schemes()},
    }


def _paths() -> Json:
    customer = _path_id("customer_id", "The customer, as the shop's history names it. Any id, known or not.")
    product = _path_id("product_id", "A product of the shop's history.")
    return {
        "/recommend/{customer_id}": _route(
            "recommend",
            "The next best products of a customer; the popular ones for a customer that isn't known",
            [customer, *QUERY, OBJECTIVE, VARIANT, LANGUAGE],
            "Recommendations",
            ("400", "503"),
        ),
        "/offers/{customer_id}": _route(
            "offers",
            "The next best offers of a customer; those for everybody for a customer that isn't known",
            [customer, *QUERY[:2], OFFER_OBJECTIVE, LANGUAGE],
            "Offers",
            ("400", "503"),
        ),
        "/recommend": {"post": _asked("recommend_many", MANY, "ManyQuestion", "ManyAnswers")},
        "/reorder/{customer_id}": _route(
            "reorder",
            "What a customer bought before and is due again",
            [customer, *QUERY, WITHIN, LANGUAGE],
            "Reorder",
            ("400", "503"),
        ),
        "/basket": {"post": _asked("basket", CART, "CartQuestion", "Basket")},
        "/popular": _route(
            "popular", "The most popular products", [*QUERY, LANGUAGE], "Popular", ("400", "503")
        ),
        "/similar/{product_id}": _route(
            "similar",
            "Products that the same customers bought",
            [product, *QUERY, LANGUAGE],
            "Similar",
            ("400", "404", "503"),
        ),
        "/events": {"post": _events()},
        "/products/{product_id}": {"put": _put_product(product | {"schema": KEPT_ID})},
        "/customers/{customer_id}": customers_path(
            customer | {"schema": KEPT_ID},
            lambda name, errors: _problems(errors + _refusals(name)),
            _security,
        ),
        "/health/live": _route("live", "Is the process there", [], "Live", ()),
        "/health/ready": _route("ready", "Is there a version to answer from", [], "Ready", ("503",)),
        "/metrics": _metrics(),
        **_rules(),
    }


def _tagged(paths: Json) -> Json:
    """Each operation with the scope that an API key needs for it as its tag: /docs shows them so."""
    for operations in paths.values():
        for operation in operations.values():
            scope = ROUTES[operation["operationId"]].scope
            operation["tags"] = [scope.value if scope else HEALTH]
    return paths


def _asked(name: str, summary: str, asked: str, answer: str) -> Json:
    errors = ("400", "411", "413", "415", "503")
    return body_operation(name, summary, asked, answer, _problems(errors + _refusals(name)), _security(name))


def _events() -> Json:
    errors = ("400", "409", "410", "411", "413", "415", "503", "507")
    return events_operation(_problems(errors + _refusals("events")), _security("events"))


def _put_product(product: Json) -> Json:
    summary, answer = "A product's stock, price and margin from now on", as_json("LiveProductAnswer")
    errors = ("400", "411", "413", "415", "503", "507")
    return {
        "operationId": "put_product",
        "summary": summary,
        "parameters": [product],
        "requestBody": {"required": True, "content": as_json("LiveProduct")},
        "responses": {
            "200": {"description": "What is in force now, and durable", "content": answer},
            **_problems(errors + _refusals("put_product")),
        },
        "security": _security("put_product"),
    }


def _path_id(name: str, description: str) -> Json:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": ID}


def _route(name: str, summary: str, parameters: list[Json], answer: str, errors: tuple[str, ...]) -> Json:
    told: Json = {"description": summary, "content": as_json(answer)}
    if LANGUAGE in parameters:
        told["headers"] = TOLD_IN
    responses: Json = {"200": told}
    return {
        "get": {
            "operationId": name,
            "summary": summary,
            "parameters": parameters,
            "responses": responses | _problems(errors + _refusals(name)),
            "security": _security(name),
        }
    }


def _rules() -> Json:
    problems = {name: _problems(some + _refusals(name)) for name, some in RULES_ERRORS.items()}
    return rules_paths(problems, {name: _security(name) for name in RULES_ERRORS})


def _metrics() -> Json:
    answer = {"description": "Prometheus text", "content": {"text/plain": {}}}
    return {
        "get": {
            "operationId": "metrics",
            "summary": "Figures for Prometheus, on the operator's listener",
            "responses": {"200": answer, **_problems(_refusals("metrics"))},
            "security": _security("metrics"),
        }
    }


def _problems(statuses: tuple[str, ...]) -> Json:
    content = {PROBLEM_JSON: {"schema": ref("Problem")}}
    return {
        status: {
            "description": ERRORS[status],
            **({"headers": RETRY_AFTER} if status in ("429", "503") else {}),
            "content": content,
        }
        for status in sorted(statuses)
    }


def _refusals(name: str) -> tuple[str, ...]:
    return ("401", "403", "429") if ROUTES[name].scope else ()


def _security(name: str) -> list[Json]:
    """What a caller needs; the names after a key are its scopes."""
    route = ROUTES[name]
    if route.scope is None:
        return []
    if route.scope is Scope.OPERATE:
        return [{"operatorKey": [route.scope.value]}]
    key: list[Json] = [{"apiKey": [route.scope.value]}]
    return key if route.customers is Customers.NOTHING else [*key, {"customerToken": []}]


def _security_schemes() -> Json:
    return {
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


def _probability() -> Json:
    what = "That the customer buys the product within the horizon; null where it isn't known."
    return {"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": what}


def _reason() -> Json:
    reason = exactly(
        code={"enum": REASON_CODES},
        text={"type": "string"},
        evidence=ANY_OBJECT,
    )
    what = "When the product is to be bought again; only with `due_again`, and only where it is known."
    reason["properties"]["due_on"] = {"type": "string", "format": "date", "description": what}
    return reason


def _schemas() -> Json:
    text, maybe_text = {"type": "string"}, {"type": ["string", "null"]}
    maybe_number, null = {"type": ["number", "null"]}, {"type": "null"}
    amount = {"type": ["number", "null"], "maximum": AMOUNT_MAX}
    live = {
        "stock": {"type": ["integer", "null"], "minimum": -STOCK_MAX, "maximum": STOCK_MAX},
        "price": {**amount, "minimum": 0},
        "margin": {**amount, "minimum": -AMOUNT_MAX},
    }
    products = {"type": "array", "maxItems": N_MAX, "items": ref("Product")}
    experiment = exactly(id=text, variant=text)
    of_all = {
        "request_id": text,
        "version": text,
        "variant": text,
        "experiments": {"type": "array", "items": experiment, "maxItems": 0},
    }
    tried = of_all | {"experiments": {"type": "array", "items": experiment}}
    return {
        "Recommendations": exactly(
            customer_id=text,
            **tried,
            source={"enum": ["personal", "session", "popular"]},
            recommendations=products,
        ),
        **offer_schemas(),
        **answer_schemas(of_all, products),
        **question_schemas(),
        "Popular": exactly(**of_all, source={"const": "popular"}, recommendations=products),
        "Similar": exactly(product_id=text, **of_all, source={"const": "similar"}, recommendations=products),
        "Product": exactly(
            product_id=text,
            rank={"type": "integer", "minimum": 1, "maximum": N_MAX},
            probability=_probability(),
            expected_value=maybe_number,
            title=text,
            category=maybe_text,
            price=maybe_number,
            url=maybe_text,
            image_url=maybe_text,
            offer={"oneOf": [null, ref("OfferOfProduct")]},
            reason=ref("Reason"),
        ),
        "Reason": _reason(),
        "Live": exactly(status={"const": "live"}),
        "Ready": exactly(
            status={"const": "ready"},
            version=text,
            variant=text,
            as_of={"type": "string", "format": "date-time"},
            age_s={"type": "integer"},
            redis={"enum": ["up", "down", "none"]},
        ),
        "LiveProduct": {
            "type": "object",
            "properties": live,
            "additionalProperties": False,
            "minProperties": 1,
            "description": "What is left out or null is again as the last night has it.",
        },
        "LiveProductAnswer": exactly(product_id=text, **live, known={"type": "boolean"}),
        **event_schemas(),
        **customer_schemas(),
        **rules_schemas(),
        "Problem": {
            "type": "object",
            "properties": {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "field": text,
                "reason": text,
            },
            "required": ["type", "title", "status", "detail"],
        },
    }
