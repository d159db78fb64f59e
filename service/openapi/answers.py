"""What routes answer that have no description of their own: products with their reasons, health, problems."""

from service.openapi.json_schema import ANY_OBJECT, MAYBE_NUMBER, MAYBE_TEXT, TEXT, Json, exactly, ref
from service.routes.products import AMOUNT_MAX, STOCK_MAX
from service.web.parameters import N_MAX

REASON_CODES = [
    *("due_again", "bought_before", "because_you_bought", "similar", "alike"),
    *("bought_with", "new_in", "popular_in", "on_offer", "popular", "chosen_by_shop"),
]


def answer_schemas() -> Json:
    """The schemas of all of these."""
    return _lists() | _product() | _live_product() | _health() | {"Problem": _problem()}


def _lists() -> Json:
    """Answers with products."""
    experiment = exactly(id=TEXT, variant=TEXT)
    products = {"type": "array", "maxItems": N_MAX, "items": ref("Product")}

    def answer(*sources: str, of_experiments: bool = False, **more: Json) -> Json:
        experiments = {"type": "array", "items": experiment} | ({} if of_experiments else {"maxItems": 0})
        return exactly(
            **more,
            request_id=TEXT,
            version=TEXT,
            variant=TEXT,
            experiments=experiments,
            source={"enum": list(sources)} if len(sources) > 1 else {"const": sources[0]},
            recommendations=products,
        )

    return {
        "Recommendations": answer(
            *("personal", "session", "viewed", "popular"), of_experiments=True, customer_id=TEXT
        ),
        "ManyAnswers": exactly(
            received={"type": "integer", "minimum": 1},
            failed={"type": "integer", "minimum": 0},
            answers={"type": "array", "items": {"oneOf": [ref("Recommendations"), ref("Failed")]}},
        ),
        "Failed": exactly(customer_id={"type": "null"}, problem=ref("Problem")),
        "Reorder": answer("personal", "session", "unknown", customer_id=TEXT),
        "Basket": answer("personal", "basket", "popular"),
        "Popular": answer("popular"),
        "Similar": answer("similar", product_id=TEXT),
    }


def _product() -> Json:
    probability: Json = {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": 1,
        "description": "That the customer buys the product within the horizon; null where it isn't known.",
    }
    due_on: Json = {
        "type": "string",
        "format": "date",
        "description": (
            "When the product is to be bought again; only with `due_again`, and only where it is known."
        ),
    }
    reason = exactly(code={"enum": REASON_CODES}, text=TEXT, evidence=ANY_OBJECT)
    reason["properties"]["due_on"] = due_on
    return {
        "Product": exactly(
            product_id=TEXT,
            rank={"type": "integer", "minimum": 1, "maximum": N_MAX},
            probability=probability,
            expected_value=MAYBE_NUMBER,
            title=TEXT,
            category=MAYBE_TEXT,
            price=MAYBE_NUMBER,
            url=MAYBE_TEXT,
            image_url=MAYBE_TEXT,
            offer={"oneOf": [{"type": "null"}, ref("OfferOfProduct")]},
            reason=ref("Reason"),
        ),
        "Reason": reason,
    }


def _live_product() -> Json:
    """What PUT /products takes and answers."""
    amount = MAYBE_NUMBER | {"maximum": AMOUNT_MAX}
    live: Json = {
        "stock": {"type": ["integer", "null"], "minimum": -STOCK_MAX, "maximum": STOCK_MAX},
        "price": amount | {"minimum": 0},
        "margin": amount | {"minimum": -AMOUNT_MAX},
    }
    return {
        "LiveProduct": {
            "type": "object",
            "properties": live,
            "additionalProperties": False,
            "minProperties": 1,
            "description": "What is left out or null is again as the last night has it.",
        },
        "LiveProductAnswer": exactly(product_id=TEXT, **live, known={"type": "boolean"}),
    }


def _health() -> Json:
    return {
        "Live": exactly(status={"const": "live"}),
        "Ready": exactly(
            status={"const": "ready"},
            version=TEXT,
            variant=TEXT,
            as_of=TEXT | {"format": "date-time"},
            age_s={"type": "integer"},
            redis={"enum": ["up", "down", "none"]},
        ),
    }


def _problem() -> Json:
    """RFC 9457."""
    texts = dict.fromkeys(("type", "title", "detail", "field", "reason"), TEXT)
    return {
        "type": "object",
        "properties": texts | {"status": {"type": "integer"}},
        "required": ["type", "title", "status", "detail"],
    }
