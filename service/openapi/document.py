"""The API's own description (OpenAPI 3.1): of each listener a document of what it answers."""

import json
import re
from collections.abc import Sequence

from service.events.description import event_schemas, events_operation
from service.offers.description import offer_schemas
from service.openapi.answers import answer_schemas
from service.openapi.customers import customer_schemas, customers_path
from service.openapi.json_schema import Json, as_body, as_json
from service.openapi.operation import KEEPING, SECURITY_SCHEMES, TAGS, WITH_BODY, operation
from service.openapi.parameters import (
    AT_PLACEMENT,
    KEPT_ID,
    LANGUAGE,
    OBJECTIVE,
    OFFER_OBJECTIVE,
    VARIANT,
    VIEWED,
    WHICH,
    WITHIN,
    N,
    in_path,
)
from service.openapi.questions import CART_EXAMPLE, MANY_EXAMPLE, question_schemas
from service.rules.description import rules_paths, rules_schemas

CUSTOMER = in_path("customer_id", "The customer, as the shop's history names it. Any id, known or not.")
PRODUCT = in_path("product_id", "A product of the shop's history.")

SCHEMA = re.compile(r'"#/components/schemas/(\w+)"')


def public_document(*, has_metrics: bool) -> Json:
    """Of the public listener.

    Args:
        has_metrics: it answers /metrics too, as until the first key is made.
    """
    paths = _product_paths() | _shop_paths() | _health_paths()
    return _document(paths | _metrics_path() if has_metrics else paths)


def operator_document() -> Json:
    """Of the operator's."""
    return _document(_metrics_path() | rules_paths())


def _document(paths: Json) -> Json:
    """These paths, and of tags, schemas and credentials those that they name."""
    operations = [what for item in paths.values() for what in item.values()]
    tags = {tag for what in operations for tag in what["tags"]}
    credentials = {name for what in operations for either in what["security"] for name in either}
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
        "tags": [tag for tag in TAGS if tag["name"] in tags],
        "paths": paths,
        "components": {
            "schemas": _schemas_of(paths),
            "securitySchemes": {
                name: scheme for name, scheme in SECURITY_SCHEMES.items() if name in credentials
            },
        },
    }


def _schemas_of(paths: Json) -> Json:
    """The schemas that paths refer to, and those that these do."""
    schemas: Json = {
        **answer_schemas(),
        **question_schemas(),
        **offer_schemas(),
        **event_schemas(),
        **customer_schemas(),
        **rules_schemas(),
    }
    used: set[str] = set()
    new = set(SCHEMA.findall(json.dumps(paths)))
    while new:
        used |= new
        new = set(SCHEMA.findall(json.dumps([schemas[name] for name in new]))) - used
    return {name: schema for name, schema in schemas.items() if name in used}


def _product_paths() -> Json:
    """What answers with products or offers."""

    def asked(
        name: str, summary: str, answer: str, *parameters: Json, errors: Sequence[str] = ("400", "503")
    ) -> Json:
        return {"get": operation(name, summary, as_json(answer), errors, parameters=parameters)}

    def with_body(name: str, summary: str, question: Json, answer: str) -> Json:
        return {
            "post": operation(name, summary, as_json(answer), WITH_BODY, parameters=[LANGUAGE], body=question)
        }

    return {
        "/recommend/{customer_id}": asked(
            "recommend",
            "The next best products of a customer; the popular ones for a customer that isn't known",
            "Recommendations",
            *(CUSTOMER, *WHICH, OBJECTIVE, VIEWED, VARIANT, LANGUAGE),
        ),
        "/offers/{customer_id}": asked(
            "offers",
            "The next best offers of a customer; those for everybody for a customer that isn't known",
            "Offers",
            *(CUSTOMER, N, AT_PLACEMENT, OFFER_OBJECTIVE, LANGUAGE),
        ),
        "/recommend": with_body(
            "recommend_many",
            "The next best products of up to 1,000 customers, in their order; each one's failure stands by "
            "itself",
            as_body("ManyQuestion", MANY_EXAMPLE),
            "ManyAnswers",
        ),
        "/reorder/{customer_id}": asked(
            "reorder",
            "What a customer bought before and is due again",
            "Reorder",
            *(CUSTOMER, *WHICH, WITHIN, LANGUAGE),
        ),
        "/basket": with_body(
            "basket",
            "What goes with a cart, and never what is in it",
            as_body("CartQuestion", CART_EXAMPLE),
            "Basket",
        ),
        "/popular": asked("popular", "The most popular products", "Popular", *WHICH, LANGUAGE),
        "/similar/{product_id}": asked(
            "similar",
            "Products that the same customers bought",
            "Similar",
            *(PRODUCT, *WHICH, LANGUAGE),
            errors=("400", "404", "503"),
        ),
    }


def _shop_paths() -> Json:
    """What the shop tells."""
    put_product = operation(
        "put_product",
        "A product's stock, price and margin from now on",
        as_json("LiveProductAnswer"),
        KEEPING,
        parameters=[PRODUCT | {"schema": KEPT_ID}],
        body=as_body("LiveProduct", {"stock": 0, "price": 0.89}),
        answered="What is in force now, and durable",
    )
    return {
        "/events": {"post": events_operation()},
        "/products/{product_id}": {"put": put_product},
        "/customers/{customer_id}": customers_path(CUSTOMER | {"schema": KEPT_ID}),
    }


def _health_paths() -> Json:
    """What is asked about the service itself."""
    return {
        "/health/live": {"get": operation("live", "Is the process there", as_json("Live"))},
        "/health/ready": {
            "get": operation("ready", "Is there a version to answer from", as_json("Ready"), ["503"])
        },
    }


def _metrics_path() -> Json:
    text: Json = {"text/plain": {}}
    return {
        "/metrics": {"get": operation("metrics", "Figures for Prometheus", text, answered="Prometheus text")}
    }
