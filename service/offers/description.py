"""What answers say of offers, in the API's own description."""

from service.openapi.json_schema import ANY_OBJECT, Json, exactly, ref
from service.web.parameters import N_MAX


def offer_schemas() -> Json:
    """All schemas that offers need."""
    text, maybe_number = {"type": "string"}, {"type": ["number", "null"]}
    moment = {"type": ["string", "null"], "format": "date-time"}
    offer: Json = {
        "offer_id": text,
        "discount": maybe_number,
        "starts_at": moment,
        "ends_at": moment,
        "promised_until": moment,
        "probability": maybe_number,
        "expected_value": maybe_number,
    }
    reason = exactly(
        code={"enum": ["bought_before", "others_redeem", "for_everybody"]}, text=text, evidence=ANY_OBJECT
    )
    return {
        "OfferOfProduct": exactly(**offer),
        "Offer": exactly(
            rank={"type": "integer", "minimum": 1, "maximum": N_MAX},
            **offer,
            n_products={"type": "integer", "minimum": 1},
            products={"type": "array", "items": exactly(product_id=text, title=text)},
            reason=reason,
        ),
        "Offers": exactly(
            customer_id=text,
            request_id=text,
            version=text,
            source={"enum": ["personal", "popular"]},
            offers={"type": "array", "maxItems": N_MAX, "items": ref("Offer")},
        ),
    }
