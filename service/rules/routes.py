"""The operator's routes about rules."""

import json
from dataclasses import asdict
from datetime import MAXYEAR, UTC, datetime

from flask import Flask, Response, request

from service.access.guard import client_of
from service.errors import RefusedError
from service.rules.desk import RulesDesk
from service.rules.errors import BadRulesError
from service.rules.preview import OneCustomer
from service.rules.reading import MAX_BYTES, decode
from service.web.bodies import parse_json, read_bytes, write_json
from service.web.finished import language_asked
from service.web.parameters import check_id, parse_try_query
from service.web.problems import problem

TYPES = ("application/toml", "text/plain", "")
ROLL_BACK_BYTES = 1024


def register_rules(app: Flask, desk: RulesDesk) -> None:
    """Add these routes to the operator's app."""

    @app.errorhandler(BadRulesError)
    def bad_rules(err: BadRulesError) -> Response:
        answer = problem("bad_rules", f"mistakes: {len(err.mistakes)}; the rules in force go on")
        body = json.loads(answer.get_data()) | {"mistakes": [asdict(mistake) for mistake in err.mistakes]}
        answer.set_data(json.dumps(body))
        return answer

    @app.get("/rules", endpoint="rules")
    def rules() -> Response:
        found = desk.in_force()
        return write_json(
            {
                "version": found.rules.version,
                "source": found.source,
                "changed_at": _iso(found.changed_ms),
                "rules": len(found.rules.rules),
                "text": found.rules.text,
            }
        )

    @app.put("/rules", endpoint="put_rules")
    def put_rules() -> Response:
        version, warnings = desk.put(_text(), client_of(request.environ))
        return write_json({"version": version, "warnings": warnings})

    @app.get("/rules/versions", endpoint="rules_versions")
    def versions() -> Response:
        found = [
            {
                "version": str(version.number),
                "active": version.is_active,
                "changed_at": _iso(version.changed_ms),
                "client": version.client,
                "text": version.content,
            }
            for version in desk.versions()
        ]
        return write_json({"versions": found})

    @app.post("/rules/rollback", endpoint="roll_back_rules")
    def roll_back() -> Response:
        return write_json({"version": desk.roll_back(_number(), client_of(request.environ))})

    @app.post("/rules/dry-run", endpoint="try_rules")
    def try_rules() -> Response:
        query = parse_try_query(request.query_string)
        one = None
        if "customer" in request.args:
            customer_id = request.args["customer"]
            check_id("customer", customer_id, "")
            one = OneCustomer(customer_id, query, language_asked())
        elif alone := next((name for name in request.args if name != "at"), None):
            raise RefusedError("bad_parameter", alone, "is about one customer: give customer, too")
        return write_json(desk.dry_run(_text(), _at_s(), one))


def _text() -> str:
    return decode(read_bytes(request, MAX_BYTES, TYPES))


def _number() -> int | None:
    """Which version is asked for in the body: {"version": "7"}; none without a body."""
    if not request.content_length:
        return None
    body = parse_json(read_bytes(request, ROLL_BACK_BYTES, ("application/json", "")))
    version = body.get("version") if isinstance(body, dict) and set(body) <= {"version"} else None
    if isinstance(version, str) and version.isascii() and version.isdigit() and len(version) <= 15:
        return int(version)
    raise RefusedError("bad_body", "version", 'must be the number of a version as a text, such as "7"')


def _at_s() -> float | None:
    """The moment to try rules at: ?at=2026-12-24T18:00:00+01:00; none for now."""
    if "at" not in request.args:
        return None
    try:
        moment = datetime.fromisoformat(request.args["at"])
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None or not 1970 <= moment.year < MAXYEAR:
        raise RefusedError("bad_parameter", "at", "must be a moment with its offset, in ISO 8601")
    return moment.timestamp()


def _iso(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
