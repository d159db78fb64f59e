"""What a night does after it failed, when even that goes wrong."""

import time
from pathlib import Path

import pytest

from storage.versions.store import Store
from tests.data.nights import champion, quick_config, run
from tests.data.webshop import habits, write_shop
from training import aftermath
from training.commands import nightly


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
    call = f"""on_failure = 'echo "$NEXTBEST_EXIT_CODE $NEXTBEST_MESSAGE" > {tmp_path}/told'\n"""
    config = quick_config(tmp_path, call)
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--config", config)
    assert ran.code == 1
    version = champion(tmp_path / "store").manifest
    assert "nextbest.prom" in ran.message
    assert ran.message.endswith(f". {version.version_id} was published and is the champion")
    assert (tmp_path / "told").read_text() == f"1 {ran.message}\n"
    assert version.gate.decision == "published"
    assert version.version_id in (tmp_path / "store" / "last_success.json").read_text()


def test_a_bug_is_told_with_exit_code_1_and_keeps_its_trace(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(nightly, "run_night", fails)
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


def test_a_bug_after_publishing_keeps_its_trace_and_says_what_was_published(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(aftermath, "render_night", fails)
    monkeypatch.setattr(nightly, "leave_failure", lambda *_: None)
    with pytest.raises(ZeroDivisionError) as bug:
        run("nightly", "--data", shop, "--store", tmp_path / "s", "--config", quick_config(tmp_path))
    version_id = champion(tmp_path / "s").version_id
    assert bug.value.__notes__ == [f"{version_id} was published and is the champion"]


def test_what_else_lies_beside_the_runs_stays_and_disturbs_no_night(shop: Path, tmp_path: Path) -> None:
    runs = tmp_path / "store" / "runs"
    (runs / "20200101T000000Z-notes").mkdir(parents=True)
    (runs / "20200101T000000Z-notes" / "rejects.csv").write_text("mine")
    (runs / ".DS_Store").write_text("")
    (runs / "20200102T000000Z").write_text("a file")
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert (runs / "20200101T000000Z-notes" / "rejects.csv").read_text() == "mine"


def test_runs_beyond_the_last_ninety_go_whole(shop: Path, tmp_path: Path) -> None:
    runs = tmp_path / "store" / "runs"
    for day in range(1, 91):
        folder = runs / f"2020{1 + day // 28:02}{1 + day % 28:02}T000000Z"
        (folder / "more").mkdir(parents=True)
    first = min(folder.name for folder in runs.iterdir())
    ran = run("nightly", "--data", shop, "--store", tmp_path / "store", "--config", quick_config(tmp_path))
    assert ran.code == 0, ran.err
    assert len(list(runs.iterdir())) == 90
    assert not (runs / first).exists()


def test_reject_files_go_too_while_nights_fail(empty: Path) -> None:
    old = empty / "store" / "runs" / "20200101T000000Z"
    old.mkdir(parents=True)
    (old / "rejects.csv").write_text("-")
    assert run("nightly", "--data", empty, "--store", empty / "store").code == 6
    assert list(old.iterdir()) == []


def test_versions_go_in_time_too_while_nights_fail(shop: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    config = quick_config(tmp_path)
    told = [run("nightly", "--data", shop, "--store", store, "--config", config) for _ in range(3)]
    ids = [ran.events[-1]["version"] for ran in told]
    config = quick_config(tmp_path, "max_age_hours = 0.000001\n")
    assert run("nightly", "--data", tmp_path / "none", "--store", store, "--config", config).code == 3
    left = {each.name for each in (store / "versions").iterdir()}
    assert left == set(ids[1:])  # the last two champions


def test_a_failure_is_told_also_where_what_is_too_old_cannot_be_deleted(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prune(*_: object, **__: object) -> list[str]:
        raise PermissionError("versions/20200101T000000Z-00000000 is root's")

    monkeypatch.setattr(Store, "prune", prune)
    ran = run("nightly", "--data", empty, "--store", empty / "store")
    assert ran.code == 6
    assert "nextbest_night_last_run_exit_code 6.0" in (empty / "store" / "nextbest.prom").read_text()
    assert list((empty / "store" / "runs").glob("*/report.html"))
    assert "what is too old not deleted" in [line["event"] for line in ran.events]


def test_a_failure_that_cannot_be_reported_keeps_its_own_exit_code(empty: Path) -> None:
    (empty / "store" / "nextbest.prom").mkdir(parents=True)  # what the metrics can't replace
    ran = run("nightly", "--data", empty, "--store", empty / "store")
    assert ran.code == 6
    assert ran.message.startswith("too little history")
    assert "report of the failure not written" in [line["event"] for line in ran.events]


def test_versions_that_a_night_deletes_are_named(shop: Path, tmp_path: Path) -> None:
    config = quick_config(tmp_path, "keep_versions = 1\n")
    night = ["nightly", "--data", shop, "--store", tmp_path / "store", "--config", config]
    told = []
    for _ in range(3):
        ran = run(*night)
        assert ran.code == 0, ran.err
        told.append([line["versions"] for line in ran.events if line["event"] == "versions deleted"])
        time.sleep(1)  # versions of one second are not in the order of their making
    first = min(folder.name for folder in (tmp_path / "store" / "runs").iterdir())
    assert told[:2] == [[], []]
    assert len(told[2]) == 1
    assert told[2][0].startswith(first)
