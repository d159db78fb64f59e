"""kill -9 of workers, of the parent and of the night: others answer meanwhile, and all of it comes back."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from storage.versions.store import CHAMPION, Store
from tests.data.nights import NBO_TRAIN, champion, quick_config, run, run_process
from tests.data.running_service import Running, free_port, running_service, runs, until
from tests.data.tiny_version import new_store
from tests.data.webshop import habits, write_shop
from tests.faults.client import Connection, Outcome, load
from tests.faults.marked_shop import asked_for, marked_shop

CUSTOMERS = 60
IDS = asked_for(CUSTOMERS, seed=2)
BACK_S = 8


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return new_store(tmp_path / "store", marked_shop(CUSTOMERS))


def live_workers(running: Running) -> list[psutil.Process]:
    return [worker for worker in running.workers() if worker.name() != "sh"]


def kill_workers(running: Running, kills: int, seed: int) -> None:
    """Kill a worker by chance, wait until as many are there as before, and again; another one listens."""
    chance, before = random.Random(seed), len(live_workers(running))
    with load(running.port, IDS, clients=3, gap_s=0.001) as asked:
        for _ in range(kills):
            killed = chance.choice(live_workers(running))
            until(lambda it=killed: running.listeners() - {it.pid}, BACK_S)  # type: ignore[misc]
            killed.kill()
            until(lambda it=killed: not runs(it), BACK_S)  # type: ignore[misc]
            until(lambda: len(live_workers(running)) == before, BACK_S)
            time.sleep(chance.random() * 0.3)
        account = asked.stop()
    lost = account.outcomes[Outcome.UNKNOWN] + account.outcomes[Outcome.FAILED]
    print(f"{kills} kills, {account.invoked} requests, {lost} without an answer")
    assert account.wrong == []
    assert account.outcomes[Outcome.REFUSED] == 0
    assert lost <= 3 * kills * 4  # what was under way at the one that was killed, and connections to it
    assert account.outcomes[Outcome.OK] == account.invoked - lost
    assert running.process.poll() is None


def test_workers_are_killed_ten_times_and_the_others_answer(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log", workers=3) as running:
        kill_workers(running, kills=10, seed=1)


def lone_worker_is_back(running: Running) -> float:
    """Kill the only worker; in how many seconds somebody answers again."""
    (worker,) = live_workers(running)
    began_s = time.monotonic()
    worker.kill()
    connection = Connection(running.port, timeout_s=1)
    until(lambda: connection.ask(f"/recommend/{IDS[0]}").outcome is Outcome.OK, BACK_S)
    connection.close()
    return time.monotonic() - began_s


def test_a_lone_worker_that_is_killed_again_and_again_is_back_each_time(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log") as running:
        back_s = [lone_worker_is_back(running) for _ in range(3)]
        print("a lone worker was back after", *(f"{s:.1f} s" for s in back_s))
        assert max(back_s) < BACK_S
        assert running.process.poll() is None


@pytest.mark.faults
def test_workers_that_cannot_start_end_the_service(store: Store, tmp_path: Path) -> None:
    """A supervisor sees that, and so does a person."""
    command = f"""
import service.processes.server as server
import service.processes.worker as worker
worker.create_app = lambda parts: 1 / 0
server.run(server.Settings(store={str(store.root)!r}, port={free_port()}))
"""
    with (tmp_path / "log").open("wb") as log:
        ended = subprocess.run(
            [sys.executable, "-c", command], stdout=log, stderr=log, timeout=60, check=False
        )
    assert ended.returncode == 1
    assert "crash loop" in (tmp_path / "log").read_text()


def test_a_killed_parent_can_be_started_again_at_once(store: Store, tmp_path: Path) -> None:
    port, log = str(free_port()), (tmp_path / "log").open("wb")
    command = [sys.executable, "-c", "from service.cli import main; main()", "run"]
    command += ["--store", str(store.root), "--port", port, "--workers", "2"]
    connection = Connection(int(port), timeout_s=1)

    def answers() -> bool:
        return connection.ask(f"/recommend/{IDS[0]}").outcome is Outcome.OK

    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(answers, 20)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        began_s = time.monotonic()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: not any(map(runs, children)) and answers(), BACK_S)
        print(f"back {time.monotonic() - began_s:.1f} s after the parent was killed")
    finally:
        connection.close()
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        log.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), habits(customers=60, products=40, days=40))


@pytest.fixture
def night(shop: Path, tmp_path: Path) -> Iterator[list[str]]:
    config = quick_config(tmp_path)
    yield ["nightly", "--data", str(shop), "--store", str(tmp_path / "night"), "--config", str(config)]
    shutil.rmtree(tmp_path / "night", ignore_errors=True)


def kill_nights(night: list[str], kills: int, seed: int) -> None:
    """Kill nights at moments by chance: what answers stays whole; a last night that may end clears up."""
    root, chance, began_s = Path(night[4]), random.Random(seed), time.monotonic()
    first = run_process(*night)
    took_s = time.monotonic() - began_s
    assert first.code == 0, first.err
    killed = 0
    for _ in range(kills):
        process = subprocess.Popen([NBO_TRAIN, *night], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            process.wait(chance.random() * took_s)
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
        assert champion(root).manifest.gate.decision == "published"  # and every file of it was checked
        assert {name.name for name in root.iterdir()} >= {CHAMPION, "versions", "runs"}
    last = run(*night)
    assert last.code == 0, last.err
    assert not (root / "tmp").exists() or not list((root / "tmp").iterdir())
    assert all(not isinstance(entry, Exception) for entry in Store(root).manifests(check_sizes=True))
    print(f"{killed} of {kills} nights were killed")
    assert killed > kills / 2


def test_killed_nights_leave_what_answers_as_it_was(night: list[str]) -> None:
    kill_nights(night, kills=1, seed=1)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_twenty_killed_nights_leave_what_answers_as_it_was(night: list[str]) -> None:
    kill_nights(night, kills=20, seed=2)


@pytest.mark.faults
@pytest.mark.timeout(300)
def test_sixty_kills_of_workers_cost_only_what_was_under_way(store: Store, tmp_path: Path) -> None:
    with running_service(store.root, tmp_path / "log", workers=3) as running:
        kill_workers(running, kills=60, seed=3)
