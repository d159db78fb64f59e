"""Versions of a few arrays, for tests of the store itself."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from models.state import ModelState
from storage.versions.manifest import GateEntry, HistoryEntry, Manifest
from storage.versions.required import ARRAYS
from storage.versions.store import Store
from storage.versions.strings import order_of
from storage.versions.writer import VersionWriter

AS_OF = datetime(2018, 1, 1, tzinfo=UTC)


def finish(
    writer: VersionWriter,
    versions: Path,
    *,
    now: datetime,
    as_of: datetime = AS_OF,
    default: str = "blend",
    **history: Any,
) -> Manifest:
    """Finish a version with facts that don't matter, but for those given."""
    return writer.finish(
        versions,
        created_at=now,
        as_of=as_of,
        horizon_days=7,
        default_variant=default,
        history=HistoryEntry(
            **{"fingerprint": "none", "purchases": 1, "orders": 1, "customers": 1, "products": 1},
            **{"first_purchase": AS_OF, "last_purchase": AS_OF, "rejected": 0},
            **{"timezone": "UTC", "recent_days": 28} | history,
        ),
        gate=GateEntry(decision="published", why="a test"),
        libraries={},
    )


def small_version(store: Store, now: datetime, *, seed: int = 0) -> str:
    """A version with ids, an array, an empty one, a file and two variants, one without candidates; its id.

    Of what a service needs there are names alone.
    """
    with store.night_lock(now):
        writer = store.writer()
        writer.add_ids("customers", order_of(["ann", "bob"]))
        writer.add("popular/order", np.array([2, 0, 1], np.int32) + np.int32(seed))
        writer.add("empty", np.empty((0, 3), np.float32))
        for name in {*ARRAYS, "candidates/blend/product", "candidates/blend/evidence"}:
            if not writer.path(f"{name}.npy").exists():
                writer.add(name, np.empty(0, np.int8))
        writer.path("notes.txt").write_text(f"night {seed}")
        for name, has_candidates in (("blend", True), ("popular", False)):
            state = ModelState({"share": np.array([0.5, 0.25], np.float32)}, {"n_products": 2})
            writer.add_variant(name, state, recipe="r", options={}, has_candidates=has_candidates)
        return finish(writer, store.versions, now=now).version_id
