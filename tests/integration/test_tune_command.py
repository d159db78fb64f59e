"""`nbo-train tune`: what it finds, what it writes, how it ends, and that it goes on where it was."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.data.nights import NBO_TRAIN, QUICK, Ran, run
from training.config import load_config
from training.evaluation.bootstrap import Interval
from training.tuning.search import Found

LATE_FASHION = QUICK + "# How long a product is in fashion here.\n[variants.popular]\nhalf_life_days = 400\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 customers, 84 days; every 12 days other 12 products are in fashion, and nothing else is bought."""
    folder = tmp_path_factory.mktemp("shop")
    with (folder / "purchases.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["customer_id", "product_id", "purchased_at"])
        for customer in range(30):
            for day in range(customer % 2, 84, 2):
                at = date(2024, 1, 1) + timedelta(days=day)
                for number in range(3):
                    product = day // 12 * 12 + (customer + day + 4 * number) % 12
                    lines.writerow([f"c{customer}", f"p{product}", f"{at}T12:00:00"])
    return folder


def command(shop: Path, folder: Path, *more: object, config: str = LATE_FASHION) -> list[object]:
    (folder / "start.toml").write_text(config)
    return [
        *("tune", "--data", shop, "--config", folder / "start.toml", "--variant", "popular", "--trials", 6),
        *("--study", folder / "study.db", "--out", folder / "tuned.toml", *more),
    ]


@pytest.fixture(scope="module")
def searched(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """The folder of a search that nobody disturbed, and what it said. Copy it to change it."""
    folder = tmp_path_factory.mktemp("searched")
    ran = run(*command(shop, folder))
    assert ran.code == 0, ran.err
    return folder, ran


def test_what_is_better_on_weeks_not_searched_on_is_written_and_the_night_takes_it(
    shop: Path, searched: tuple[Path, Ran], tmp_path: Path
) -> None:
    folder, ran = searched
    text = (folder / "tuned.toml").read_text()
    assert "better beyond doubt" in text
    assert "# How long a product is in fashion here." in text
    assert load_config(folder / "tuned.toml").variants["popular"] != {"half_life_days": 400}
    trials = [line for line in ran.events if line["event"] == "trial"]
    assert [line["number"] for line in trials] == list(range(6))
    assert trials[0]["options"] == "as they are"
    best = max(line["mean"] for line in trials if line["windows"] == "3 of 3")
    told = re.search(r"(\S+) before, (\S+) with half_life_days", text)
    assert told and [float(one) for one in told.groups()] == pytest.approx(
        [trials[0]["mean"], best], abs=6e-5
    )  # four decimals here, five there
    night = run(
        *("nightly", "--data", shop, "--store", tmp_path / "store", "--config", folder / "tuned.toml")
    )
    assert night.code == 0, night.err


def test_the_last_horizon_is_neither_searched_nor_confirmed_on(
    shop: Path, searched: tuple[Path, Ran], tmp_path: Path
) -> None:
    changed = tmp_path / "shop"
    changed.mkdir()
    lines = (shop / "purchases.csv").read_text().splitlines(keepends=True)
    last = f"{date(2024, 3, 17)}"  # the history ends on 24 March, at its first midnight
    (changed / "purchases.csv").write_text(
        "".join(
            line if line.split(",")[2] < last or line == lines[0] else line.replace(",p", ",other")
            for line in lines
        )
    )
    assert run(*command(changed, tmp_path)).code == 0
    text = (searched[0] / "tuned.toml").read_text()
    assert (tmp_path / "tuned.toml").read_text() == text
    assert "on the 7 days from 2024-03-10, not searched on" in text


def test_where_the_present_options_are_the_best_they_stay(shop: Path, tmp_path: Path) -> None:
    start = "# Ours.\n[variants.popular]\nhalf_life_days = 3\n"
    marked = f"\ufeff{start}"  # as Windows' editors may save it
    assert run(*command(shop, tmp_path, "--trials", 1, config=marked)).code == 0
    head, *rest = (tmp_path / "tuned.toml").read_text().splitlines(keepends=True)
    assert "1 trial by ndcg@10" in head
    assert "the present options are the best, at " in head
    assert "".join(rest) == start


def test_without_a_sure_gain_the_options_stay_unless_forced(
    shop: Path, searched: tuple[Path, Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(searched[0] / "study.db", tmp_path)  # its trials are done
    monkeypatch.setattr(Found, "is_sure", False)
    assert run(*command(shop, tmp_path)).code == 0
    text = (tmp_path / "tuned.toml").read_text()
    assert "so it may be no better: options are left as they were" in text
    assert load_config(tmp_path / "tuned.toml").variants["popular"] == {"half_life_days": 400}
    assert run(*command(shop, tmp_path, "--force")).code == 0
    assert (
        "so it may be no better: written below all the same (--force)"
        in (tmp_path / "tuned.toml").read_text()
    )
    assert load_config(tmp_path / "tuned.toml").variants["popular"] != {"half_life_days": 400}


def test_a_gain_is_sure_when_its_interval_is_above_zero() -> None:
    def found(low: float) -> Found:
        return Found({"x": 1.0}, 9, 0.1, 0.2, 0.1, Interval(0.05, low, 0.1))

    assert found(0.001).is_sure
    assert not found(0.0).is_sure
    assert not found(-0.001).is_sure


def test_a_killed_search_goes_on_and_finds_what_an_unbroken_one_does(
    shop: Path, searched: tuple[Path, Ran], tmp_path: Path
) -> None:
    arguments = [NBO_TRAIN, *map(str, command(shop, tmp_path))]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if '"trial"' in line and json.loads(line)["number"] == 2:
                break
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "tuned.toml").exists()
    ran = run(*command(shop, tmp_path))
    assert ran.code == 0, ran.err
    assert next(line["number"] for line in ran.events if line["event"] == "trial") in (3, 4)
    assert (tmp_path / "tuned.toml").read_text() == (searched[0] / "tuned.toml").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_is_known(shop: Path, tmp_path: Path, number: signal.Signals) -> None:
    arguments = [NBO_TRAIN, *map(str, command(shop, tmp_path, "--trials", 100_000))]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr
        for line in process.stderr:
            if '"trial"' in line and json.loads(line)["number"] == 1:
                break
        started = time.monotonic()
        os.kill(process.pid, number)
        rest = process.stderr.read()
    assert process.returncode == 0, rest
    assert "Traceback" not in rest
    assert time.monotonic() - started < 20
    load_config(tmp_path / "tuned.toml")
    assert (tmp_path / "tuned.toml").read_text().startswith("# tuned popular: ")
    last = json.loads(rest.splitlines()[-1])
    assert (last["event"], last["why"]) == ("stopped", "a signal asked for it")


def test_the_time_budget_ends_it_and_the_present_options_are_always_measured(
    shop: Path, tmp_path: Path
) -> None:
    ran = run(*command(shop, tmp_path, "--trials", 100_000, "--time-budget", 0))
    assert ran.code == 0, ran.err
    assert [line["number"] for line in ran.events if line["event"] == "trial"] == [0]
    started = time.monotonic()
    ran = run(*command(shop, tmp_path, "--trials", 100_000, "--time-budget", 6))
    assert ran.code == 0, ran.err
    assert time.monotonic() - started < 30
    assert 1 < len([line for line in ran.events if line["event"] == "trial"]) < 1000
    assert ran.events[-1]["why"] == "--time-budget leaves no time for another trial"
    ran = run(*command(shop, tmp_path, "--trials", 1))
    assert ran.events[-1]["why"] == "--trials are done"


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--variant", "magic"], 2, "variant 'magic': unknown; there are: popular"),
        (["--option", "half_life"], 2, "--option half_life: popular has no such option to try; there are: "),
        (["--as-of", "2999-01-01"], 2, "--as-of: 2999-01-01T00:00:00+00:00 is later than now"),
        (["--as-of", "2024-01-20"], 6, "too little history: before the last 7 days up to 2024-01-20 there"),
        (["--config", "missing.toml"], 2, "missing.toml: can't be read"),
        (["--data", "nowhere"], 3, ""),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(
    shop: Path, tmp_path: Path, more: list[str], code: int, message: str
) -> None:
    ran = run(*command(shop, tmp_path, *more))
    assert ran.code == code
    assert ran.message.startswith(message)
    assert "\n" not in ran.message
    assert not (tmp_path / "tuned.toml").exists()


def test_a_study_of_another_question_or_no_study_is_refused(shop: Path, tmp_path: Path) -> None:
    assert run(*command(shop, tmp_path, "--trials", 1)).code == 0
    other = run(*command(shop, tmp_path, "--folds", 2, "--seed", 5))
    assert other.code == 2
    assert "is of another --folds and --seed: name another file, or remove this one" in other.message
    start = run(*command(shop, tmp_path, config="[variants.popular]\nhalf_life_days = 7\n"))
    assert "is of another variant or options to start from" in start.message
    (tmp_path / "study.db").write_text("not a database, but longer than nothing" * 100)
    bad = run(*command(shop, tmp_path))
    assert bad.code == 2
    assert "is not a study that this version can read" in bad.message
