"""POST /events in the API's own description, from the models that check what is sent."""

from pydantic.json_schema import models_json_schema

from service.events.desk import STATUS
from service.events.schemas import BATCH_MAX, MODELS
from service.openapi.json_schema import MAYBE_TEXT, TEXT, Json, exactly, ref
from service.openapi.operation import KEEPING, operation

_VIEW: Json = {"type": "view", "event_id": "v1", "customer_id": "42", "product_id": "995242"}
_CLICK: Json = {
    **{"type": "click", "event_id": "c1", "customer_id": "42", "product_id": "995242"},
    **{"request_id": "b3401ddf511ab7115c13865c", "position": 2},
}
_PURCHASE: Json = {
    **{"type": "purchase", "event_id": "A-1001/1", "customer_id": "42", "product_id": "1082185"},
    **{"order_id": "A-1001", "quantity": 2},
}
_EXAMPLES: Json = {
    "view": {"summary": "A product's page was shown", "value": _VIEW},
    "click": {"summary": "A recommendation was clicked", "value": _CLICK},
    "purchase": {"summary": "One line of an order; never from a browser", "value": _PURCHASE},
    "many": {"summary": "Up to 1,000 in one request", "value": {"events": [_PURCHASE, _VIEW]}},
}
_REFERENCE = "#/components/schemas/{model}"


def events_operation() -> Json:
    """The operation."""
    return operation(
        "events",
        "Keep what customers did: one event, or a batch",
        {"application/json": {"schema": {"oneOf": [ref("EventAnswer"), ref("EventBatchAnswer")]}}},
        ("409", "410", *KEEPING),
        body={
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"oneOf": [ref("Event"), ref("EventBatch")]},
                    "examples": _EXAMPLES,
                }
            },
        },
        answered="What became of each; whatever is recorded is durable",
    )


def event_schemas() -> Json:
    """All schemas that the operation refers to."""
    names = [model.__name__ for model in MODELS]
    _, definitions = models_json_schema([(model, "validation") for model in MODELS], ref_template=_REFERENCE)
    kinds: Json = definitions["$defs"]
    one_or_named = [
        ref("Event"),
        {"description": "Anything else is named in the answer, and the rest is kept"},
    ]
    mapping = {kinds[name]["properties"]["type"]["const"]: ref(name)["$ref"] for name in names}
    return kinds | {
        "Event": {
            "oneOf": [ref(name) for name in names],
            "discriminator": {"propertyName": "type", "mapping": mapping},
        },
        "EventBatch": exactly(
            events={"type": "array", "minItems": 1, "maxItems": BATCH_MAX, "items": {"anyOf": one_or_named}}
        ),
        **_answers(),
    }


def _answers() -> Json:
    count = {"type": "integer", "minimum": 0}
    fates = [str(fate) for fate in STATUS]
    kept = [fate for fate in fates if STATUS[fate] == 200]
    one = exactly(event_id=TEXT, fate={"enum": kept})
    one["properties"] |= {"reason": TEXT, "warning": TEXT}
    place: Json = {"type": "integer", "minimum": 0, "maximum": BATCH_MAX - 1}
    other = exactly(
        place=place,
        event_id=MAYBE_TEXT,
        fate={"enum": fates},
        reason=TEXT,
        status={"enum": sorted(set(STATUS.values()))},
    )
    counts = dict.fromkeys(fates, count)
    batch = exactly(
        received=count,
        **counts,
        not_recorded={"type": "array", "items": other},
        warnings={"type": "array", "items": exactly(place=place, event_id=TEXT, warning=TEXT)},
    )
    return {"EventAnswer": one, "EventBatchAnswer": batch}
