"""What POST /basket and POST /recommend are asked."""

from service.openapi.json_schema import MAYBE_TEXT, Json
from service.openapi.parameters import AT_PLACEMENT, CATEGORY, ID, N
from service.web.parameters import EXCLUDE_MAX, OBJECTIVES
from service.web.questions import CART_MAX, CUSTOMERS_MAX, PRODUCTS_MAX

CART_EXAMPLE: Json = {"product_ids": ["1082185", "995242"], "customer_id": "42", "n": 3}
MANY_EXAMPLE: Json = {"customer_ids": ["42", "7"], "n": 3, "placement": "mail"}
COMMON: Json = {
    "n": N["schema"],
    "placement": AT_PLACEMENT["schema"] | MAYBE_TEXT,
    "category": CATEGORY["schema"] | MAYBE_TEXT,
    "exclude": {"type": "array", "maxItems": EXCLUDE_MAX, "items": ID},
}


def question_schemas() -> Json:
    """The schemas of both."""
    customer = {**ID, **MAYBE_TEXT, "description": "Whose list orders what goes with the cart."}
    many = f"Customers times n is {PRODUCTS_MAX} at most."
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
