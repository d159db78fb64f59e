"""/customers/<id> in the API's own description."""

from collections.abc import Callable
from typing import Any

from storage.record.consent import PRESETS
from storage.record.tables import CONSENTS

type Json = dict[str, Any]

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
                "200": {"description": summary, "content": _content(answer)},
                **problems(name, errors),
            },
            "security": security(name),
        }
        return described | ({"requestBody": {"required": True, "content": _content(body)}} if body else {})

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
    rows = {"type": "array", "items": {"type": "object"}}
    elsewhere = _object(
        {"where": text, "until": {"type": ["string", "null"], "format": "date-time"}, "what": text}
    )
    file = _object({"path": text, "what": text, "written_at": text | {"format": "date-time"}})
    moment = text | {"format": "date-time"}
    export = _object(
        {
            "customer_id": text,
            "consent": _object(consents),
            "consents": rows,
            "events": rows,
            "quarantine": rows,
            "exposures": rows,
            "promises": rows,
            "night": {"type": ["object", "null"]},
        }
    )
    return {
        "ConsentChange": _object(
            {
                "consent": {
                    "oneOf": [
                        {"enum": list(PRESETS)},
                        {
                            "type": "object",
                            "properties": consents,
                            "additionalProperties": False,
                            "minProperties": 1,
                        },
                    ]
                }
            }
        ),
        "CustomerConsent": _object({"customer_id": text, "consent": _object(consents)}),
        "CustomerExport": export | {"required": ["customer_id", "consent"]},  # to a token no more than these
        "Erasure": _object(
            {
                "customer_id": text,
                "erased_at": moment,
                "number": number,
                "deleted": {"type": "object", "additionalProperties": number},
                "elsewhere": {"type": "array", "items": elsewhere},
                "files": {"type": ["array", "null"], "items": file},
            }
        ),
    }


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _object(properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
