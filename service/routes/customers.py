"""/customers/<id>: what a customer allows, what is held, and erasure."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, request

from service.access.guard import caller_of, client_of
from service.answering.showings import LIFE_S
from service.errors import RefusedError
from service.routes.customer_desk import CustomerDesk, Held
from service.web.bodies import read_json, write_json
from service.web.parameters import check_kept_id, check_no_query
from storage.record.consent import PRESETS
from storage.record.erasure import Erasure
from storage.record.tables import CONSENTS

MAX_BYTES = 4096
LIST_LIFE, SHOWINGS_LIFE = timedelta(hours=24), timedelta(seconds=LIFE_S)
VERSION_LIFE = timedelta(hours=72)
SPOOL_LIFE = timedelta(days=1)
LOG_LIFE = timedelta(days=14)
BACKUP_LIFE = timedelta(days=30)
ELSEWHERE = (
    (
        "Redis",
        LIST_LIFE,
        "no answer is made from it; the latest list is deleted now where Redis answered, others end in time",
    ),
    ("Redis: what was shown", SHOWINGS_LIFE, "the same; a keyed hash stands for the id"),
    ("versions of the night", VERSION_LIFE, "no answer is made from it; gone when the versions are deleted"),
    ("exposures on a worker's disk", SPOOL_LIFE, "left out when they are written to the record, and deleted"),
    ("logs", LOG_LIFE, "only as a hash whose key ended with the service; gone by your rotation"),
    ("backups of the record", BACKUP_LIFE, "a restore erases again before it serves; gone by your rotation"),
    ("the shop's own history, exports, batch files and reports", None, "the shop's: delete it there"),
)
"""Where an id may still be after an erasure: how long by default, and what becomes of it."""


def register_customers(app: Flask, desk: CustomerDesk) -> None:
    """Add these routes to the app."""

    @app.get("/customers/<id:customer_id>", endpoint="get_customer")
    def get_customer(customer_id: str) -> Response:
        _check(customer_id)
        if _is_customer():
            return write_json({"customer_id": customer_id, "consent": asdict(desk.consent(customer_id))})
        return write_json({"customer_id": customer_id, **_export(desk.held(customer_id))})

    @app.put("/customers/<id:customer_id>", endpoint="put_customer")
    def put_customer(customer_id: str) -> Response:
        _check(customer_id)
        wanted = parse_consent(read_json(request, MAX_BYTES))
        consent = desk.change(customer_id, wanted, client_of(request.environ))
        return write_json({"customer_id": customer_id, "consent": asdict(consent)})

    @app.delete("/customers/<id:customer_id>", endpoint="delete_customer")
    def delete_customer(customer_id: str) -> Response:
        _check(customer_id)
        erasure = desk.erase(customer_id, client_of(request.environ))
        return write_json({"customer_id": customer_id, **_receipt(erasure), "files": _files(desk)})


def parse_consent(body: object) -> dict[str, bool]:
    """The consents that a body gives or refuses; of a preset all four.

    Raises:
        RefusedError: with the key at fault.
    """
    if not isinstance(body, dict) or set(body) != {"consent"}:
        raise RefusedError("bad_body", "consent", "must be the one key of the body")
    consent = body["consent"]
    if isinstance(consent, str) and consent in PRESETS:
        return asdict(PRESETS[consent])
    if not isinstance(consent, dict) or not consent:
        why = f"must be one of {', '.join(PRESETS)}, or an object with any of {', '.join(CONSENTS)}"
        raise RefusedError("bad_body", "consent", why)
    for name, value in consent.items():
        if name not in CONSENTS:
            raise RefusedError(
                "bad_body", f"consent.{name[:64]}", f"no such key; there are: {', '.join(CONSENTS)}"
            )
        if not isinstance(value, bool):
            raise RefusedError("bad_body", f"consent.{name}", "must be true or false")
    return consent


def _check(customer_id: str) -> None:
    check_no_query(request.query_string)
    check_kept_id("customer_id", customer_id, request.environ["PATH_INFO"])


def _is_customer() -> bool:
    caller = caller_of(request.environ)
    return caller is not None and caller.customer_id is not None


def _export(held: Held) -> dict[str, object]:
    return {
        "consent": asdict(held.consent),
        "consents": held.record.consents,
        "events": held.record.events,
        "quarantine": held.record.quarantine,
        "exposures": held.record.exposures,
        "promises": held.record.promises,
        "night": asdict(held.night) if held.night else None,
    }


def _receipt(erasure: Erasure) -> dict[str, object]:
    erased_at = datetime.fromtimestamp(erasure.erased_ms / 1000, UTC)
    return {
        "erased_at": erased_at.isoformat(),
        "number": erasure.number,
        "deleted": erasure.rows,
        "elsewhere": [
            {"where": where, "until": (erased_at + life).isoformat() if life else None, "what": what}
            for where, life, what in ELSEWHERE
        ],
    }


def _files(desk: CustomerDesk) -> list[dict[str, str]] | None:
    files = desk.files()
    return None if files is None else [file._asdict() for file in files]
