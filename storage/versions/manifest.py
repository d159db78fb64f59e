"""What a version says of itself: a JSON file beside its arrays."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 2


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FileEntry(_Strict):
    """One file of a version, as it was written."""

    sha256: str
    size_bytes: int


class VariantEntry(_Strict):
    """One fitted variant.

    Attributes:
        recipe: hash of its name, options and code revision: what the gate compares.
        options: as configured, before anything was learned: what the recipe is fitted with again.
        facts: what the model keeps beside its arrays, learned constants among it.
        arrays: names of its arrays, in `variants/<name>/`.
        has_candidates: candidate lists are in `candidates/<name>/`.
    """

    recipe: str
    options: dict[str, Any]
    facts: dict[str, Any]
    arrays: list[str]
    has_candidates: bool = False


class HistoryEntry(_Strict):
    """What the version was trained on.

    Attributes:
        fingerprint: hash of the purchases and how they were read.
        products: how many of them were sold; the version has rows for the rest of the catalogue too.
        timezone: IANA name of the shop's own; dates that customers are shown are local there.
        recent_days: length of the window before as_of that `popular/recent_buyers` counts.
        tombstone: number of the latest erasure of a customer that was known; None without a record.
        last_event: number of the last event of the record that was read; None without a record.
    """

    fingerprint: str
    purchases: int
    orders: int
    customers: int
    products: int
    first_purchase: datetime
    last_purchase: datetime
    rejected: int
    timezone: str
    recent_days: int
    tombstone: int | None = None
    last_event: int | None = None


class GateEntry(_Strict):
    """Why this version was published, or was not."""

    decision: Literal["published", "refused", "forced"]
    why: str
    figures: dict[str, Any] = Field(default_factory=dict)


class Manifest(_Strict):
    """The version's own description; `files` has every file of the folder but this one."""

    schema_version: int
    version_id: str
    created_at: datetime
    as_of: datetime
    horizon_days: int
    default_variant: str
    history: HistoryEntry
    variants: dict[str, VariantEntry]
    gate: GateEntry
    libraries: dict[str, str]
    files: dict[str, FileEntry]

    @property
    def routed(self) -> list[str]:
        """Names of the variants that have candidate lists."""
        return [name for name, entry in self.variants.items() if entry.has_candidates]
