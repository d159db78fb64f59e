"""The generated parts of docs/benchmarks.md and docs/sizing.md: tables, and what follows from them."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

type Content = Mapping[str, Any]

MEMORY_GB, WORKER_GB, READY_S = 1.7, 0.1, 3.0
REDIS_GB, REDIS_LISTS = 0.3, 400_000
AT_MOST = {  # of bench_answer's routes: the ratio that is asked for, and to which route
    "/recommend, list in the worker": ("x_bare", 2.0),
    "/recommend, list from Redis": ("x_bare_get", 1.5),
}
SERVERS = {
    "bare": "bare Flask route",
    "bare_get": "bare Flask route, one Redis GET",
    "zipf": "customers by Zipf from 20,000",
    "zipf_redis": "the same, everybody's list in Redis",
    "once": "every customer once",
    "once_redis": "the same, everybody's list in Redis",
}
AT_LEAST = {"zipf": ("bare", 0.4), "once": ("bare_get", 0.65)}
AIM_MS, COLD_MS = 7.0, 15.0
KEEPS_UP = 0.95  # a server that answers fewer of those that are asked falls behind


def answer_part(measured: Content) -> str:
    """What stands in docs/benchmarks.md of answers in process."""
    return "\n\n".join([_machine("In process", measured), *_answer(measured["found"])])


def load_part(measured: Content) -> str:
    """What stands there of answers over the network."""
    return "\n\n".join([_machine("Over the network", measured), *_load(measured["found"])])


def sizes_part(measured: Content) -> str:
    """What stands in docs/sizing.md."""
    rows = [_size(found) for found in measured["found"]]
    head = (
        "customers", "products", "lists, order and probability", "evidence", "histories", "ids of customers",
        "all about products", "mapped in all", "own memory of a worker", "Redis, for lists", "start to ready",
    )  # fmt: skip
    return "\n\n".join([_machine("Measured", measured), _table(head, rows), *_size_verdicts(measured)])


def _answer(found: Content) -> list[str]:
    rows = []
    for name, row in found["routes"].items():
        rows.append(
            (
                name,
                f"{row['us']:.1f}",
                f"{row['p90_us']:.1f}",
                f"{row['x_bare']:.2f}",
                f"{row['x_bare_get']:.2f}",
            )
        )
    head = ("answer of 10 products, with an API key", "median µs", "p90 µs", "x bare", "x bare with GET")
    parts = [(name, f"{us:.1f}") for name, us in found["parts"].items()]
    asked = [
        f"{name}: {found['routes'][name][ratio]:.2f}, at most {most} is asked for"
        for name, (ratio, most) in AT_MOST.items()
    ]
    return [
        _table(head, rows),
        "; ".join(asked) + ".",
        _table(("part of an answer, by itself", "median µs"), parts),
    ]


def _load(found: Content) -> list[str]:
    rounds = [one["per_s"] for one in found["throughput"]]
    rows = [
        (
            SERVERS[key],
            f"{median(one[key] for one in rounds):,.0f}",
            *(f"{_share(rounds, key, base):.2f}" for base in ("bare", "bare_get")),
            f"{AT_LEAST[key][1]} of {SERVERS[AT_LEAST[key][0]]}" if key in AT_LEAST else "",
        )
        for key in SERVERS
    ]
    busy = median(one["others"] for one in found["throughput"])
    throughput = _table(
        ("asked as fast as it answers", "answers/s", "of bare", "of bare with GET", "at least"), rows
    )
    return [
        throughput,
        f"Medians of {len(rounds)} rounds; others kept {busy:.1f} cores busy meanwhile.",
        *_waits(found),
        "![waiting times by rate](images/speed.svg)",
        *(_bend(key, steps) for key, steps in found["curves"].items()),
    ]


def _waits(found: Content) -> list[str]:
    runs = [*found["aim"], *found["cold"]]
    names = [f"run {place}" for place in range(1, len(found["aim"]) + 1)] + ["lists in no cache"]
    head = ("open loop", "asked/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "cores that others kept busy")
    rows = [
        (
            name,
            f"{run['rate_per_s']:,}",
            *(f"{run[key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms")),
            f"{run['others']:.2f}",
        )
        for name, run in zip(names, runs, strict=True)
    ]
    p99, cold = median(run["p99_ms"] for run in found["aim"]), found["cold"][0]["p99_ms"]
    return [
        _table(head, rows),
        f"Median p99 of the runs: {p99:.1f} ms, under {AIM_MS:g} is asked for; of lists in no cache, with "
        f"100,000 products: {cold:.1f} ms, under {COLD_MS:g} is asked for.",
    ]


def _bend(key: str, steps: Sequence[Content]) -> str:
    """Up to which rate callers hardly wait, and from which on the queue grows."""
    good = [step["rate_per_s"] for step in steps if step["p99_ms"] < AIM_MS]
    late = [step["rate_per_s"] for step in steps if step["per_s"] < KEEPS_UP * step["rate_per_s"]]
    told = (
        f"p99 is under {AIM_MS:g} ms up to {max(good):,}/s" if good else f"p99 is never under {AIM_MS:g} ms"
    )
    end = f", and from {min(late):,}/s on answers come later than questions" if late else ""
    return f"{SERVERS[key]}: {told}{end}."


def _share(rounds: Sequence[Content], key: str, base: str) -> float:
    return median(one[key] / one[base] for one in rounds)


def _size(found: Content) -> tuple[str, ...]:
    files = found["files"]
    mapped = ("order", "evidence", "histories", "ids", "products")
    return (
        f"{found['customers']:,}",
        f"{found['products']:,}",
        *(_gb(files[name]) for name in mapped),
        _gb(sum(files.values())),
        _gb(found["worker_bytes"]),
        f"{_gb(found['redis_bytes'])} for {found['redis_lists']:,}",
        f"{found['ready_s']:.1f} s",
    )


def _size_verdicts(measured: Content) -> list[str]:
    largest = measured["found"][-1]
    per_list = largest["redis_bytes"] / largest["redis_lists"]
    mapped, own = sum(largest["files"].values()), largest["worker_bytes"]
    return [
        f"Each customer has {largest['candidates']} candidates and bought {largest['bought']} products. With "
        f"{largest['customers']:,} customers {_gb(mapped)} are mapped (at most {MEMORY_GB} are asked for), a "
        f"worker has {_gb(own)} of its own (at most {WORKER_GB}), {REDIS_LISTS:,} lists take "
        f"{_gb(per_list * REDIS_LISTS)} of Redis, {per_list:.0f} bytes each (at most {REDIS_GB} GB), and one "
        f"worker is ready {largest['ready_s']:.1f} s after its start (under {READY_S:g}), the median of "
        f"five, while others kept {largest['others']:.1f} cores busy."
    ]


def _gb(size: float) -> str:
    return f"{size / 1e9:.3f} GB" if size < 1e8 else f"{size / 1e9:.2f} GB"


def _machine(what: str, part: Content) -> str:
    on = part["machine"]
    return (
        f"{what}, {on['day']}: {on['cores']} cores, Python {on['python']}, load average "
        f"{on['load_average']:.1f} at the start."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
