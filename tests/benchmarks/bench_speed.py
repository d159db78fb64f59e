"""How fast the day is, and what a shop's size costs; writes the tables and the plot of the docs.

    make bench                         all of it: about 10 minutes, and at most 7 of waiting for quiet
    make bench BENCH='--only answer'   one part: answer (in process), load (over the network), sizes
    make bench BENCH=--quick           each part in short, shown and not written

What was measured is kept in .nextbest/bench/speed.json; `--only-page` writes the pages from it.
Tables of parts that aren't in it stay as they are.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import bench_answer, bench_load, bench_sizes
from tests.benchmarks.big_shop import Size
from tests.benchmarks.load_servers import shop
from tests.benchmarks.page_marks import put_between
from tests.benchmarks.speed_page import answer_part, load_part, sizes_part
from tests.benchmarks.speed_plot import plot

SPEED, SIZES = Path("docs/benchmarks.md"), Path("docs/sizing.md")
PARTS = {"answer": (SPEED, answer_part), "load": (SPEED, load_part), "sizes": (SIZES, sizes_part)}
IMAGE = Path("docs/images/speed.svg")
ANSWER_SHOP = Size(200_000, 100_000, offers=100)
PATIENCE_S = 120.0  # of the part sizes


def main() -> None:
    given = arguments()
    kept = given.folder / "speed.json"
    content: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if not given.only_page:
        for part in given.only or PARTS:
            content[part] = {"machine": machine(), "found": measured(part, given)}
            if part == "answer":
                bench_answer.show(content[part]["found"])
            if not given.quick:
                kept.write_text(json.dumps(content, indent=1) + "\n")
    if given.quick:
        print(
            *(part_of(content[part]) for part, (_, part_of) in PARTS.items() if part in content), sep="\n\n"
        )
    else:
        write(content)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append", help="one part, or several")
    parser.add_argument("--quick", action="store_true", help="in short; nothing is written")
    parser.add_argument("--only-page", action="store_true", help="write the pages from what is measured")
    parser.add_argument("--store", type=Path, help="of the part answer, instead of a made-up shop")
    parser.add_argument("--folder", type=Path, default=Path(".nextbest/bench"))
    return parser.parse_args()


def measured(part: str, given: argparse.Namespace) -> Any:
    """What a part found, as JSON."""
    given.folder.mkdir(parents=True, exist_ok=True)
    if part == "answer":
        store = given.store or shop(given.folder, ANSWER_SHOP, say)
        say("answers in process")
        return bench_answer.measure(store, 100 if given.quick else bench_answer.ROUNDS)
    if part == "load":
        return bench_load.measure(given.folder, bench_load.QUICK if given.quick else bench_load.Plan(), say)
    sizes = bench_sizes.QUICK_SIZES if given.quick else bench_sizes.SIZES
    return bench_sizes.measure(given.folder, sizes, 0 if given.quick else PATIENCE_S, say)


def machine() -> dict[str, Any]:
    """Where and when it was measured."""
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def write(content: dict[str, Any]) -> None:
    """Each part that was measured, where it stands in the docs."""
    for part, (page, part_of) in PARTS.items():
        if part in content:
            page.write_text(put_between(page.read_text(), part, part_of(content[part])))
            say(f"written: {part} in {page}")
    if "load" in content:
        IMAGE.write_text(plot(content["load"]["found"]["curves"]))
        say(f"written: {IMAGE}")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
