"""Made-up customers take part in an experiment of a real service, and what is true of it comes out."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from experiments.cli import commands
from experiments.commands.simulate import WITHIN_S
from experiments.logs.frames import EXPOSURES, OUTCOMES
from models.errors import NextbestError
from tests.benchmarks.gate_http import run_http
from tests.data.running_service import Running, free_port, running_service, until
from tests.data.simulated_store import write_simulated_store

SPEC = """
[experiment]
id = "sim"
hypothesis = "what they bought before sells more than what everybody buys"
start = 2018-01-01
accept_underpowered = true
[[variants]]
name = "control"
weight = 0.5
model = "popular"
[[variants]]
name = "own"
weight = 0.5
model = "als"
[analysis]
planned_n = 100
[[metrics]]
name = "revenue_per_customer"
role = "primary"
mde = 0.1
"""
DAYS = 7


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a version of a tiny shop of 600 customers, who bought two products again and again."""
    place = tmp_path_factory.mktemp("simulate")
    (place / "spec.toml").write_text(SPEC)
    write_simulated_store(place / "store", 600)
    return place


@pytest.fixture(scope="module")
def service(place: Path) -> Iterator[Running]:
    with running_service(place / "store", place / "log", workers=2, record_timeout_ms="5000") as running:
        until(lambda: running.get("/health/ready").ok, 20)
        yield running


def nbo(place: Path, *arguments: str) -> Result:
    return CliRunner().invoke(commands, [arguments[0], "--store", str(place / "store"), *arguments[1:]])


def simulate(place: Path, url: str, out: str, *more: str) -> Result:
    common = ("--days", str(DAYS), "--customers", "60", "--out", str(place / out), *more)
    return nbo(place, "simulate", "--url", url, *common, "sim")


def test_the_logs_of_a_run_hold_all_that_was_shown_and_done_and_the_truth(
    place: Path, service: Running
) -> None:
    assert nbo(place, "start", str(place / "spec.toml")).exit_code == 0
    ended = simulate(place, service.url, "out", "--lift", "0.5")
    assert ended.exit_code == 0, (ended.output, ended.exception)
    exposures = pl.read_parquet(place / "out" / "exposures.parquet")
    outcomes = pl.read_parquet(place / "out" / "outcomes.parquet")
    assert (exposures.schema, outcomes.schema) == (EXPOSURES, OUTCOMES)
    assert exposures.height == exposures["request_id"].n_unique() > 50
    assert set(exposures["variant"]) == {"control", "own"}
    assert not exposures["is_forced"].any()
    assert not exposures["is_fallback"].any()
    assert exposures.group_by("customer_id").agg(pl.col("variant").n_unique())["variant"].max() == 1
    assert set(outcomes["kind"]) >= {"purchase", "click"}
    surveys = outcomes.filter(pl.col("kind") == "survey")["score"]
    n_answered = surveys.is_not_null().sum()
    assert 0 < n_answered < surveys.is_null().sum()  # everybody who bought is asked, and some answer
    first_ms = exposures["at_ms"].min()
    assert outcomes.filter(pl.col("at_ms") < first_ms).height > 0  # the history, for what is compared before
    assert outcomes["event_id"].is_unique().all()
    clicks = outcomes.filter(pl.col("kind") == "click").join(exposures, on="request_id", suffix="_shown")
    assert clicks.height == outcomes.filter(pl.col("kind") == "click").height
    for position, product, items in clicks.select("position", "product_id", "items").iter_rows():
        assert json.loads(items)[position - 1][0] == product
    assert (clicks["at_ms"] > clicks["at_ms_shown"]).all()
    days = pl.from_epoch(exposures["at_ms"], time_unit="ms").dt.date().n_unique()
    assert days > DAYS / 2
    truth = json.loads((place / "out" / "truth.json").read_text())["relative"]
    assert truth["own"] > 0.05  # what everybody buys is liked less than what one bought, and there is a lift
    assert (place / "out" / "spec.toml").read_text() == SPEC
    judged = json.loads((place / "out" / "report.json").read_text())
    assert judged["headline"]["word"] in ended.output


def test_the_report_finds_what_a_model_would_get_that_was_not_served(place: Path, service: Running) -> None:
    nbo(place, "stop", "sim")
    by_lot = SPEC.replace('"sim"', '"lot"').replace("weight = 0.5", "weight = 0.1", 1)
    by_lot = by_lot.replace("weight = 0.5", "weight = 0.9\nexplore = 1\nexplore_among = 2\nrivals = [RIVAL]")
    (place / "lot.toml").write_text(by_lot.replace("RIVAL", '"popular"'))
    assert nbo(place, "start", str(place / "lot.toml")).exit_code == 0
    run = ("--url", service.url, "--days", "4", "--customers", "600", "--out", str(place / "lot"), "lot")
    ended = nbo(place, "simulate", *run)
    assert ended.exit_code == 0, (ended.output, ended.exception)
    assert nbo(place, "stop", "lot").exit_code == 0
    judged = json.loads((place / "lot" / "report.json").read_text())
    truth = json.loads((place / "lot" / "truth.json").read_text())["clicks_by_chooser"]
    assert set(truth) == set(judged["choices"]) == {"own"}
    own, popular = judged["choices"]["own"]
    assert popular["answers"] == own["answers"] > 400
    assert truth["own"]["popular"] != truth["own"][""]
    for one in (own, popular):
        for estimate in (one["snips"], one["robust"]):
            half = (estimate["high"] - estimate["low"]) / 2
            # Lots are others each time the test runs: three times as far away is one of 100 million.
            assert abs(estimate["value"] - truth["own"][one["chooser"]]) < 3 * half
    gain = popular["gain"]
    true_gain = truth["own"]["popular"] - truth["own"][""]
    assert abs(gain["value"] - true_gain) < 3 * (gain["high"] - gain["low"]) / 2
    assert "by its own list" in ended.output


def test_two_experiments_where_nothing_differs_are_played_and_looked_at_daily(
    place: Path, service: Running
) -> None:
    """The short form of what `make soak` does fifty times."""
    nbo(place, "stop", "sim")
    for seed in range(2):
        found = run_http(place, service.url, seed, customers=60, days=6)
        assert set(found.covers) == {"revenue_per_customer", "ctr"}
        assert (place / f"same-{seed}" / "report.json").exists()
    assert len(json.loads((place / "same-1" / "report.json").read_text())["days"]) == 3


def test_what_can_not_be_played_is_refused_in_words(place: Path, service: Running) -> None:
    ahead = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    assert "end in the future" in simulate(place, service.url, "no", "--start", ahead).output
    for seed in ("-1", str(2**64)):
        assert f"{seed} is not in the range" in simulate(place, service.url, "no", "--seed", seed).output
    assert (
        "start = 2018-01-01 is judged" in simulate(place, service.url, "no", "--start", "2017-12-31").output
    )
    for url, told in (
        (f"http://127.0.0.1:{free_port()}", "doesn't answer"),
        *((wrong, "isn't a URL") for wrong in ("nonsense", "http://127.0.0.1:99999", "http://[::1")),
    ):
        start_s = time.monotonic()
        ended = simulate(place, url, "no")
        assert time.monotonic() - start_s < WITHIN_S  # what runs elsewhere is not waited for
        assert isinstance(ended.exception, NextbestError)
        assert told in str(ended.exception)
    assert "no experiment other" in str(
        nbo(place, "simulate", "--url", service.url, "--out", str(place / "no"), "other").exception
    )
    assert not (place / "no").exists()
