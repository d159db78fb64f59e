"""Writes who was shown what in an experiment, each once; and how many such rows were lost on the way."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from storage.record.erasure_key import ErasureKey
from storage.record.personal import erased_ms, what_they_say
from storage.record.statements import consent_lock, insert_new_rows
from storage.record.tables import exposures, lost_exposures


@dataclass(frozen=True, slots=True)
class Exposure:
    """One answer to a customer in one experiment.

    Attributes:
        event_id: its own; the same one twice counts once.
        is_forced: an operator asked for the variant.
        is_fallback: the variant couldn't answer, the champion did.
        items: JSON by position: [product_id, score, propensity, team]; of what was drawn, from what.
    """

    event_id: str
    request_id: str
    at_ms: int
    customer_id: str
    experiment_id: str
    version: int
    spec_hash: str
    layer: str
    variant: str
    is_forced: bool
    model_version: str
    is_fallback: bool
    source: str
    placement: str
    items: str
    latency_ms: float
    is_cached: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """Exposures that are gone, by what is known of them."""

    at_ms: int
    experiment_id: str
    version: int
    n: int
    why: str


def write_exposures(
    connection: sa.Connection, key: ErasureKey, rows: Sequence[Exposure], default_experiment: bool
) -> int:
    """Write exposures that aren't there yet, within a transaction that writes; how many were new.

    Those of customers who were erased since, or who allow no experiments, are left out: they may have waited.

    Args:
        default_experiment: the shop's default of the consent `experiment`.
    """
    consent_lock(connection, exclusive=False)
    customer_ids = {row.customer_id for row in rows}
    allows = what_they_say(connection, customer_ids, "experiment")
    erased = erased_ms(connection, key, customer_ids)

    def is_wanted(row: Exposure) -> bool:
        said, gone_ms = allows.get(row.customer_id), erased.get(row.customer_id)
        if gone_ms is not None and (said is None or row.at_ms <= gone_ms):
            return False
        return default_experiment if said is None else said

    kept = sorted(filter(is_wanted, rows), key=lambda row: row.event_id)
    if not kept:
        return 0
    told = insert_new_rows(connection, exposures, [asdict(row) for row in kept], exposures.c.event_id)
    return len(told)


def write_lost(connection: sa.Connection, lost: Sequence[Lost]) -> None:
    """Note what was lost, within a transaction that writes."""
    if lost:
        connection.execute(sa.insert(lost_exposures), [asdict(one) for one in lost])
