"""POST /events: one event, or up to a thousand in `{"events": [...]}`."""

from collections import Counter

from flask import Flask, Response, request

from service.access.callers import Caller
from service.access.gate import Gate
from service.access.guard import caller_of, client_of
from service.errors import Kind, RefusedError
from service.events.desk import INVALID, KEPT, STATUS, EventDesk, Verdict
from service.events.schemas import BATCH_MAX
from service.web.bodies import read_json, write_json
from storage.record.events import TRADE, Fate

ONE_MAX_BYTES = 64 * 1024
BATCH_MAX_BYTES = 1024 * 1024
KINDS: dict[str, Kind] = {INVALID: "bad_event", Fate.CONFLICT: "event_conflict", Fate.ERASED: "erased"}


def register_events(app: Flask, desk: EventDesk, gate: Gate) -> None:
    """Add this route to the app."""

    @app.post("/events")
    def events() -> Response:
        body = read_json(request, BATCH_MAX_BYTES)
        if isinstance(body, list):
            raise RefusedError("bad_body", None, 'an event is an object; many of them are {"events": [...]}')
        batch = _batch(body)
        if batch is None and (request.content_length or 0) > ONE_MAX_BYTES:
            raise RefusedError("too_large", None, f"one event may have {ONE_MAX_BYTES} bytes at most")
        sent = [body] if batch is None else batch
        caller = caller_of(request.environ)
        if caller is not None and caller.customer_id is not None:
            _check_own(sent, caller, gate)
        verdicts = desk.take(sent, _namespace(caller), client_of(request.environ))
        return _one(verdicts[0]) if batch is None else _many(verdicts)


def _batch(body: object) -> list[object] | None:
    """The events of a batch; None if the body is an event by itself."""
    if not isinstance(body, dict) or "events" not in body:
        return None
    batch = body["events"]
    if len(body) > 1 or not isinstance(batch, list) or not 1 <= len(batch) <= BATCH_MAX:
        raise RefusedError("bad_body", "events", f"must be a list of 1 to {BATCH_MAX} events, and alone")
    return batch


def _check_own(sent: list[object], caller: Caller, gate: Gate) -> None:
    """Refuse the whole request of a browser that says something of another customer, or of purchases."""
    for event in sent:
        if not isinstance(event, dict):
            continue
        customer_id = event.get("customer_id")
        if isinstance(customer_id, str) and customer_id.strip() != caller.customer_id:
            gate.refuse_other_id()  # what is no text is nobody's: the desk says so
        if event.get("type") in TRADE:
            gate.refuse("browser_trade", "purchases and returns come from the shop's back end only")


def _namespace(caller: Caller | None) -> str:
    return (caller.customer_id or "") if caller else ""


def _one(verdict: Verdict) -> Response:
    kind = KINDS.get(verdict.fate)
    if kind:
        why = verdict.reason or ""
        raise RefusedError(kind, verdict.field, why.removeprefix(f"{verdict.field}: "))
    return write_json(_shown(verdict))


def _many(verdicts: list[Verdict]) -> Response:
    """The answer to a batch: how many had which fate, every one that wasn't simply recorded, and what looks
    wrong about those that were."""
    fates = Counter(verdict.fate for verdict in verdicts)
    others = [
        {"place": place, **_shown(verdict), "status": STATUS[verdict.fate]}
        for place, verdict in enumerate(verdicts)
        if verdict.fate not in KEPT
    ]
    warnings = [
        {"place": place, "event_id": verdict.event_id, "warning": verdict.warning}
        for place, verdict in enumerate(verdicts)
        if verdict.warning
    ]
    counts = {fate: fates[fate] for fate in STATUS}
    return write_json({"received": len(verdicts), **counts, "not_recorded": others, "warnings": warnings})


def _shown(verdict: Verdict) -> dict[str, object]:
    shown: dict[str, object] = {"event_id": verdict.event_id, "fate": verdict.fate}
    told = {"reason": verdict.reason, "warning": verdict.warning}
    return shown | {name: text for name, text in told.items() if text}
