"""The judge is judged: false alarms, power, harm, coverage, real customers, time and memory.

    python -m tests.benchmarks.experiment_gates --folder .nextbest/gates [--journey FOLDER]

Every run has its seed. What was reached is kept in the folder: started again, it goes on from there.
FOLDER is what `nbo-train demo-data` writes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import binom, kstest

from experiments.logs.purchases import outcomes_of
from experiments.planning import last_window
from experiments.statistics.effects import of_means
from tests.benchmarks.gate_http import LotRun, run_http, run_lot, served
from tests.benchmarks.gate_runs import SameRun, run_rule, run_same
from tests.data.shop_logs import SPECIFICATION, Truth, logs, specification_of

SAME, RULES = 2000, 200
HTTP, HTTP_BETTER, HTTP_LOT = 50, 10, 20
HTTP_LIFT = (
    1.0  # twice as much is bought from lists: most of these cross a bound, where nothing differs one of 20
)
LIFT = 0.3
SPLITS = 1000
GB = 1 << 30
KEPT = "runs.jsonl"


@dataclass(frozen=True)
class Gate:
    """One promise: a value that must lie between two bounds, both included."""

    name: str
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.value <= self.high


@dataclass(frozen=True)
class Task:
    """One run."""

    kind: str
    seed: int
    truth: Truth


def tasks(same: int, rules: int, truth: Truth, lift: float = LIFT) -> list[Task]:
    """All runs, each with a seed of its own."""
    return [
        *(Task("same", seed, truth) for seed in range(same)),
        *(Task("better", 10_000 + seed, Truth(truth.customers, lift=lift)) for seed in range(rules)),
        *(Task("worse", 20_000 + seed, Truth(truth.customers, lift=-lift)) for seed in range(rules)),
    ]


def run(task: Task) -> dict[str, Any]:
    """What came of a run, fit for JSON."""
    with tempfile.TemporaryDirectory() as folder:
        do = run_same if task.kind == "same" else run_rule
        return {"kind": task.kind, "seed": task.seed} | asdict(do(task.truth, task.seed, Path(folder)))


def gates(results: list[dict[str, Any]], *, wide: float = 0.0) -> Iterator[Gate]:
    """The promises on made-up shops.

    Args:
        wide: how much further the bounds of shares lie, for few runs.
    """
    same = [one for one in results if one["kind"] == "same"]
    if same:
        yield Gate("crossings, nothing differs", share(same, "crossed"), 50 / SAME - wide, 129 / SAME + wide)
        yield Gate("careless daily z", share(same, "careless"), 0.15, 1)
        yield Gate("impressions as independent", share(same, "independent"), 0.30, 1)
        for name in same[0]["covers"]:
            covered = float(np.mean([one["covers"][name] for one in same]))
            yield Gate(f"coverage of {name}", covered, 0.93 - wide, 0.97 + wide)
    over_http = [one for one in results if one["kind"] == "http"]
    if over_http:
        n = len(over_http)  # few: as far off as 1 of 1,000 would be
        yield Gate("over HTTP: crossings", share(over_http, "crossed"), 0, binom.ppf(0.999, n, 0.065) / n)
        for name in over_http[0]["covers"]:
            covered = float(np.mean([one["covers"][name] for one in over_http]))
            yield Gate(f"over HTTP: coverage of {name}", covered, binom.ppf(0.001, n, 0.95) / n, 1)
    if lifted := [one for one in results if one["kind"] == "http better"]:
        yield Gate("over HTTP: crossings, lists sell twice as much", share(lifted, "crossed"), 0.5, 1)
    if by_lot := [one for one in results if one["kind"] == "http lot"]:
        yield Gate("over HTTP: a place by lot, refused", share(by_lot, "is_refused"), 0, 0.1)
        for name in ("snips", "robust", "gain"):
            told = [one["covers"][name] for one in by_lot if one["covers"]]
            least = binom.ppf(0.001, len(told), 0.95) / max(1, len(told))
            yield Gate(f"over HTTP: a place by lot, coverage of {name}", float(np.mean(told)), least, 1)
    for kind, word in (("better", "SHIP"), ("worse", "ROLLBACK")):
        found = [one for one in results if one["kind"] == kind]
        if found:
            right = float(np.mean([one["word"] == word for one in found]))
            yield Gate(f"{kind}: {word}", right, 0.9 - wide, 1)


def share(results: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([bool(one[name]) for one in results]))


def real_splits(data: Path, splits: int) -> Iterator[Gate]:
    """Real customers dealt at random, again and again: p-values must be uniform."""
    lines = pl.read_parquet(data / "purchases.parquet")
    lines = lines.with_columns(order_row=pl.col("order_id").rank("dense"))
    analysis = specification_of().analysis.model_copy(update={"attribution_days": 3})
    customers = last_window(outcomes_of(lines), analysis)[0].customers
    for metric in ("revenue", "has_bought"):
        values = customers[metric].to_numpy()
        before = customers["before_revenue"].to_numpy()
        ps = []
        for seed in range(splits):
            arm = np.random.default_rng(seed).random(len(values)) < 0.5
            explained = (before[~arm], before[arm]) if metric == "revenue" else None
            found = of_means(values[~arm], values[arm], before=explained)
            assert found is not None
            ps.append(found.p)
        low, high = binom.interval(0.999, splits, 0.05)
        yield Gate(f"real customers, {metric}: KS p", float(kstest(ps, "uniform").pvalue), 0.001, 1)
        yield Gate(
            f"real customers, {metric}: p < .05",
            float(np.mean(np.array(ps) < 0.05)),
            low / splits,
            high / splits,
        )


def report_cost(exposures: int = 100_000) -> Iterator[Gate]:
    """Seconds and memory of the command on so many exposures, in a process of its own."""
    specification = specification_of()
    shown, done = logs(specification, Truth(customers=exposures // 3 + 1000), 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shown.head(exposures).write_parquet(folder / "x.parquet")
        done.write_parquet(folder / "o.parquet")
        (folder / "spec.toml").write_text(SPECIFICATION.format(id="rec-2026-12", planned_n=14_000))
        command = [sys.executable, "-c", "from experiments.cli import main; main()", "report"]
        command += ["--spec", "spec.toml", "--exposures", "x.parquet", "--outcomes", "o.parquet"]
        command += ["--now", "2026-01-05", "--out", "out"]
        started = time.monotonic()
        subprocess.run(command, cwd=folder, check=True, env=os.environ | {"PYTHONPATH": str(Path.cwd())})
        yield Gate(f"report of {exposures:,} exposures, s", time.monotonic() - started, 0, 10)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield Gate("report, s of a core", used.ru_utime + used.ru_stime, 0, 10)
    yield Gate("report, GB", used.ru_maxrss * 1024 / GB, 0, 1)


def made(folder: Path, left: list[Task], processes: int) -> None:
    """Make the runs that are left, and keep each as soon as it is there."""
    os.environ["POLARS_MAX_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a core for each process
    with (
        ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool,
        (folder / KEPT).open("a") as file,
    ):
        for result in pool.map(run, left, chunksize=5):
            file.write(json.dumps(result) + "\n")
            file.flush()


def made_over_http(folder: Path, left: list[tuple[str, int]]) -> None:
    """The same for runs that a real service takes part in, by kind and seed, one after another."""
    if not left:
        return
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as url, (folder / KEPT).open("a") as file:
        for kind, seed in left:
            found: SameRun | LotRun
            if kind == "http lot":
                found = run_lot(Path(name), url, seed)
            else:
                found = run_http(Path(name), url, seed, lift=HTTP_LIFT if kind == "http better" else 0.0)
            file.write(json.dumps({"kind": kind, "seed": seed} | asdict(found)) + "\n")
            file.flush()


def kept(folder: Path) -> list[dict[str, Any]]:
    """The runs that were made."""
    path = folder / KEPT
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> int:
    """Run what is left, and print the gates; 1 if one doesn't hold."""
    options = argparse.ArgumentParser(description="The judge is judged.")
    options.add_argument("--folder", type=Path, default=Path(".nextbest/gates"))
    options.add_argument("--journey", type=Path)
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--same", type=int, default=SAME)
    options.add_argument("--rules", type=int, default=RULES)
    options.add_argument("--http", type=int, default=HTTP, help="runs that a real service takes part in")
    chosen = options.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    done = {(one["kind"], one["seed"]) for one in kept(chosen.folder)}
    wanted = tasks(chosen.same, chosen.rules, Truth())
    found = list(report_cost())
    made(chosen.folder, [one for one in wanted if (one.kind, one.seed) not in done], chosen.processes)
    over_http = [("http", seed) for seed in range(chosen.http)]
    if chosen.http:
        over_http += [("http better", HTTP + seed) for seed in range(HTTP_BETTER)]
        over_http += [("http lot", HTTP + HTTP_BETTER + seed) for seed in range(HTTP_LOT)]
    made_over_http(chosen.folder, [one for one in over_http if one not in done])
    found += gates(kept(chosen.folder))
    if chosen.journey:
        found += real_splits(chosen.journey, SPLITS)
    for gate in found:
        state = "holds" if gate.holds else "FAILS"
        print(f"{state}  {gate.name}: {gate.value:.4g} ({gate.low:.4g} to {gate.high:.4g})")
    return 0 if all(gate.holds for gate in found) else 1


if __name__ == "__main__":
    sys.exit(main())
