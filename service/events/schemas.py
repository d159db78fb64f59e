"""What an event must look like, by its type; of one that doesn't, what is wrong with it in our own words."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from service.web.parameters import ID_BYTES
from storage.record.events import Event, EventType

CLOCKS_DIFFER_S = 300
POSITIONS = 100
NPS, CES = (0, 10), (1, 7)


def _short(value: str) -> str:
    if len(value.encode()) > ID_BYTES:
        raise PydanticCustomError("own", "longer than {n} bytes", {"n": ID_BYTES})
    return value


def _text(value: object) -> object:
    # A bare number, also as a text, could be seconds, milliseconds, or a mistake.
    if not isinstance(value, str) or value.strip()[4:5] != "-":
        raise PydanticCustomError("own", "must be a time such as 2026-11-24T18:05:00Z")
    return value


def _utc(value: datetime) -> datetime:
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("own", "no time that a calendar has") from None
    if utc.timestamp() < 0:
        raise PydanticCustomError("own", "before 1970")
    return utc


type Id = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$"),
    AfterValidator(_short),
]
type Time = Annotated[AwareDatetime, BeforeValidator(_text), AfterValidator(_utc)]
type Quantity = Annotated[float, Field(strict=True, gt=0, le=1_000_000, allow_inf_nan=False)]
type Money = Annotated[float, Field(strict=True, ge=-1e9, le=1e9, allow_inf_nan=False)]
type Price = Annotated[float, Field(strict=True, ge=0, le=1e9, allow_inf_nan=False)]


class _Sent(BaseModel):
    """What every event says. `occurred_at` is the time of arrival where it isn't told."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    event_id: Id
    customer_id: Id
    occurred_at: Time | None = None


class Purchase(_Sent):
    """A line of an order."""

    type: Literal["purchase"]
    product_id: Id
    order_id: Id | None = None
    quantity: Quantity = 1.0
    unit_price: Price | None = None
    discount: Money | None = None
    offer_id: Id | None = None


class Return(_Sent):
    """Something that came back. Without the order, of the customer's latest purchases of the product."""

    type: Literal["return"]
    product_id: Id
    order_id: Id | None = None
    quantity: Quantity = 1.0


class View(_Sent):
    """A product's page was shown."""

    type: Literal["view"]
    product_id: Id


class AddToCart(_Sent):
    """A product was put into the cart."""

    type: Literal["add_to_cart"]
    product_id: Id
    quantity: Quantity = 1.0


class Click(_Sent):
    """A recommendation was clicked: the answer's `request_id`, and the product's `rank` in it."""

    type: Literal["click"]
    request_id: Id
    position: Annotated[int, Field(strict=True, ge=1, le=POSITIONS)]
    product_id: Id | None = None


class Survey(_Sent):
    """An answer: would you recommend us (NPS, 0 to 10), or how easy was it (CES, 1 to 7). Without `score` the
    question was asked."""

    type: Literal["survey"]
    question: Literal["nps", "ces"]
    score: Annotated[int, Field(strict=True)] | None = None

    @model_validator(mode="after")
    def _on_the_scale(self) -> Self:
        low, high = NPS if self.question == "nps" else CES
        if self.score is not None and not low <= self.score <= high:
            raise PydanticCustomError("own", "must be from {low} to {high}", {"low": low, "high": high})
        return self


type AnyEvent = Purchase | Return | View | AddToCart | Click | Survey
MODELS: tuple[type[BaseModel], ...] = (Purchase, Return, View, AddToCart, Click, Survey)
BATCH_MAX = 1000
_CHECK: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="type")])
_TYPES = ", ".join(EventType)
_MODEL_OF = {get_args(model.model_fields["type"].annotation)[0]: model for model in MODELS}


class BadEventError(ValueError):
    """An event that can't be taken; the text names the field, if it is one, and what is wrong with it."""

    def __init__(self, field: str | None, why: str) -> None:
        self.field, self.why = field, why
        super().__init__(f"{field}: {why}" if field is not None else why)


def check_event(sent: object, now_ms: int) -> Event:
    """The event that was sent.

    Args:
        sent: a value from JSON.
        now_ms: of arrival, Unix milliseconds.
    Raises:
        BadEventError: it isn't one.
    """
    try:
        event = _CHECK.validate_python(sent)
    except ValidationError as err:
        raise _as_event_error(err.errors(include_url=False, include_input=False)[0]) from None
    at_ms = now_ms
    if event.occurred_at is not None:
        at_ms = int(event.occurred_at.timestamp() * 1000)
        if at_ms > now_ms + CLOCKS_DIFFER_S * 1000:
            raise BadEventError("occurred_at", "later than now")
    payload = event.model_dump_json(exclude_none=True)  # what isn't said: another release knows other fields
    said = {name: value for name, value in event if name not in ("type", "occurred_at")}
    return Event(
        payload_hash=blake2b(payload.encode(), digest_size=16).digest(),
        payload=payload,
        type=EventType(event.type),
        at_ms=at_ms,
        **said,
    )


_SAID = {
    "missing": "missing",
    "string_type": "must be a text",
    "string_unicode": "not a text in UTF-8",
    "string_too_short": "empty",
    "string_pattern_mismatch": "control characters",
    "float_type": "must be a number",
    "finite_number": "must be a number",
    "int_type": "must be a whole number",
    "timezone_aware": "has no offset from UTC, such as Z or +01:00",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}


def _as_event_error(error: ErrorDetails) -> BadEventError:
    kind, field = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return BadEventError("type", f"must be one of {_TYPES}")
    if kind in ("datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"):
        return BadEventError(field, "must be a time such as 2026-11-24T18:05:00Z")
    reason = _SAID.get(kind) or _own_words(kind, error)
    if kind == "own" and len(error["loc"]) == 1:  # of the whole survey
        field = "score"
    if kind == "extra_forbidden":
        of_type = _MODEL_OF[str(error["loc"][0])]
        return BadEventError(field[:64], f"no such field; there are: {', '.join(of_type.model_fields)}")
    return BadEventError(field if error["loc"] else None, reason)


def _own_words(kind: str, error: ErrorDetails) -> str:
    limits: dict[str, Any] = error.get("ctx", {})
    if kind == "greater_than":
        return f"must be above {limits['gt']:.10g}"
    if kind == "greater_than_equal":
        return f"must be at least {limits['ge']:.10g}"
    if kind == "less_than_equal":
        return f"must be at most {limits['le']:.10g}"
    if kind == "literal_error":
        return f"must be {limits['expected']}"
    return error["msg"]
