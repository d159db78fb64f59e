"""What the service refuses, by kind. It knows no HTTP: `web.problems` has the table from kind to status."""

from typing import Literal

from models.errors import NextbestError

type Kind = Literal[
    "bad_parameter",
    "unknown_parameter",
    "bad_id",
    "unknown_category",
    "unauthorized",
    "forbidden",
    "misdirected",
    "unknown_product",
    "not_found",
    "too_many_requests",
    "no_version",
    "bad_body",
    "bad_event",
    "event_conflict",
    "erased",
    "length_required",
    "too_large",
    "unsupported_type",
    "no_room",
    "rules_from_file",
    "unknown_rules",
    "record_unavailable",
]


class RefusedError(NextbestError):
    """A request that can't be answered.

    Attributes:
        kind: what sort of refusal.
        field: the parameter at fault, None if none is.
        reason: what is wrong with it, for the person who called.
        retry_after_s: when to ask again, None if that is not known.
    """

    def __init__(self, kind: Kind, field: str | None, reason: str, retry_after_s: int | None = None) -> None:
        self.kind, self.field, self.reason, self.retry_after_s = kind, field, reason, retry_after_s
        super().__init__(f"{field}: {reason}" if field else reason)
