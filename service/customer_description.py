"""/customers/<id> in the API's own description."""

from collections.abc import Callable

from service.json_schema import ANY_OBJECT, Json, as_json, exactly
from storage.record.consent import PRESETS
from storage.record.tables import CONSENTS

WRITE_ERRORS = ("400", "411", "413", "415", "503", "507")


def customers_path(
    customer: Json,
    problems: Callable[[str, tuple[str, ...]], Json],
    security: Callable[[str], list[Json]],
) -> Json:
    """The three operations.

    Args:
        customer: the parameter of the path.
        problems: error answers of a route, by its name and statuses.
        security: what a caller of a route needs.
    """

    def operation(name: str, summary: str, answer: str, errors: tuple[str, ...], body: str = "") -> Json:
        described: Json = {
            "operationId": name,
            "summary": summary,
            "parameters": [customer],
            "responses": {
                "200": {"description": summary, "content": as_json(answer)},
                **problems(name, errors),
            },
            "security": security(name),
        }
        return described | ({"requestBody": {"required": True, "content": as_json(body)}} if body else {})

    return {
        "get": operation(
            "get_customer",
            "All that is held of a customer; to a customer's token what is allowed, alone",
            "CustomerExport",
            ("400", "503"),
        ),
        "put": operation(
            "put_customer",
            "What a customer allows from now on, durable and obeyed at once",
            "CustomerConsent",
            WRITE_ERRORS,
            "ConsentChange",
        ),
        "delete": operation(
            "delete_customer",
            "Erase a customer: gone when it is answered; may be asked again at any time",
            "Erasure",
            ("400", "503", "507"),
        ),
    }


def customer_schemas() -> Json:
    """All schemas that these operations refer to."""
    text, number = {"type": "string"}, {"type": "integer"}
    consents: Json = {name: {"type": "boolean"} for name in CONSENTS}
    rows = {"type": "array", "items": ANY_OBJECT}
    elsewhere = exactly(
        **{"where": text, "until": {"type": ["string", "null"], "format": "date-time"}, "what": text}
    )
    file = exactly(path=text, what=text, written_at=text | {"format": "date-time"})
    moment = text | {"format": "date-time"}
    export = exactly(
        customer_id=text,
        consent=exactly(**consents),
        consents=rows,
        events=rows,
        quarantine=rows,
        exposures=rows,
        promises=rows,
        night={**ANY_OBJECT, "type": ["object", "null"]},
    )
    some = {"type": "object", "properties": consents, "additionalProperties": False, "minProperties": 1}
    return {
        "ConsentChange": exactly(consent={"oneOf": [{"enum": list(PRESETS)}, some]}),
        "CustomerConsent": exactly(customer_id=text, consent=exactly(**consents)),
        "CustomerExport": export | {"required": ["customer_id", "consent"]},  # to a token no more than these
        "Erasure": exactly(
            customer_id=text,
            erased_at=moment,
            number=number,
            deleted={"type": "object", "additionalProperties": number},
            elsewhere={"type": "array", "items": elsewhere},
            files={"type": ["array", "null"], "items": file},
        ),
    }
