"""A disk that fills up: a night on it fails and the next one works, and what answers goes on."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from storage.versions.store import CHAMPION
from tests.data.nights import champion, quick_config, run
from tests.data.running_service import free_port, is_live, running_service, runs, until
from tests.data.tiny_version import new_store
from tests.data.webshop import habits, write_shop
from tests.faults.client import Connection, Outcome
from training.aftermath import METRICS

SIZE_MB = 8


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """8 MB in a mount namespace of its own, reached from here through /proc."""
    folder.mkdir()
    script = f"mount -t tmpfs -o size={SIZE_MB}m none '{folder}' && echo ready && exec sleep 600"
    process = subprocess.Popen(["unshare", "-Urm", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        if process.stdout.readline().strip() != "ready":
            pytest.skip("this machine lets nobody mount a tmpfs")
        yield Path(f"/proc/{process.pid}/root{folder}")
    finally:
        process.kill()
        process.communicate()


def fill(disk: Path, left_kb: int) -> Path:
    """Leave so much of a disk."""
    filler = disk / "filler"
    free = shutil.disk_usage(disk).free - left_kb * 1024
    with filler.open("wb") as file:
        file.write(b"\0" * max(free, 0))
    return filler


def last_page(store: Path) -> str:
    """The report of the last night."""
    return max((store / "runs").glob("*/report.html")).read_text()


def test_a_night_on_a_full_disk_fails_and_what_answers_goes_on(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, habits(customers=60, products=40, days=40))
    config = quick_config(tmp_path)
    with small_disk(tmp_path / "disk") as disk:
        store = disk / "store"
        night = ["nightly", "--data", shop, "--store", store, "--config", config]
        assert run(*night).code == 0
        before, version_id = (store / CHAMPION).read_bytes(), champion(store).version_id
        customer = champion(store).ids("customers")[0]
        elsewhere = f"sqlite:///{tmp_path / 'record.db'}"  # SQLite does not get through /proc
        night += ["--record", elsewhere]
        with running_service(store, tmp_path / "log", record_url=elsewhere) as running:
            port = running.port
            for left_kb in (0, 64):
                filler = fill(disk, left_kb)
                ran = run(*night)
                assert ran.code == 1, (left_kb, ran.err)
                assert "No space left" in ran.err or "disk full" in ran.err, ran.err
                assert (store / CHAMPION).read_bytes() == before
                assert not list((store / "tmp").glob("*"))  # its half a version gave the room back,
                if left_kb:  # so that there is some to say what happened
                    assert "last_run_exit_code 1.0" in (store / METRICS).read_text()
                    assert "can&#39;t be written whole" in last_page(store)
                with closing(Connection(port)) as connection:
                    asked = [connection.ask(f"/recommend/{customer}").outcome for _ in range(20)]
                assert set(asked) == {Outcome.OK}
                filler.unlink()
            time.sleep(1)  # ids of versions have whole seconds
            ended = run(*night)
            assert ended.code == 0, ended.err
            until(lambda: running.get("/health/ready").json()["version"] != version_id, 20)
        assert champion(store).version_id != version_id
        assert not (store / "tmp").exists() or not list((store / "tmp").iterdir())


def test_a_full_disk_of_what_is_passing_ends_no_worker_and_lets_another_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, nowhere = new_store(tmp_path / "store"), f"redis://127.0.0.1:{free_port()}"
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("TMPDIR", str(disk))  # where counts are
        with running_service(store.root, tmp_path / "log", redis_url=nowhere) as running:
            (worker,) = running.workers()
            fill(disk, 0)
            for n in range(40):  # what is counted anew wants room
                assert running.get(f"/recommend/anna?placement=p{n}").status_code == 200
            time.sleep(1)
            assert running.get("/metrics").status_code == 200
            assert running.workers() == [worker]
            worker.kill()
            until(lambda: not runs(worker), 20)
            until(lambda: is_live(running), 20)
            assert running.get("/recommend/anna").status_code == 200
