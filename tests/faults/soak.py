"""The full counts: a million answers, 500 kills, 1,000 swaps, and an hour in which memory stays flat.

    python -m tests.faults.soak --folder .nextbest/soak

What was reached is kept in the folder: started again, it goes on from there. The hour runs beside the rest.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import linear_regression, median

from service.cache.redis_cache import redis_client
from storage.keyring import change_keyring
from storage.versions.store import Store
from tests.data.credentials import Credentials
from tests.data.redis_server import redis_server
from tests.data.running_service import Running, free_port, running_service, runs, until
from tests.data.tiny_version import AS_OF, TinyShop, publish
from tests.faults.client import Account, Load, Outcome, load
from tests.faults.marked_shop import asked_for, marked_shop
from tests.faults.proxy import Fault, fault_proxy
from tests.faults.senders import sending

ROOT = Path(__file__).parents[2]
CUSTOMERS = 60
IDS = asked_for(CUSTOMERS, seed=3)
ANSWERS, KILLS, SWAPS, HOUR_S = 1_000_000, 500, 1000, 3600
WARM_S = 300  # until caches are full
SAMPLE_S, PIECE_S = 10, 600
# Of the hour: few enough that all that is kept of each is full when the worker is warm.
MANY = 250  # customers who ask
BOUGHT = "20"  # customers who bought since the night that a worker holds; one comes every ten seconds
RULES = """schema = 1
[[rules]]
id = "not-so-often"
kind = "frequency"
at_most = 3
days = 7
[[rules]]
id = "varied"
kind = "diversity"
strength = 0.5
"""


class State:
    """What was reached so far at this commit, in one small file. Another commit begins anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.strip()
        kept = json.loads(path.read_text()) if path.exists() else {}
        self.reached: dict[str, int] = kept.get("reached", {}) if kept.get("commit") == self._commit else {}

    def add(self, name: str, more: int) -> None:
        self.reached[name] = self.reached.get(name, 0) + more
        self._path.write_text(json.dumps({"commit": self._commit, "reached": self.reached}))
        print(time.strftime("%H:%M:%S"), self.reached, flush=True)

    def left(self, name: str, of: int) -> int:
        return max(0, of - self.reached.get(name, 0))


def marked_store(folder: Path) -> Store:
    store = Store(folder / "store")
    store.root.mkdir()
    publish(store, marked_shop(CUSTOMERS))
    return store


def check(account: Account, lost: int = 0) -> None:
    """Every answer is right, and no more than `lost` requests have none."""
    assert account.wrong == [], account.wrong[:3]
    assert account.outcomes[Outcome.REFUSED] == 0
    missing = account.invoked - account.outcomes[Outcome.OK]
    assert missing <= lost, (missing, account.fails[:3])


def answers(folder: Path, state: State) -> None:
    """A million answers while every fault between the service and Redis comes and goes."""
    store = marked_store(folder)
    with redis_server(folder, free_port()) as redis, fault_proxy(redis.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}/0"
        with running_service(store.root, folder / "log", first_level_life_s="0", redis_url=url) as running:
            while left := state.left("answers", ANSWERS):
                with load(running.port, IDS, clients=2) as asked:
                    while asked.invoked < min(left, 50_000):
                        for fault in Fault:
                            proxy.fault = fault
                            time.sleep(0.15)
                            proxy.fault = Fault.NONE
                            time.sleep(0.6)
                        redis.stop()
                        time.sleep(0.1)
                        redis.go_on()
                        redis_client(redis.url, 500).flushall()
                    account = asked.stop()
                check(account)
                state.add("answers", account.invoked)


def kills(folder: Path, state: State) -> None:
    """500 killed workers under load."""
    store, chance = marked_store(folder), random.Random(4)
    with running_service(store.root, folder / "log", workers=3) as running:
        while left := state.left("kills", KILLS):
            times = min(left, 25)
            with load(running.port, IDS, clients=3, gap_s=0.001) as asked:
                for _ in range(times):
                    killed = chance.choice(running.workers())
                    until(lambda it=killed: running.listeners() - {it.pid}, 8)  # type: ignore[misc]
                    killed.kill()
                    until(lambda it=killed: not runs(it), 8)  # type: ignore[misc]
                    until(lambda: len(running.workers()) == 3, 8)
                    time.sleep(chance.random() * 0.3)
                account = asked.stop()
            check(account, lost=3 * times * 4)
            state.add("kills", times)
        assert running.process.poll() is None


def swaps(folder: Path, state: State) -> None:
    """1,000 new champions and rollbacks under load, none of which costs a request."""
    store = Store(folder / "store")
    store.root.mkdir()
    publish(store)
    with running_service(store.root, folder / "log", poll_s="0.05") as running:
        number = 0
        while left := state.left("swaps", SWAPS):
            order = [str(running.get("/health/ready").json()["version"])]
            times = min(left, 50)
            with load(running.port, ["anna", "ben"], clients=2, is_marked=False) as asked:
                until(lambda asked=asked: all(asked.versions), 10)  # type: ignore[misc]
                for _ in range(times):
                    number += 1
                    order.append(_swap(store, number))
                    seen = lambda asked=asked, order=order: all(v[-1] == order[-1] for v in asked.versions)  # noqa: E731
                    until(seen, 5)
                account = asked.stop()
            check(account)
            assert asked.versions == [order] * 2
            state.add("swaps", times)


def _swap(store: Store, number: int, shop: TinyShop | None = None) -> str:
    if number % 3 == 0:
        return store.rollback(now=AS_OF).current.version_id
    version_id = publish(store, shop, now=AS_OF + timedelta(seconds=number))
    store.prune(keep=3, max_age=timedelta(days=9999), now=AS_OF)
    return version_id


def hour(folder: Path, state: State, seconds: float) -> None:
    """Memory, open files and threads of a worker as a shop uses it, with a swap now and then.

    Many customers with a key, rules that count what is shown, and purchases that come in. What was watched
    counts once it was judged, every ten minutes; started again a worker has to get warm again first.
    """
    left = state.left("seconds watched", round(seconds))
    if not left:
        return
    store, credentials = Store(folder / "store"), Credentials()
    store.root.mkdir()
    change_keyring(store.root, lambda _: credentials.keyring)
    shop = marked_shop(MANY)
    publish(store, shop)
    (folder / "rules.toml").write_text(RULES)
    headers = f"Authorization: Bearer {credentials.shop}\r\n"
    rules = str(folder / "rules.toml")
    with running_service(store.root, folder / "log", rules=rules, live_customers=BOUGHT) as running:
        port, products = running.port, list(shop.products)
        with (
            load(port, asked_for(MANY, 5), gap_s=0.005, is_marked=False, headers=headers) as asked,
            sending(port, 1, products, headers=headers, gap_s=0.5) as senders,
        ):
            watch(running, store, shop, state, left, asked)
            check(asked.stop())
            senders.stop()
        assert senders.wrong == [], senders.wrong[:3]


def watch(running: Running, store: Store, shop: TinyShop, state: State, seconds: float, asked: Load) -> None:
    """Sample one worker for so long, and judge what was seen so far every ten minutes."""
    (worker,) = running.workers()
    samples: list[tuple[float, float, int, int]] = []
    warm_s, counted_s, start_s = min(WARM_S, seconds / 4), 0, time.monotonic()
    while counted_s < seconds:
        _swap(store, 1_000_000 + len(samples), shop)
        time.sleep(SAMPLE_S)
        at_s = time.monotonic() - start_s
        samples.append((at_s, _private_kb(worker.pid), worker.num_fds(), worker.num_threads()))
        asked.forget()
        piece_s = min(PIECE_S, seconds - counted_s)
        if at_s >= warm_s + counted_s + piece_s:
            judge(samples, warm_s)
            counted_s += piece_s
            state.add("seconds watched", round(piece_s))
    assert [it.pid for it in running.workers()] == [worker.pid]


def _private_kb(pid: int) -> float:
    """Memory that is this process's own: mapped versions come and go with their files."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(size.split()[0]) for name, _, size in (row.partition(":") for row in rows)}
    return float(sizes["Private_Dirty"] + sizes["Anonymous"]) / 2


def judge(samples: list[tuple[float, float, int, int]], warm_s: float) -> None:
    """Flat: by a straight line through all samples memory grows by less than 2 % over the whole time."""
    warm = [sample for sample in samples if sample[0] >= warm_s]
    slope, at_zero = linear_regression([s[0] for s in warm], [s[1] for s in warm])
    span_s = warm[-1][0] - warm[0][0]
    share = slope * span_s / (at_zero + slope * warm[0][0])
    fds, threads = [s[2] for s in warm], [s[3] for s in warm]
    print(
        f"memory {warm[0][1] / 1024:.1f} to {warm[-1][1] / 1024:.1f} MB in {span_s:.0f} s, slope {share:+.2%}"
    )
    print(f"open files {min(fds)} to {max(fds)}, threads {min(threads)} to {max(threads)}")
    assert share < 0.02, "memory grows"
    # Medians: on a busy machine a version may still be open when the next one comes.
    assert median(fds[len(fds) // 2 :]) <= median(fds[: len(fds) // 2]) + 5, "open files grow"
    assert median(threads[len(threads) // 2 :]) <= median(threads[: len(threads) // 2]) + 1, "threads grow"


STAGES: dict[str, Callable[[Path, State], None]] = {"answers": answers, "kills": kills, "swaps": swaps}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--hour-s", type=float, default=HOUR_S, help="seconds that memory is watched")
    arguments.add_argument("--stage", choices=["hour", *STAGES], help="only this one")
    given = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started ends with it
    given.folder.mkdir(parents=True, exist_ok=True)
    state = State(given.folder / f"{given.stage or 'all'}.json")
    with tempfile.TemporaryDirectory() as scratch:
        if given.stage == "hour":
            hour(Path(scratch), state, given.hour_s)
        elif given.stage:
            STAGES[given.stage](Path(scratch), state)
        else:
            _everything(given.folder, given.hour_s)


def _everything(folder: Path, hour_s: float) -> None:
    """The hour beside the other stages, one after another."""
    command = [sys.executable, "-m", "tests.faults.soak", "--folder", str(folder), "--stage"]
    started: list[subprocess.Popen[bytes]] = []

    def start(*stage: str) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen([*command, *stage]))
        return started[-1]

    try:
        beside = start("hour", "--hour-s", str(hour_s))
        for stage in STAGES:
            if start(stage).wait():
                raise SystemExit(f"{stage} failed")
        if beside.wait():
            raise SystemExit("the hour failed")
    finally:
        for process in started:
            process.terminate()  # each ends the services that it started
        for process in started:
            process.wait()
    for stage in ("hour", *STAGES):
        (folder / f"{stage}.json").unlink()  # the next one begins anew
    print("soak: everything held")


if __name__ == "__main__":
    main()
