"""`make demo`: learn from a real grocer's year, serve it, show three answers; Ctrl-C stops all of it."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from models.errors import NextbestError, NoChampionError
from storage.versions.store import Store
from storage.versions.version import Version

HOME = Path(".nextbest/demo")
DATA, STORE = HOME / "data", HOME / "store"
LEARNED = HOME / "learned_from"  # fingerprint of what the last night saw
SERVICE_LOG = HOME / "service.log"
COMMANDS = Path(sys.executable).parent
CHECKOUT = Path(__file__).parent.parent
CODE = ("models", "storage", "training", "requirements/runtime.txt")

GATE_REFUSED = 4  # exit code of the night: the champion of an earlier night stays, and is worth showing
NIGHT_S = 240  # that the night aims at, so that all of the demo is ready within 6 minutes
READY_WITHIN_S = 60
STOP_WITHIN_S = 20
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

console = Console(width=None if sys.stdout.isatty() else 120)


class DemoError(NextbestError):
    """The demo can't go on; the text says why, in a line."""


def main() -> int:
    """Run the demo; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="where to serve")
    parser.add_argument("--only-learn", action="store_true", help="stop when the store is ready")
    chosen = parser.parse_args()
    for number in STOPPING:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # nohup means it
            signal.signal(number, stop)
    try:
        if not chosen.only_learn:
            refuse_taken(chosen.port)
        bring_data()
        learn()
        if not chosen.only_learn:
            serve(chosen.port)
    except KeyboardInterrupt:
        console.print("\nstopped")
    except NextbestError as err:
        print(f"demo: {err}", file=sys.stderr)
        return 1
    return 0


def stop(number: int, frame: FrameType | None) -> None:
    """Unwind once; more signals meanwhile change nothing, since every wait on the way out has its limit."""
    for other in STOPPING:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def refuse_taken(port: int) -> None:
    """Say at once, not after minutes of learning, that the port can't be had."""
    with socket.socket() as probe:
        # As the service does: old connections don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as err:
            raise DemoError(
                f"port {port} can't be used ({err}): choose another, as in `make demo PORT=8001`"
            ) from err


def bring_data() -> None:
    """Write the purchases of Complete Journey in the data contract, once."""
    if DATA.exists():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    part = HOME / "data.part"
    shutil.rmtree(part, ignore_errors=True)
    run("nbo-train", "demo-data", "--out", str(part))
    part.rename(DATA)


def learn() -> None:
    """Run the night, unless the champion has learned from this very data with this very code."""
    seen = what_would_be_seen()
    if LEARNED.exists() and LEARNED.read_text() == seen and has_sound_champion():
        console.print("data, configuration and code are as in the last night: its champion serves again")
        return
    places = ("--data", str(DATA), "--store", str(STORE), "--config", str(DATA / "nextbest.toml"))
    budget = ("--time-budget", str(NIGHT_S))
    code = run("nbo-train", "nightly", *places, *budget, may_end_with=GATE_REFUSED)
    if code == GATE_REFUSED:
        console.print("the gate kept the champion of an earlier night")
    LEARNED.write_text(seen)


def what_would_be_seen() -> str:
    """Fingerprint of the data files (by size and time of change) and of the code that learns (by content)."""
    digest = hashlib.sha256()
    for path in sorted(DATA.rglob("*")):
        stat = path.stat()
        digest.update(f"{path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    for place in CODE:
        root = CHECKOUT / place
        for path in sorted(root.rglob("*.py")) if root.is_dir() else [root]:
            digest.update(f"{path.relative_to(CHECKOUT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def has_sound_champion() -> bool:
    """Whether the store has a champion, whole."""
    try:
        champion = Store(STORE).champion()
        return champion is not None and bool(Store(STORE).open(champion.current.version_id))
    except NextbestError:
        return False


def serve(port: int) -> None:
    """Start the service, show what it answers, and wait until it ends or we are stopped."""
    champion = Store(STORE).champion()
    if champion is None:
        raise NoChampionError(str(STORE), "the night left no champion")
    version = Store(STORE).open(champion.current.version_id, verify=False)
    base = f"http://127.0.0.1:{port}"
    with SERVICE_LOG.open("w") as log, started(
        "nbo-serve", "run", "--store", str(STORE), "--port", str(port), output=log
    ) as service:  # fmt: skip
        wait_until_ready(base, service)
        customers = three_customers(version)
        for customer_id, who in customers:
            show(fetch(f"{base}/recommend/{urllib.parse.quote(customer_id, safe='')}?n=5"), who)
        show_places(base, version, customers[0][0])
        raise DemoError(f"the service ended by itself with code {service.wait()}: see {SERVICE_LOG}")


def wait_until_ready(base: str, service: subprocess.Popen[bytes]) -> None:
    """Ask the service until it says that it can answer."""
    give_up_at = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < give_up_at:
        if service.poll() is not None:
            raise DemoError(f"the service ended with code {service.returncode}: see {SERVICE_LOG}")
        with suppress(OSError):  # URLError is one: not listening yet, or 503
            fetch(f"{base}/health/ready")
            return
        time.sleep(0.1)
    raise DemoError(f"the service was not ready within {READY_WITHIN_S} s: see {SERVICE_LOG}")


def three_customers(version: Version) -> list[tuple[str, str]]:
    """The customer of most products, the one in the middle, and one never seen: each id with words for it."""
    sizes = np.diff(version.array("history/indptr"))
    by_size = np.argsort(sizes, kind="stable")
    ids = version.ids("customers")
    chosen = []
    for words, row in (("the fullest history", by_size[-1]), ("a typical one", by_size[len(by_size) // 2])):
        chosen.append((ids[int(row)], f"{words}: {int(sizes[row]):,} different products"))
    unseen = next(name for name in (f"newcomer-{n}" for n in range(len(ids) + 1)) if ids.find(name) < 0)
    return [*chosen, (unseen, "never seen before")]


def show(answer: dict[str, Any], who: str) -> None:
    """Print one answer of `/recommend` as a table."""
    table = Table(
        title=f"customer {answer['customer_id']} ({who}), source: {answer['source']}", title_justify="left"
    )
    for heading in ("", "product", "title", "within 7 days", "why"):
        table.add_column(heading, overflow="fold")
    for entry in answer["recommendations"]:
        p = entry["probability"]
        chance = "" if p is None else f"{p:.0%}"
        table.add_row(
            str(entry["rank"]), entry["product_id"], entry["title"], chance, entry["reason"]["text"]
        )
    console.print()
    console.print(table)


def show_places(base: str, version: Version, customer_id: str) -> None:
    """Print where to look next."""
    rows = {
        "try it": f"curl '{base}/recommend/{urllib.parse.quote(customer_id, safe='')}?n=10'",
        "the API": f"{base}/docs",
        "ready?": f"{base}/health/ready",
        "metrics": f"{base}/metrics",
        "how good the models are": str(report_of(version)),
        "log of the service": str(SERVICE_LOG),
    }
    console.print()
    for name, place in rows.items():
        console.print(f"  {name:24}{place}", soft_wrap=True, markup=False, highlight=False)
    console.print("\nserving until Ctrl-C")


def report_of(version: Version) -> Path:
    """The page of the night that wrote this version; both carry its time."""
    return Store(STORE).runs / version.version_id.split("-")[0] / "report.html"


def fetch(url: str) -> dict[str, Any]:
    """The JSON that a GET answers.

    Raises:
        OSError: no answer, or one that is not 2xx.
    """
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310  # our own service  # nosec B310
        answer: dict[str, Any] = json.load(response)
    return answer


def run(*command: str, may_end_with: int = 0) -> int:
    """Run a command of nextbest to its end.

    Raises:
        DemoError: its exit code is neither 0 nor the one allowed.
    """
    with started(*command) as process:
        code = process.wait()
    if code not in (0, may_end_with):
        raise DemoError(f"`{' '.join(command)}` ended with code {code}")
    return code


@contextmanager
def started(*command: str, output: IO[str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A command of nextbest, ended with the block; in a group of its own, so that Ctrl-C reaches only us."""
    path = str(COMMANDS / command[0])
    process = subprocess.Popen(  # noqa: S603  # our own commands
        [path, *command[1:]], stdout=output, stderr=output, start_new_session=True
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever is left of its group
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
