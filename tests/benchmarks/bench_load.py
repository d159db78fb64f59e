"""Answers over the network: throughput beside a bare Flask route, and how long callers wait at given rates.

Server and load generator share the cores; one worker answers, with an API key and all that is built on. It is
a part of `bench_speed`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.big_shop import Size
from tests.benchmarks.load import Outcome, closed_loop, open_loop, poisson
from tests.benchmarks.load_servers import Say, Server, servers, shop
from tests.benchmarks.quiet import Patience, others

SIZE = Size(customers=200_000, products=100_000)
CONNECTIONS = 16
AIM_PER_S, COLD_PER_S = 2000, 1000
RATES_PER_S = (500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 4500, 5000, 6000, 7000, 8000, 10_000, 12_000)
BENT_MS = 100.0  # median of a rate beyond which no higher one is tried


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        rounds: of the throughputs, each of `step_s` for each server.
        runs: at the rate that is aimed at, each of `run_s`.
        step_s: of each rate of a curve.
        patience_s: for others to leave the machine alone, in all.
    """

    rounds: int = 5
    runs: int = 5
    run_s: float = 10.0
    step_s: float = 4.0
    patience_s: float = 300.0


QUICK = Plan(rounds=1, runs=1, run_s=2.0, step_s=1.0, patience_s=0.0)


def measure(folder: Path, plan: Plan, say: Say) -> dict[str, Any]:
    """All of this part, as JSON; the shop is kept in the folder for the next time."""
    patience = Patience(plan.patience_s)
    with servers(shop(folder, SIZE, say)) as found:
        say(f"{COLD_PER_S} answers/s to customers whose list is in no cache")
        cold = [_at_rate(found["once"], COLD_PER_S, plan.run_s, patience)]
        say("throughput")
        throughput = [_throughputs(list(found.values()), plan, patience) for _ in range(plan.rounds)]
        say(f"{AIM_PER_S} answers/s, {plan.runs} runs")
        aim = [_at_rate(found["zipf"], AIM_PER_S, plan.run_s, patience) for _ in range(plan.runs)]
        curves = {}
        for key in ("bare", "zipf", "once"):
            say(f"rates: {key}")
            curves[key] = _curve(found[key], plan, patience)
    return {"cold": cold, "throughput": throughput, "aim": aim, "curves": curves}


def _throughputs(every: Sequence[Server], plan: Plan, patience: Patience) -> dict[str, Any]:
    """One round: each server in turn, so that a busy machine slows all of them alike."""
    patience.wait()
    found: dict[str, Any] = {}
    with others() as seen:
        for server in every:
            outcome = closed_loop(server.port, server.questions, plan.step_s, connections=CONNECTIONS)
            _must_be_right(server, outcome)
            found[server.key] = outcome.per_s
    return {"per_s": found, "others": seen.cores}


def _curve(server: Server, plan: Plan, patience: Patience) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = []
    for rate_per_s in RATES_PER_S:
        steps.append(_at_rate(server, rate_per_s, plan.step_s, patience))
        if steps[-1]["p50_ms"] > BENT_MS:
            break
    return steps


def _at_rate(server: Server, rate_per_s: int, seconds: float, patience: Patience) -> dict[str, Any]:
    """One open loop, with moments drawn anew for each rate and always the same for it."""
    patience.wait()
    due_s = poisson(rate_per_s, seconds, np.random.default_rng(rate_per_s))
    with others() as seen:
        outcome = open_loop(server.port, islice(server.questions, len(due_s)), due_s)
    _must_be_right(server, outcome)
    percentiles = {f"p{share:g}_ms": outcome.percentile_ms(share) for share in (50, 90, 99, 99.9)}
    answered = {"rate_per_s": rate_per_s, "per_s": outcome.per_s, "missing": outcome.missing}
    return {**answered, **percentiles, "others": seen.cores}


def _must_be_right(server: Server, outcome: Outcome) -> None:
    if outcome.wrong:
        sys.exit(f"{server.key}: {outcome.wrong} answers were none, or another customer's")
