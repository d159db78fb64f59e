"""What a night does after it failed, when even that goes wrong."""

import time
from pathlib import Path

import pytest

from tests.data.nights import champion, quick_config, run
from tests.data.webshop import habits, write_shop
from training import aftermath, nightly_command


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), habits(customers=40, products=30, days=40))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "purchases.csv").write_text("customer_id,product_id,purchased_at\n")
    return tmp_path


def test_a_call_for_help_that_hangs_is_ended_and_the_exit_code_stays(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "HELP_S", 0.3)
    config = quick_config(empty, 'on_failure = "exec sleep 60"\n')
    started = time.monotonic()
    ran = run("nightly", "--data", empty, "--store", empty / "store", "--config", config)
    assert ran.code == 6
    assert time.monotonic() - started < 20
    assert "on_failure did not end within 0.3 s: stopped it" in ran.err
    assert "too little history" in ran.err


def test_a_call_for_help_that_reads_finds_an_end_and_one_that_fails_changes_nothing(empty: Path) -> None:
    config = quick_config(empty, f"on_failure = 'cat > {empty}/told; exit 9'\n")
    assert run("nightly", "--data", empty, "--store", empty / "store", "--config", config).code == 6
    assert (empty / "told").read_text() == ""


def test_a_night_that_published_but_cannot_leave_its_metrics_calls_for_help(
    shop: Path, tmp_path: Path
) -> None:
    (tmp_path / "store" / "nextbest.prom").mkdir(parents=True)
    config = quick_config(tmp_path, f'on_failure = "echo $NEXTBEST_EXIT_CODE > {tmp_path}/told"\n')
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--config", config)
    assert ran.code == 1
    assert "nextbest.prom" in ran.message
    assert (tmp_path / "told").read_text() == "1\n"
    assert champion(tmp_path / "store").manifest.gate.decision == "published"


def test_a_bug_is_told_with_exit_code_1_and_keeps_its_trace(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(nightly_command, "run_night", fails)
    told = tmp_path / "told"
    call = f"""on_failure = 'echo "$NEXTBEST_EXIT_CODE $NEXTBEST_MESSAGE" > {told}'\n"""
    with pytest.raises(ZeroDivisionError):
        run("nightly", "--data", shop, "--store", tmp_path / "s", "--config", quick_config(tmp_path, call))
    assert told.read_text() == "1 a bug\n"


def test_the_page_of_a_night_that_stopped_claims_nothing_that_it_does_not_know(empty: Path) -> None:
    assert run("nightly", "--data", empty, "--store", empty / "store").code == 6
    (folder,) = (empty / "store" / "runs").iterdir()
    page = (folder / "report.html").read_text()
    assert "too little history" in page
    assert "Trained as of" not in page
    assert "No line was" not in page
    assert "Lines read" not in page


def test_reject_files_go_with_the_versions_and_reports_stay(shop: Path, tmp_path: Path) -> None:
    old = tmp_path / "store" / "runs" / "20200101T000000Z"
    old.mkdir(parents=True)
    for name in ("rejects.csv", "report.html"):
        (old / name).write_text("-")
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert [file.name for file in old.iterdir()] == ["report.html"]
    assert (Path(ran.events[-1]["report"]).parent / "rejects.csv").exists()
