"""`nbo-train nightly` as a process: what it says, what it leaves, and that it does so again to the byte."""

import csv
import json
import os
import pty
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from models.strangers import Counts
from tests.data.nights import NBO_TRAIN, Ran, champion, newest, quick_config, ranker_config, run
from tests.data.webshop import habits, write_shop

type Published = tuple[Path, Ran]
STALE = "The last purchase is of 20"  # the shop is not of today, which is doubted


def test_a_night_publishes_and_says_so_in_json_lines(published: Published) -> None:
    store, ran = published
    assert ran.code == 0, ran.err
    assert ran.out == ""
    lines = [json.loads(line) for line in ran.err.splitlines()]
    steps = [
        "read",
        "history",
        "doubt",
        "fit for the gate",
        "evaluate",
        "lists by day",
        "fit on all",
        "write",
        "gate",
        "done",
    ]
    assert [line["event"] for line in lines] == steps
    assert lines[2]["why"].startswith(STALE)
    assert all(datetime.fromisoformat(line["timestamp"]).tzinfo is not None for line in lines)
    history = lines[1]
    assert (history["customers"], history["products"], history["rejected"]) == (200, 80, 0)
    assert history["lines"] == history["purchases"] == len(habits())
    version = champion(store)
    assert version.version_id == lines[-1]["version"] == newest(store).version_id
    assert version.manifest.default_variant == "ranker"


def test_a_night_leaves_its_report_its_rejects_and_nothing_else(published: Published) -> None:
    store, ran = published
    report = Path(ran.events[-1]["report"])
    assert sorted(file.name for file in report.parent.iterdir()) == [
        "rejects.csv",
        "report.html",
        "report.json",
    ]
    assert report.parent.parent == store / "runs"
    manifest = newest(store)
    assert manifest.version_id in report.read_text()
    assert manifest.gate.why in report.read_text()
    told = json.loads((report.parent / "report.json").read_text())
    assert told["manifest"]["version_id"] == manifest.version_id
    ndcg = told["evaluation"]["variants"]["ranker"]["metrics"]["all"]["ndcg@10"]["mean"]
    assert ndcg == pytest.approx(manifest.gate.figures["challenger_ndcg"], abs=1e-12)
    with (report.parent / "rejects.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["table", "file", "line", "reason", "row"]]
    assert not (store / "tmp").exists()


def test_a_night_in_which_nobody_could_be_judged_tells_its_figures_too(tmp_path: Path) -> None:
    """Customers who come once: nobody bought before the horizon and in it."""
    (tmp_path / "shop").mkdir()
    lines = [f"c{n},p{n % 3},2020-{1 + n % 3:02}-{1 + n % 28:02},{n}\n" for n in range(120)]
    (tmp_path / "shop" / "purchases.csv").write_text(
        "customer_id,product_id,purchased_at,order_id\n" + "".join(lines)
    )
    config = quick_config(tmp_path)
    ran = run("nightly", "--data", tmp_path / "shop", "--store", tmp_path / "store", "--config", config)
    assert ran.code == 0, ran.err
    told = json.loads((Path(ran.events[-1]["report"]).parent / "report.json").read_text())
    assert told["evaluation"] is None
    assert told["manifest"]["version_id"] == newest(tmp_path / "store").version_id
    assert any("has a second order" in note for note in told["notes"])


def test_a_night_leaves_its_success_for_monitoring(published: Published) -> None:
    store, _ = published
    manifest = newest(store)
    success = json.loads((store / "last_success.json").read_text())
    assert success["version_id"] == manifest.version_id
    assert datetime.fromisoformat(success["at"]) == manifest.created_at
    families = text_string_to_metric_families((store / "nextbest.prom").read_text())
    found = {sample.name: sample.value for family in families for sample in family.samples}
    assert found["nextbest_night_last_run_exit_code"] == 0
    assert found["nextbest_night_last_success_timestamp_seconds"] == manifest.created_at.timestamp()
    assert found["nextbest_night_purchases"] == len(habits())
    assert found["nextbest_night_ndcg_at_10"] == manifest.gate.figures["challenger_ndcg"]
    assert found["nextbest_night_duration_seconds"] > 0


def test_as_of_is_just_after_the_last_purchase_and_the_same_night_gives_the_same_bytes(
    published: Published, shop: Path, tmp_path: Path
) -> None:
    first = newest(published[0])
    last = max(line.at for line in habits()).replace(tzinfo=UTC)
    assert first.as_of == last + timedelta(seconds=1)
    ran = run(
        "nightly",
        "--data",
        shop,
        "--store",
        tmp_path / "store",
        "--config",
        ranker_config(tmp_path),
        "--as-of",
        f"{first.as_of:%Y-%m-%dT%H:%M:%S}",
    )
    assert ran.code == 0, ran.err
    again = newest(tmp_path / "store")
    assert again.files == first.files
    assert len(first.files) > 30
    assert again.history == first.history
    assert again.gate == first.gate


def test_a_terminal_sees_a_display(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", habits(customers=60, products=30, days=60))
    command = [
        NBO_TRAIN,
        "nightly",
        "--data",
        shop,
        "--store",
        tmp_path / "s",
        "--config",
        quick_config(tmp_path),
    ]
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([str(part) for part in command], stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65536):
                shown += part
        except OSError:  # Linux says so when the last writer is gone
            pass
    os.close(ours)
    assert process.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    assert "read …" in text  # the spinner
    assert "✓ fit for the gate" in text
    assert re.search(r"✓ history +lines \d,\d\d\d ", text)
    assert re.search(r"✓ gate +decision published", text)
    assert '"event"' not in text


def test_the_report_looks_inside_the_ranker(published: Published) -> None:
    report = Path(published[1].events[-1]["report"])
    told = json.loads(report.with_suffix(".json").read_text())
    assert set(told["contribution"]) == set(told["calibration"]) == set(told["gains"]) == {"ranker"}
    assert len(told["gains"]["ranker"]) == 15
    assert len(told["calibration"]["ranker"]["windows"]) == 1
    assert told["contribution"]["ranker"]["kinds"]["repeats"]["sources"]["repeat"]["alone"] > 0.9
    assert [note[:26] for note in told["notes"]] == [STALE]
    page = report.read_text()
    for heading in ("Where the candidates come from", "How sure", "What the order rests on"):
        assert heading in page


def test_the_version_knows_the_probability_of_every_candidate(published: Published) -> None:
    version = champion(published[0])
    product, probability = (version.array(f"candidates/ranker/{name}") for name in ("product", "probability"))
    assert (probability.dtype, probability.shape) == (np.dtype(np.float16), product.shape)
    known = ~np.isnan(probability)
    assert known[:, :20].mean() > 0.9
    assert not known[product < 0].any()
    assert 0 < probability[known].min() <= probability[known].max() < 1
    assert {"lightgbm", "scikit-learn"} <= set(version.manifest.libraries)


def test_the_night_learned_what_makes_the_list_of_somebody_whom_it_did_not_see(published: Published) -> None:
    counts = champion(published[0]).array("session/stranger_counts")
    assert counts.shape == (len(Counts._fields),)
    assert counts.tolist() != list(Counts())  # 200 customers are enough to learn from


def test_a_ranker_that_falls_back_says_so_wherever_a_person_looks(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", habits(customers=40, products=30, days=40))
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store")
    assert ran.code == 0, ran.err
    (said,) = [line for line in ran.events if line["event"] == "fallback"]
    assert said["why"].startswith("ranker: too little history, the blend answers instead (the history has ")
    report = Path(ran.events[-1]["report"])
    assert "ranker: too little history, the blend answers instead" in report.read_text()
    notes = json.loads(report.with_suffix(".json").read_text())["notes"]
    assert notes[-1] == said["why"]
    (beaten,) = [line["why"] for line in ran.events if line["event"] == "default is not the best"]
    assert beaten in notes  # so few habits are easier for `repeat` alone than for the blend
    assert beaten in report.read_text()
    version = champion(tmp_path / "store")
    assert version.manifest.variants["ranker"].facts["why_not"] in said["why"]
    assert "candidates/ranker/probability.npy" not in version.manifest.files
