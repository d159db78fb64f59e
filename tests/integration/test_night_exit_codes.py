"""How a night fails: its exit code, one plain line, a call for help, and the champion stays."""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from models.history.interactions import Interactions
from models.repeat import Repeat
from storage.history.history import History
from tests.data.nights import NBO_TRAIN, champion, quick_config, quick_night, run, run_process, version_ids
from tests.data.running_service import until
from tests.data.webshop import habits, write_shop
from training import night

HEADER = "customer_id,product_id,purchased_at\n"


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("small"), habits(customers=100, products=40, days=60))


@pytest.fixture(scope="module")
def good(small_shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_night(small_shop, tmp_path_factory.mktemp("good"))


@pytest.fixture
def store(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "store"))


def calling_help(folder: Path, more: str = "") -> Path:
    """A configuration that writes the call for help to `help.txt`."""
    told = folder / "help.txt"
    call = f"""on_failure = 'printf "%s|%s" "$NEXTBEST_EXIT_CODE" "$NEXTBEST_MESSAGE" > "{told}"'\n"""
    return quick_config(folder, call + more)


def test_a_bad_configuration_is_exit_code_2_and_touches_nothing(small_shop: Path, tmp_path: Path) -> None:
    config = quick_config(tmp_path, "horizon_dayz = 3\n")
    ran = run_process("nightly", "--data", small_shop, "--store", tmp_path / "store", "--config", config)
    assert ran.code == 2
    assert ran.message.startswith(f"{config}: night.horizon_dayz: no such option; there are: horizon_days, ")
    assert not (tmp_path / "store").exists()
    wrong = run("nightly", "--data", small_shop, "--store", tmp_path / "store", "--as-of", "yesterday")
    assert wrong.code == 2
    assert "'yesterday' does not match the formats" in wrong.err


def test_a_bad_configuration_stands_in_the_metrics_of_a_store_that_is_there(
    small_shop: Path, store: Path, tmp_path: Path
) -> None:
    config = quick_config(tmp_path, "horizon_dayz = 3\n")
    assert run("nightly", "--data", small_shop, "--store", store, "--config", config).code == 2
    told = (store / "nextbest.prom").read_text()
    assert "nextbest_night_last_run_exit_code 2.0" in told
    assert "nextbest_night_last_success_timestamp_seconds" in told  # what NextbestNightMissed looks at stays


def test_a_signing_key_that_is_gone_is_exit_code_1_and_calls_for_help(
    small_shop: Path, store: Path, tmp_path: Path
) -> None:
    config, key = calling_help(tmp_path), tmp_path / "night.pem"
    ran = run("nightly", "--data", small_shop, "--store", store, "--config", config, "--signing-key", key)
    assert ran.code == 1
    assert (tmp_path / "help.txt").read_text() == f"1|{ran.message}"
    assert "nextbest_night_last_run_exit_code 1.0" in (store / "nextbest.prom").read_text()


def test_too_many_bad_lines_are_exit_code_3_and_the_champion_stays(store: Path, tmp_path: Path) -> None:
    before, versions = champion(store).version_id, version_ids(store)
    success = (store / "last_success.json").read_text()
    shop = tmp_path / "shop"
    shop.mkdir()
    good = [f"c{i},p{i % 9},2026-01-0{1 + i % 9}\n" for i in range(80)]
    bad = [f",p{i % 9},2026-01-01\n" for i in range(20)]
    (shop / "purchases.csv").write_text(HEADER + "".join(good + bad))
    ran = run("nightly", "--data", shop, "--store", store, "--config", calling_help(tmp_path))
    assert ran.code == 3
    folder = max((store / "runs").iterdir())
    message = (
        "purchases: 20 of 100 lines rejected (customer_id: empty: 20), more than max_reject_share = 0.1 in "
        f"[history]. Each stands in {folder / 'rejects.csv'};"
        " skip_anonymous in [history.purchases] leaves such lines out"
    )
    assert ran.message == message
    assert (tmp_path / "help.txt").read_text() == f"3|{message}"
    assert champion(store).version_id == before
    assert version_ids(store) == versions
    assert (store / "last_success.json").read_text() == success
    assert len((folder / "rejects.csv").read_text().splitlines()) == 21
    assert message in (folder / "report.html").read_text()
    assert "nextbest_night_last_run_exit_code 3.0" in (store / "nextbest.prom").read_text()


def test_nothing_to_learn_from_is_exit_code_6(store: Path, tmp_path: Path) -> None:
    before, versions = champion(store).version_id, version_ids(store)
    (tmp_path / "purchases.csv").write_text(HEADER)
    ran = run("nightly", "--data", tmp_path, "--store", store, "--config", calling_help(tmp_path))
    assert ran.code == 6
    assert ran.message.startswith("too little history: no purchase in ")
    assert (tmp_path / "help.txt").read_text() == f"6|{ran.message}"
    assert champion(store).version_id == before
    assert version_ids(store) == versions


def test_a_date_before_the_first_purchase_is_exit_code_6(small_shop: Path, tmp_path: Path) -> None:
    ran = run("nightly", "--data", small_shop, "--store", tmp_path / "s", "--as-of", "2010-12-01")
    assert ran.code == 6
    assert "no purchase before 2010-12-01" in ran.message


def test_what_the_machine_refuses_is_exit_code_1_in_one_line(small_shop: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder should be")
    config = calling_help(tmp_path)
    ran = run("nightly", "--data", small_shop, "--store", tmp_path / "file" / "store", "--config", config)
    assert ran.code == 1
    assert "Not a directory" in ran.message
    assert "\n" not in ran.message
    assert (tmp_path / "help.txt").read_text() == f"1|{ran.message}"


def test_a_fit_that_finds_no_memory_is_exit_code_1_and_says_what_to_lower(
    small_shop: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: Repeat, interactions: Interactions) -> Repeat:
        raise MemoryError("Unable to allocate 37.3 GiB")

    monkeypatch.setattr(Repeat, "fit", fit)
    before = champion(store).version_id
    config = calling_help(tmp_path, "[variants.repeat]\nprior_orders = 12.5\nmax_customers = 500\n")
    ran = run("nightly", "--data", small_shop, "--store", store, "--config", config)
    assert ran.code == 1
    assert ran.message == (
        "[variants.repeat]: out of memory (Unable to allocate 37.3 GiB): "
        "lower prior_orders = 12.5 (by default 10.0), or give it more memory"
    )
    assert (tmp_path / "help.txt").read_text() == f"1|{ran.message}"
    assert champion(store).version_id == before


def test_a_history_that_finds_no_memory_is_exit_code_1_in_one_line(
    small_shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> History:
        raise MemoryError

    monkeypatch.setattr(night, "read_history", read)
    ran = run("nightly", "--data", small_shop, "--store", tmp_path / "s", "--config", quick_config(tmp_path))
    assert ran.code == 1
    assert ran.message == "out of memory: MemoryError; give it more, see docs/sizing.md"


def test_a_disk_that_is_full_stops_the_night_and_the_champion_stays(
    small_shop: Path, store: Path, tmp_path: Path
) -> None:
    before, versions = champion(store).version_id, version_ids(store)
    config = calling_help(tmp_path)
    command = [NBO_TRAIN, "nightly", "--data", small_shop, "--store", store, "--config", config]
    words = " ".join(f"'{part}'" for part in command)
    # No file over 12 KiB, as if the rest of the disk were used up.
    limited = ["bash", "-c", f"ulimit -f 12; exec {words}"]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert re.fullmatch(
        r"nbo-train: .*purchases.parquet can't be written whole; is the disk full\? .*",
        done.stderr.splitlines()[-1],
    )
    assert "Traceback" not in done.stderr
    assert (tmp_path / "help.txt").read_text().startswith("1|")
    assert champion(store).version_id == before
    assert version_ids(store) == versions
    again = run("nightly", "--data", small_shop, "--store", store, "--config", config)
    assert again.code == 0, again.err
    assert not (store / "tmp").exists()


SIGNALS = """
import os, sys
from training.cli import main
from training.progress import Progress
from training.publishing import contents

number, moment, *arguments = sys.argv[1:]
sys.argv = ["nbo-train", *arguments]
say, write_shared = Progress.say, contents.write_shared

def at(reached):
    if reached == moment:
        os.kill(os.getpid(), int(number))

Progress.say = lambda self, event, **more: (say(self, event, **more), at(event))
contents.write_shared = lambda *args: (write_shared(*args), at("writing"))
main()
"""


def night_that_signals(*arguments: object) -> list[str]:
    """A command that sends itself a signal at a moment: after a step, or in the midst of its files.

    Sent from here it would now and then come too late: a small night takes a second.
    """
    return [sys.executable, "-c", SIGNALS, *map(str, arguments)]


def test_a_second_night_at_the_same_time_is_exit_code_5_and_the_first_one_ends_well(
    small_shop: Path, tmp_path: Path
) -> None:
    store, config, log = tmp_path / "store", calling_help(tmp_path), tmp_path / "log"
    command = night_that_signals(
        *(signal.SIGSTOP, "history", "nightly", "--data", small_shop, "--store", store, "--config", config)
    )
    with log.open("wb") as file, subprocess.Popen(command, stderr=file) as first:
        try:
            until(lambda: psutil.Process(first.pid).status() == psutil.STATUS_STOPPED, 60)
            second = run("nightly", "--data", small_shop, "--store", store, "--config", config)
        finally:
            first.send_signal(signal.SIGCONT)
    assert second.code == 5
    assert second.message.startswith(f"another night is at work on {store} (process {first.pid} since ")
    assert second.message.endswith("; this one did nothing")
    assert first.returncode == 0, log.read_text()
    assert champion(store).version_id == version_ids(store)[0]
    assert len(list((store / "runs").iterdir())) == 1
    assert not (tmp_path / "help.txt").exists()


@pytest.mark.parametrize("moment", ["history", "fit for the gate", "writing"])
def test_a_killed_night_leaves_the_store_as_it_was_and_the_next_one_cleans_up(
    small_shop: Path, store: Path, tmp_path: Path, moment: str
) -> None:
    before, versions, log = champion(store).version_id, version_ids(store), tmp_path / "log"
    config = quick_config(tmp_path)
    command = night_that_signals(
        *(signal.SIGKILL, moment, "nightly", "--data", small_shop, "--store", store, "--config", config)
    )
    with log.open("wb") as file:
        night = subprocess.run(command, stderr=file, check=False)
    assert night.returncode == -signal.SIGKILL
    assert '"event": "gate"' not in log.read_text()
    if moment == "writing":
        assert any((store / "tmp").rglob("purchases.parquet"))
    assert champion(store).version_id == before
    assert version_ids(store) == versions
    ran = run("nightly", "--data", small_shop, "--store", store, "--config", config)
    assert ran.code == 0, ran.err
    assert champion(store).version_id == ran.events[-1]["version"] != before
    assert not (store / "tmp").exists()


def test_a_night_killed_between_its_version_and_the_promotion_keeps_the_old_champion(
    small_shop: Path, store: Path, tmp_path: Path
) -> None:
    before = champion(store).version_id
    command = ["nightly", "--data", small_shop, "--store", store, "--config", quick_config(tmp_path)]
    killed = f"import os, sys; sys.argv = {['nbo-train', *map(str, command)]!r}; "
    killed += "from storage.versions.store import Store; "
    killed += "Store.promote = lambda *_, **__: os.kill(os.getpid(), 9); "
    killed += "from training.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", killed], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert champion(store).version_id == before
    assert len(version_ids(store)) == 2  # it is whole, and may be promoted by hand
    assert run("promote", "--store", store, version_ids(store)[1]).code == 0
    assert any((store / "tmp").iterdir()) is False


@pytest.mark.parametrize("command", ["nightly", "versions", "export"])
def test_a_store_that_is_a_file_is_wrong_usage(small_shop: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    more = {"nightly": ["--data", small_shop], "versions": [], "export": ["--out", tmp_path / "lists.csv"]}
    ran = run(command, "--store", tmp_path / "file", *more[command])
    assert ran.code == 2
    assert f"Directory '{tmp_path / 'file'}' is a file." in ran.err
