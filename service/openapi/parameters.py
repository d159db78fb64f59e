"""What may stand in paths, queries and headers, from the limits that the parser keeps."""

from service.answering.languages import LANGUAGES
from service.openapi.json_schema import Json
from service.web.parameters import (
    CATEGORY_BYTES,
    EXCLUDE_MAX,
    FORCED,
    ID_BYTES,
    IDS_BYTES,
    N_DEFAULT,
    N_MAX,
    N_MIN,
    OBJECTIVES,
    OFFER_OBJECTIVES,
    PLACEMENT,
    VIEWED_MAX,
    WITHIN_MAX,
)

ID: Json = {"type": "string", "minLength": 1, "maxLength": ID_BYTES, "pattern": "^[^\\u0000]+$"}
INNER = r"[^\s\u0000\u001c-\u001f\u0085]"  # no blank, as `check_kept_id` knows them
KEPT_ID: Json = ID | {"pattern": rf"^{INNER}([^\u0000]*{INNER})?$"}


def in_path(name: str, description: str) -> Json:
    """An id in the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": ID}


def joined_ids(most: int) -> Json:
    """Ids with commas between them: a string, since an array can't tell [""] from [], nor an id with a comma
    from two ids."""
    return {"type": "string", "pattern": f"^([^,]+(,[^,]+){{0,{most - 1}}})?$"}


def in_query(name: str, description: str, schema: Json) -> Json:
    """A parameter of the query, which may be left out."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


N = in_query(
    "n", "How many products.", {"type": "integer", "minimum": N_MIN, "maximum": N_MAX, "default": N_DEFAULT}
)
AT_PLACEMENT = in_query(
    "placement",
    "Where it will be shown: the merchandiser's rules may differ by it.",
    {"type": "string", "pattern": f"^{PLACEMENT.pattern}$"},
)
CATEGORY = in_query(
    "category",
    "Only products of this category.",
    {"type": "string", "minLength": 1, "maxLength": CATEGORY_BYTES},
)
EXCLUDE = in_query(
    "exclude",
    f"Product ids that may not be shown, joined by commas: at most {EXCLUDE_MAX}, of at most "
    f"{ID_BYTES} bytes each and {IDS_BYTES} bytes in all. Unknown ones are ignored.",
    joined_ids(EXCLUDE_MAX),
)
WHICH = [N, AT_PLACEMENT, CATEGORY, EXCLUDE]
VIEWED = in_query(
    "viewed",
    "Product ids that the visitor looked at just now, the latest first, joined by commas: at most "
    f"{VIEWED_MAX}. The list of somebody of whom no purchase is known begins with what goes with them; else "
    "they change nothing.",
    joined_ids(VIEWED_MAX),
)
OBJECTIVE = in_query(
    "objective",
    "What the order is for: what is bought most probably, what is worth most (probability times margin), "
    "what the customer never bought before, or what is due again.",
    {"enum": list(OBJECTIVES), "default": OBJECTIVES[0]},
)
OFFER_OBJECTIVE = in_query(
    "objective",
    "What the order is for: what an offer adds, or how probably it is redeemed.",
    {"enum": list(OFFER_OBJECTIVES), "default": OFFER_OBJECTIVES[0]},
)
WITHIN = in_query(
    "within",
    "Within how many days it is due; 0 for today or earlier.",
    {"type": "integer", "minimum": 0, "maximum": WITHIN_MAX, "default": 0},
)
VARIANT = in_query(
    "variant",
    "Of which experiment's variant, as EXPERIMENT:VARIANT: for an operator's key alone. Left out of "
    "the experiment's report. A customer who allows no experiments gets what they would have got.",
    {"type": "string", "pattern": f"^{FORCED.pattern}$"},
)
LANGUAGE: Json = {
    "name": "Accept-Language",
    "in": "header",
    "description": f"The language of the reasons: {', '.join(LANGUAGES)}; English for any other.",
    "schema": {"type": "string"},
}
