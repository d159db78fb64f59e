"""The operator's routes about rules in the API's own description."""

from collections.abc import Sequence
from typing import Any

from service.openapi.json_schema import MAYBE_TEXT, TEXT, Json, as_body, as_json, exactly, ref
from service.openapi.operation import KEEPING, operation
from service.openapi.parameters import OBJECTIVE, WHICH, in_query
from service.web.parameters import ID_BYTES

COUNT: Json = {"type": "integer", "minimum": 0}
SHARE: Json = {"type": "number"}
AT = in_query(
    "at",
    "The moment to try them at, with its offset; now without.",
    {"type": "string", "format": "date-time"},
)
CUSTOMER = in_query(
    "customer",
    "Try them on this customer alone, and tell both lists; empty for a stranger. Then there may be no body, "
    "for the rules in force, and the parameters below.",
    {"type": "string", "maxLength": ID_BYTES},
)
EXAMPLE = """schema = 1

[[rules]]
id = "recall-2026-11"
note = "metal splinters, until further notice"
kind = "block"
products = ["1082185"]
"""
ERRORS = ("409", *KEEPING)


def rules_paths() -> Json:
    """The operations."""

    def on_rules(name: str, summary: str, answer: str, errors: Sequence[str], **more: Any) -> Json:
        return operation(name, summary, as_json(answer), errors, **more)

    toml = {"required": True, "content": {"application/toml": {"schema": TEXT, "example": EXAMPLE}}}
    version = as_body("RulesVersionAsked", {"version": "1"}) | {"required": False}
    return {
        "/rules": {
            "get": on_rules("rules", "The rules in force", "RulesInForce", ["503"]),
            "put": on_rules("put_rules", "Put a file of rules in force", "RulesPut", ERRORS, body=toml),
        },
        "/rules/versions": {
            "get": on_rules("rules_versions", "The last 100 versions", "RulesVersions", ["503"])
        },
        "/rules/rollback": {
            "post": on_rules(
                "roll_back_rules",
                "Back to a version of the rules",
                "RulesBack",
                ("404", *ERRORS),
                body=version,
            )
        },
        "/rules/dry-run": {
            "post": on_rules(
                "try_rules",
                "What a file of rules would change",
                "DryRun",
                ERRORS,
                parameters=[AT, CUSTOMER, *WHICH, OBJECTIVE],
                body=toml | {"required": False},
            )
        },
    }


def rules_schemas() -> Json:
    """What the operations refer to."""
    version = exactly(version=TEXT, active={"type": "boolean"}, changed_at=TEXT, client=TEXT, text=TEXT)
    warnings = _list(TEXT)
    moved = exactly(product_id=TEXT, title=TEXT, lists=COUNT)
    change = exactly(
        placement=TEXT,
        lists=COUNT,
        changed=COUNT,
        shorter=COUNT,
        empty=COUNT,
        entering=_list(moved),
        leaving=_list(moved),
        expected_before=SHARE,
        expected_after=SHARE,
    )
    pin = exactly(rule=TEXT, why=TEXT, lists=COUNT)
    dry_run = exactly(
        version=TEXT,
        rules_before=TEXT,
        rules_after=TEXT,
        customers=COUNT,
        placements=_list(change),
        never_fired=_list(TEXT),
        asleep=_list(TEXT),
        not_here=_list(exactly(rule=TEXT, why=TEXT)),
        pins_not_shown=_list(pin),
        warnings=warnings,
    )
    dry_run["properties"] |= dict.fromkeys(("before", "after"), ref("Recommendations"))  # of one customer
    return {
        "RulesInForce": exactly(version=TEXT, source=TEXT, changed_at=MAYBE_TEXT, rules=COUNT, text=TEXT),
        "RulesPut": exactly(version=TEXT, warnings=warnings),
        "RulesVersions": exactly(versions=_list(version)),
        "RulesVersionAsked": {
            "type": "object",
            "properties": {"version": {"type": "string", "pattern": "^[0-9]{1,15}$"}},
            "additionalProperties": False,
        },
        "RulesBack": exactly(version=TEXT),
        "DryRun": dry_run,
    }


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}
