"""What answers say of offers, in the API's own description."""

from service.openapi.json_schema import ANY_OBJECT, MAYBE_NUMBER, MAYBE_TEXT, TEXT, Json, exactly, ref
from service.web.parameters import N_MAX


def offer_schemas() -> Json:
    """All schemas that offers need."""
    moment = MAYBE_TEXT | {"format": "date-time"}
    offer: Json = {
        "offer_id": TEXT,
        "discount": MAYBE_NUMBER,
        "starts_at": moment,
        "ends_at": moment,
        "promised_until": moment,
        "probability": MAYBE_NUMBER,
        "expected_value": MAYBE_NUMBER,
    }
    reason = exactly(
        code={"enum": ["bought_before", "others_redeem", "for_everybody"]}, text=TEXT, evidence=ANY_OBJECT
    )
    return {
        "OfferOfProduct": exactly(**offer),
        "Offer": exactly(
            rank={"type": "integer", "minimum": 1, "maximum": N_MAX},
            **offer,
            n_products={"type": "integer", "minimum": 1},
            products={"type": "array", "items": exactly(product_id=TEXT, title=TEXT)},
            reason=reason,
        ),
        "Offers": exactly(
            customer_id=TEXT,
            request_id=TEXT,
            version=TEXT,
            source={"enum": ["personal", "popular"]},
            offers={"type": "array", "maxItems": N_MAX, "items": ref("Offer")},
        ),
    }
