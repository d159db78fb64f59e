"""Single lines of the logs of exposures and outcomes, as tests write them by hand."""

import polars as pl

from experiments.logs.frames import EXPOSURES, OUTCOMES
from experiments.specification import hash_of
from tests.data.shop_logs import specification_of

SPEC = specification_of()


def exposure(number: int, customer: str, variant: str, at_ms: int, **more: object) -> dict[str, object]:
    return {
        "event_id": f"x{number}",
        "request_id": f"r{number}",
        "at_ms": at_ms,
        "customer_id": customer,
        "experiment_id": SPEC.experiment.id,
        "version": 1,
        "spec_hash": hash_of(SPEC),
        "variant": variant,
        "is_forced": False,
        "is_fallback": False,
        "items": '[["p1", 0.5, null, null], ["[\\"p2", 0.25, null, null]]',
        "latency_ms": 2.0,
    } | more


def exposed(*lines: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(lines), schema=EXPOSURES)


def done(*lines: dict[str, object]) -> pl.DataFrame:
    whole = [{"event_id": f"o{number}"} | line for number, line in enumerate(lines)]
    return pl.DataFrame(whole, schema=OUTCOMES)


def bought(customer: str, at_ms: int, revenue: float, order: str | None = None) -> dict[str, object]:
    kind = "purchase" if revenue >= 0 else "return"
    return {
        "customer_id": customer,
        "kind": kind,
        "at_ms": at_ms,
        "order_id": order,
        "units": 1.0 if revenue >= 0 else -1.0,
        "revenue": revenue,
    }
