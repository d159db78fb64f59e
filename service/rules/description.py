"""The operator's routes about rules in the API's own description."""

from typing import Any

from service.json_schema import Json, as_json, exactly

WHERE = "on the operator's listener"
TEXT: Json = {"type": "string"}
MAYBE_TEXT: Json = {"type": ["string", "null"]}
COUNT: Json = {"type": "integer", "minimum": 0}
SHARE: Json = {"type": "number"}
AT: Json = {
    "name": "at",
    "in": "query",
    "description": "The moment to try them at, with its offset; now without.",
    "schema": {"type": "string", "format": "date-time"},
}


WITH_BODY = ("400", "409", "411", "413", "415", "503", "507")
ERRORS = {
    "rules": ("503",),
    "rules_versions": ("503",),
    "put_rules": WITH_BODY,
    "roll_back_rules": ("404", *WITH_BODY),
    "try_rules": WITH_BODY,
}


def rules_paths(problems: dict[str, Json], security: dict[str, list[Json]]) -> Json:
    """The operations.

    Args:
        problems, security: by the name of the route.
    """

    def operation(name: str, summary: str, answer: str, **more: Any) -> Json:
        return {
            "operationId": name,
            "summary": f"{summary}, {WHERE}",
            **more,
            "responses": {"200": {"description": summary, "content": as_json(answer)}, **problems[name]},
            "security": security[name],
        }

    toml = {"required": True, "content": {"application/toml": {"schema": TEXT}}}
    version = {"content": as_json("RulesVersionAsked")}
    return {
        "/rules": {
            "get": operation("rules", "The rules in force", "RulesInForce"),
            "put": operation("put_rules", "Put a file of rules in force", "RulesPut", requestBody=toml),
        },
        "/rules/versions": {"get": operation("rules_versions", "The last 100 versions", "RulesVersions")},
        "/rules/rollback": {
            "post": operation(
                "roll_back_rules", "Back to a version of the rules", "RulesBack", requestBody=version
            )
        },
        "/rules/dry-run": {
            "post": operation(
                "try_rules", "What a file of rules would change", "DryRun", parameters=[AT], requestBody=toml
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
        pins_not_shown=_list(pin),
        warnings=warnings,
    )
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
