"""Experiments run as a shop runs them: a real service assigns, answers and writes, and the truth is known."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
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
LOT_CUSTOMERS, LOT_DAYS = 600, 4
WINDOW_DAYS = 3

SPECIFICATION = """
[experiment]
id = "{name}"
hypothesis = "what is known beforehand"
start = {start}
planned_days = {days}
min_days = 1
accept_underpowered = true
[[variants]]
name = "control"
{policy}
[analysis]
planned_n = {customers}
attribution_days = {window_days}
[[metrics]]
name = "revenue_per_customer"
role = "primary"
mde = 0.1
"""

SAME = 'weight = 0.5\n[[variants]]\nname = "second"\nweight = 0.5'
BY_LOT = """weight = 0.1
[[variants]]
name = "second"
weight = 0.9
model = "als"
explore = 1
explore_among = 2
rivals = ["popular"]"""


@dataclass(frozen=True)
class LotRun:
    """An experiment with a place by lot.

    Attributes:
        is_refused: too little is known of the rival.
        covers: whether each of its intervals holds the truth.
    """

    is_refused: bool
    covers: dict[str, bool]


@contextmanager
def served(folder: Path, customers: int = LOT_CUSTOMERS) -> Iterator[str]:
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
    file, out, end = _play(folder, url, f"same-{seed}", SAME, seed, customers, days, lift)
    logs = (pl.read_parquet(out / f"{name}.parquet") for name in ("exposures", "outcomes"))
    case = open_case(read_specification(file)[0], *logs, end)
    return same_of(case, range(WINDOW_DAYS + 1, days + 1), (CTR,))


def run_lot(folder: Path, url: str, seed: int, *, customers: int = LOT_CUSTOMERS) -> LotRun:
    """One experiment with a place by lot, and whether the truth lies in the report's intervals."""
    _, out, _ = _play(folder, url, f"lot-{seed}", BY_LOT, seed, customers, LOT_DAYS, 0.0)
    truth = json.loads((out / "truth.json").read_text())["clicks_by_chooser"]["second"]
    rival = json.loads((out / "report.json").read_text())["choices"]["second"][1]
    true_gain = truth["popular"] - truth[""]
    if rival["gain"] is None:
        return LotRun(True, {})
    values = {"snips": truth["popular"], "robust": truth["popular"], "gain": true_gain}
    return LotRun(
        False, {name: rival[name]["low"] <= value <= rival[name]["high"] for name, value in values.items()}
    )


def _play(
    folder: Path, url: str, name: str, policy: str, seed: int, customers: int, days: int, lift: float
) -> tuple[Path, Path, datetime]:
    """Specification, what was written, and when it ended."""
    begins = AS_OF + timedelta(days=1 + seed * (DAYS + WINDOW_DAYS))
    file, out, start = folder / f"{name}.toml", folder / name, f"{begins:%Y-%m-%d}"
    text = SPECIFICATION.format(
        name=name, policy=policy, start=start, days=days, customers=customers, window_days=WINDOW_DAYS
    )
    file.write_text(text)
    _nbo(folder, "start", str(file))
    run = ("--days", str(days), "--customers", str(customers), "--start", start, "--seed", str(seed))
    _nbo(folder, "simulate", "--url", url, *run, "--lift", str(lift), "--out", str(out), name)
    _nbo(folder, "stop", name)
    return file, out, begins + timedelta(days=days)


def _nbo(folder: Path, command: str, *more: str) -> Result:
    said = [command, "--store", str(folder / "store"), *more]
    return CliRunner().invoke(commands, said, catch_exceptions=False)
