"""What /customers/<id> takes and answers."""

from service.openapi.json_schema import ANY_OBJECT, MAYBE_TEXT, TEXT, Json, as_body, as_json, exactly
from service.openapi.operation import KEEPING, operation
from storage.record.consent import PRESETS
from storage.record.tables import CONSENTS


def customers_path(customer: Json) -> Json:
    """The three operations, with this parameter of the path."""
    return {
        "get": operation(
            "get_customer",
            "All that is held of a customer; to a customer's token what is allowed, alone",
            as_json("CustomerExport"),
            ("400", "503"),
            parameters=[customer],
        ),
        "put": operation(
            "put_customer",
            "What a customer allows from now on, durable and obeyed at once",
            as_json("CustomerConsent"),
            KEEPING,
            parameters=[customer],
            body=as_body("ConsentChange", {"consent": "no_personalisation"}),
        ),
        "delete": operation(
            "delete_customer",
            "Erase a customer: gone when it is answered; may be asked again at any time",
            as_json("Erasure"),
            ("400", "503", "507"),
            parameters=[customer],
        ),
    }


def customer_schemas() -> Json:
    """All schemas that these operations refer to."""
    number = {"type": "integer"}
    consents: Json = {name: {"type": "boolean"} for name in CONSENTS}
    rows = {"type": "array", "items": ANY_OBJECT}
    elsewhere = exactly(**{"where": TEXT, "until": MAYBE_TEXT | {"format": "date-time"}, "what": TEXT})
    file = exactly(path=TEXT, what=TEXT, written_at=TEXT | {"format": "date-time"})
    moment = TEXT | {"format": "date-time"}
    export = exactly(
        customer_id=TEXT,
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
        "CustomerConsent": exactly(customer_id=TEXT, consent=exactly(**consents)),
        "CustomerExport": export | {"required": ["customer_id", "consent"]},  # to a token no more than these
        "Erasure": exactly(
            customer_id=TEXT,
            erased_at=moment,
            number=number,
            deleted={"type": "object", "additionalProperties": number},
            elsewhere={"type": "array", "items": elsewhere},
            files={"type": ["array", "null"], "items": file},
        ),
    }
