"""How a night's cost grows with the purchases: the same shop once, twice and four times.

    make bench-night                            about 15 minutes on a quiet machine
    make bench-night BENCH="--copies 1"         one size, shown and not written

A copy is every household of Complete Journey again under another id, so that the purchases double and
the catalogue stays. Each night is a process of its own; what it took is what the system says of it.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, rmtree
from subprocess import Popen

import polars as pl

from tests.benchmarks.page_marks import put_between
from training.commands.complete_journey import source_folder, write_demo

PAGE = Path("docs/benchmarks.md")
AS_OF = "2017-11-22"
COPIES = (1, 2, 4)
OF_CUSTOMERS = ("purchases", "customers", "redemptions", "audiences")


@dataclass(frozen=True)
class Cost:
    """What one night took."""

    copies: int
    purchases: int
    wall_s: float
    cpu_s: float
    peak_gb: float


def main() -> None:
    given = arguments()
    folder = given.folder / "night"
    source = folder / "data"
    write_demo(source_folder(), source)
    copies = given.copies or COPIES
    found = [measured(source, folder, n) for n in copies]
    part = table(found)
    print(part)
    if not given.copies:
        PAGE.write_text(put_between(PAGE.read_text(), "night", part))
        say(f"written: {PAGE}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--copies", type=int, action="append", help="only this size, or these; nothing is written"
    )
    parser.add_argument("--folder", type=Path, default=Path(".nextbest/bench"))
    return parser.parse_args()


def measured(source: Path, folder: Path, copies: int) -> Cost:
    """One night over so many copies of the shop's customers."""
    data, store = folder / f"data-{copies}", folder / f"store-{copies}"
    rmtree(store, ignore_errors=True)
    n_purchases = multiplied(source, data, copies)
    say(f"a night over {n_purchases:,} purchases")
    cost = night(data, store)
    found = Cost(copies, n_purchases, *cost)
    say(str(asdict(found)))
    rmtree(data)
    rmtree(store)
    return found


def multiplied(source: Path, data: Path, copies: int) -> int:
    """Writes the shop with so many of each customer into `data`; how many purchase lines that are."""
    copytree(source, data, dirs_exist_ok=True)
    for name in OF_CUSTOMERS:
        path = data / f"{name}.parquet"
        table = pl.read_parquet(path)
        pl.concat([renamed(table, copy) for copy in range(copies)]).write_parquet(path)
    return int(pl.scan_parquet(data / "purchases.parquet").select(pl.len()).collect().item())


def renamed(table: pl.DataFrame, copy: int) -> pl.DataFrame:
    """The same lines, of other customers and orders."""
    if not copy:
        return table
    ids = [name for name in ("customer_id", "order_id") if name in table.columns]
    return table.with_columns(pl.concat_str(pl.col(name), pl.lit(f"-{copy}")) for name in ids)


def night(data: Path, store: Path) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of processor time and the highest resident memory in GB of one night.

    Raises:
        SystemExit: the night failed.
    """
    command: Sequence[str] = (
        *(str(Path(sys.executable).parent / "nbo-train"), "nightly", "--data", str(data)),
        *("--config", str(data / "nextbest.toml"), "--store", str(store), "--as-of", AS_OF),
    )
    begin = time.monotonic()
    process = Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"the night over {data} ended with exit code {process.returncode}")
    return time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024**2


def table(found: Sequence[Cost]) -> str:
    """The costs in Markdown, each beside the first."""
    machine = f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the end"
    head = (
        f"{machine}; {datetime.now(UTC).date()}.",
        "",
        "| copies of each customer | purchase lines | s | x | CPU s | x | GB at most | x |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    )
    return "\n".join([*head, *(row(cost, found[0]) for cost in found)])


def row(cost: Cost, first: Cost) -> str:
    return (
        f"| {cost.copies} | {cost.purchases:,} "
        f"| {cost.wall_s:.0f} | {cost.wall_s / first.wall_s:.2f} "
        f"| {cost.cpu_s:.0f} | {cost.cpu_s / first.cpu_s:.2f} "
        f"| {cost.peak_gb:.1f} | {cost.peak_gb / first.peak_gb:.2f} |"
    )


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
