"""POST /basket and POST /recommend in the API's own description."""

from service.json_schema import Json, as_json, exactly, ref
from service.languages import LANGUAGES
from service.parameters import (
    CATEGORY_BYTES,
    EXCLUDE_MAX,
    ID_BYTES,
    N_DEFAULT,
    N_MAX,
    N_MIN,
    OBJECTIVES,
    PLACEMENT,
)
from service.questions import CART_MAX, CUSTOMERS_MAX, PRODUCTS_MAX

ID: Json = {"type": "string", "minLength": 1, "maxLength": ID_BYTES, "pattern": "^[^\\u0000]+$"}
INNER = r"[^\s\u0000\u001c-\u001f\u0085]"  # no blank, as `check_kept_id` knows them
KEPT_ID: Json = ID | {"pattern": rf"^{INNER}([^\u0000]*{INNER})?$"}
COMMON: Json = {
    "n": {"type": "integer", "minimum": N_MIN, "maximum": N_MAX, "default": N_DEFAULT},
    "placement": {"type": ["string", "null"], "pattern": f"^{PLACEMENT.pattern}$"},
    "category": {"type": ["string", "null"], "minLength": 1, "maxLength": CATEGORY_BYTES},
    "exclude": {"type": "array", "maxItems": EXCLUDE_MAX, "items": ID},
}


LANGUAGE: Json = {
    "name": "Accept-Language",
    "in": "header",
    "description": f"The language of the reasons: {', '.join(LANGUAGES)}; English for any other.",
    "schema": {"type": "string"},
}
TOLD_IN: Json = {
    "Content-Language": {"description": "That of the reasons.", "schema": {"enum": list(LANGUAGES)}},
    "Vary": {"description": "Has Accept-Language.", "schema": {"type": "string"}},
}


def body_operation(
    name: str, summary: str, asked: str, answer: str, problems: Json, security: list[Json]
) -> Json:
    """An operation with a body of one schema and an answer of another."""

    return {
        "operationId": name,
        "summary": summary,
        "parameters": [LANGUAGE],
        "requestBody": {"required": True, "content": as_json(asked)},
        "responses": {
            "200": {"description": summary, "headers": TOLD_IN, "content": as_json(answer)},
            **problems,
        },
        "security": security,
    }


def question_schemas() -> Json:
    """What is asked."""
    customer = {**ID, "type": ["string", "null"], "description": "Whose list orders what goes with the cart."}
    many = f"Of customers times n there may be {PRODUCTS_MAX}."
    return {
        "CartQuestion": {
            "type": "object",
            "properties": {
                "product_ids": {"type": "array", "minItems": 1, "maxItems": CART_MAX, "items": ID},
                "customer_id": customer,
                **COMMON,
            },
            "required": ["product_ids"],
            "additionalProperties": False,
        },
        "ManyQuestion": {
            "type": "object",
            "description": many,
            "properties": {
                # Of any type: what can't be an id fails by itself.
                "customer_ids": {"type": "array", "minItems": 1, "maxItems": CUSTOMERS_MAX, "items": {}},
                "objective": {"enum": [*OBJECTIVES, None], "default": OBJECTIVES[0]},
                **COMMON,
            },
            "required": ["customer_ids"],
            "additionalProperties": False,
        },
    }


def answer_schemas(of_all: Json, products: Json) -> Json:
    """What is answered.

    Args:
        of_all: properties of every answer with products.
        products: the schema of its list.
    """

    def answer(sources: list[str], **more: Json) -> Json:
        return exactly(**more, **of_all, source={"enum": sources}, recommendations=products)

    either = [ref("Recommendations"), ref("Failed")]
    return {
        "ManyAnswers": exactly(
            received={"type": "integer", "minimum": 1},
            failed={"type": "integer", "minimum": 0},
            answers={"type": "array", "items": {"oneOf": either}},
        ),
        "Failed": exactly(customer_id={"type": "null"}, problem=ref("Problem")),
        "Reorder": answer(["personal", "session", "unknown"], customer_id={"type": "string"}),
        "Basket": answer(["personal", "basket", "popular"]),
    }
