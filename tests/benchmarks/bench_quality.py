"""How good the lists are: every variant and its peers on two open sets, beside published tables.

    make bench-quality

measures what isn't measured yet, keeps it in .nextbest/bench and rewrites the generated part of
docs/benchmarks.md with its plots. A run that was cut off goes on where it was.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import quality_complete_journey, quality_ta_feng
from tests.benchmarks.page_marks import put_between
from tests.benchmarks.quality_page import page
from tests.benchmarks.quality_plot import plot
from tests.benchmarks.quality_questions import Split
from tests.benchmarks.quality_runs import Entrant, entrants, run
from tests.benchmarks.quality_summary import summarise

SPLITS = ("ta-feng-time", "ta-feng-last-basket", "complete-journey", "complete-journey-28")
ONE_IN = 5  # customers of --quick
PAGE = Path("docs/benchmarks.md")
IMAGES = Path("docs/images")


def main() -> None:
    given = arguments()
    now = datetime.now(UTC)
    folder = given.folder / "quick" if given.quick else given.folder
    kept = folder / "quality.json"
    content: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"splits": {}}
    if not given.only_page:
        known = entrants()
        wanted = [e for e in known if not given.entrant or e.name in given.entrant]
        for name in given.only or SPLITS:
            content["splits"][name] = measured(name, folder, known, wanted, given, now)
            kept.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    write(content, folder if given.quick else None)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=SPLITS, action="append", help="one part, or several")
    parser.add_argument("--entrant", action="append", help="only these variants and peers, by name")
    parser.add_argument("--again", action="store_true", help="measure also what is measured already")
    parser.add_argument(
        "--quick", action="store_true", help="one date, a sample of customers, no page written"
    )
    parser.add_argument("--only-page", action="store_true", help="write the page from what is measured")
    parser.add_argument("--folder", type=Path, default=Path(".nextbest/bench"))
    return parser.parse_args()


def measured(
    name: str,
    folder: Path,
    known: Sequence[Entrant],
    wanted: Sequence[Entrant],
    given: argparse.Namespace,
    now: datetime,
) -> dict[str, Any]:
    """One split's content of quality.json, after measuring what is missing."""
    split = prepared(name, given.folder, now)
    if name in quality_ta_feng.PUBLISHED:
        found = quality_ta_feng.check_published(split)
        say(f"{name}: popularity is {', '.join(f'{f:.4f}' for f in found)}, as published")
    if given.quick:
        split = split.sample(ONE_IN, n_tests=1)
    run(split, folder, wanted, again=given.again, say=say)
    return summarise(split, folder, known, day=now.date(), is_whole=not given.quick)


def prepared(name: str, folder: Path, now: datetime) -> Split:
    """The split of this name, with its data."""
    if name.startswith("ta-feng"):
        lines = quality_ta_feng.prepared(quality_ta_feng.read())
        by_name: dict[str, Callable[[Any], Split]] = {
            "ta-feng-time": quality_ta_feng.by_time,
            "ta-feng-last-basket": quality_ta_feng.by_last_basket,
        }
        return by_name[name](lines)
    folder.mkdir(parents=True, exist_ok=True)
    year = quality_complete_journey.read(folder / "complete-journey-data", now)
    weeks = {
        "complete-journey": quality_complete_journey.seven_days,
        "complete-journey-28": quality_complete_journey.four_weeks,
    }
    return weeks[name](year)


def write(content: dict[str, Any], only_show: Path | None) -> None:
    """The page and its plots; `only_show` takes them to that folder and the screen instead of docs."""
    text = page(content)
    images = only_show / "images" if only_show else IMAGES
    images.mkdir(parents=True, exist_ok=True)
    for name, split in content["splits"].items():
        (images / f"quality-{name}.svg").write_text(plot(split))
    if only_show:
        print(text)
    else:
        PAGE.write_text(put_between(PAGE.read_text(), "quality", text))
        say(f"written: {PAGE}")


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
