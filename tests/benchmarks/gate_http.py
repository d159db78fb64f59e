"""Experiments run as a shop runs them: a real service assigns, answers and writes, both arms the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import polars as pl
from click.testing import CliRunner, Result

from experiments.cli import commands
from experiments.judge import open_case
from experiments.specification import read_specification
from tests.benchmarks.gate_runs import CTR, SameRun, same_of
from tests.data.running_service import running_service, until
from tests.data.simulated_store import write_simulated_store
from tests.data.tiny_version import AS_OF

CUSTOMERS, DAYS = 300, 10
WINDOW_DAYS = 3

SPECIFICATION = """
[experiment]
id = "same-{seed}"
hypothesis = "the champion earns more than the champion"
start = {start}
planned_days = {days}
min_days = 1
accept_underpowered = true
[[variants]]
name = "control"
weight = 0.5
[[variants]]
name = "same"
weight = 0.5
[analysis]
planned_n = {customers}
attribution_days = {window_days}
[[metrics]]
name = "revenue_per_customer"
role = "primary"
mde = 0.1
"""


@contextmanager
def served(folder: Path, customers: int = CUSTOMERS) -> Iterator[str]:
    """A service of a made-up shop, by its URL; its store is `store` of the folder."""
    write_simulated_store(folder / "store", customers)
    with running_service(folder / "store", folder / "log", record_timeout_ms="5000") as running:
        until(lambda: running.get("/health/ready").ok, 60)
        yield running.url


def run_http(
    folder: Path, url: str, seed: int, *, customers: int = CUSTOMERS, days: int = DAYS, lift: float = 0.0
) -> SameRun:
    """One experiment from its start to its stop, with a look on each day at the logs that it left.

    Args:
        folder: whose `store` the service at `url` has. Each seed plays on days of its own.
        lift: how much more is bought from the lists of the second arm.
    """
    begins = AS_OF + timedelta(days=1 + seed * (days + WINDOW_DAYS))
    file, out = folder / f"same-{seed}.toml", folder / f"same-{seed}"
    start = f"{begins:%Y-%m-%d}"
    file.write_text(
        SPECIFICATION.format(seed=seed, start=start, days=days, customers=customers, window_days=WINDOW_DAYS)
    )
    _nbo(folder, "start", str(file))
    run = (
        "--days",
        str(days),
        "--customers",
        str(customers),
        "--start",
        start,
        "--seed",
        str(seed),
        "--lift",
        str(lift),
    )
    _nbo(folder, "simulate", "--url", url, *run, "--out", str(out), f"same-{seed}")
    _nbo(folder, "stop", f"same-{seed}")
    logs = (pl.read_parquet(out / f"{name}.parquet") for name in ("exposures", "outcomes"))
    case = open_case(read_specification(file)[0], *logs, begins + timedelta(days=days))
    return same_of(case, range(WINDOW_DAYS + 1, days + 1), (CTR,))


def _nbo(folder: Path, command: str, *more: str) -> Result:
    said = [command, "--store", str(folder / "store"), *more]
    return CliRunner().invoke(commands, said, catch_exceptions=False)
