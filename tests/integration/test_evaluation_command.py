"""`nbo-train evaluate` from a CSV file to the page, and what it says when it can't."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.errors import BadConfigError
from tests.data.nights import quick_config, ranker_config
from tests.data.nights import run as nbo_train
from training.commands.evaluate import evaluate


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """60 customers who each buy two of their four products every second day of January and February 2024."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with (folder / "purchases.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["customer_id", "product_id", "purchased_at"])
        for customer in range(60):
            for day in range(customer % 2, 60, 2):
                at = f"2024-{1 + day // 31:02}-{1 + day % 31:02}T12:00:00"
                for number in (day, day + 1 + customer % 3):
                    lines.writerow([f"c{customer}", f"p{customer % 7 + number % 4}", at])
    return folder


def run(shop: Path, out: Path, *more: str) -> str:
    found = CliRunner().invoke(
        evaluate, ["--data", str(shop), "--out", str(out), *more], catch_exceptions=False
    )
    assert found.exit_code == 0, found.output
    return found.output


def test_the_command_leaves_a_page_json_and_a_table(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    text = run(shop, out, "--variant", "repeat", "--variant", "popular", "--horizon-days", "5")
    assert "repeat" in text
    assert "evaluation.html" in text
    content = json.loads((out / "evaluation.json").read_text())
    assert list(content["evaluation"]["variants"]) == ["popular", "repeat"]
    assert [fold["horizon_days"] for fold in content["evaluation"]["folds"]] == [5, 5, 5]
    assert content["history"]["rejected"] == 0
    assert "<svg" in (out / "evaluation.html").read_text()


def test_what_customers_repeat_is_found_by_repeat_and_not_by_popular(shop: Path, tmp_path: Path) -> None:
    run(shop, tmp_path, "--variant", "repeat", "--variant", "popular", "--as-of", "2024-02-20")
    found = json.loads((tmp_path / "evaluation.json").read_text())["evaluation"]
    ndcg = {name: part["metrics"]["all"]["ndcg@10"]["mean"] for name, part in found["variants"].items()}
    assert ndcg["repeat"] > ndcg["popular"]
    assert found["folds"][0]["customers"] == 60


def test_what_looks_wrong_with_the_history_is_said_before_its_figures(shop: Path, tmp_path: Path) -> None:
    """Of the last week one line is left: the export was cut off."""
    file = shop / "purchases.csv"
    lines = file.read_text().splitlines()
    kept = [line for line in lines if not "2024-02-22" < line.split(",")[2] < "2024-03"]
    last = next(line for line in lines if "2024-02-29" in line)
    file.write_text("\n".join([*kept, last]) + "\n")
    text = " ".join(run(shop, tmp_path, "--variant", "repeat", "--as-of", "2024-02-10").split())
    doubt = "The last 7 days hold 1 purchase lines"
    assert doubt in text
    assert doubt in (tmp_path / "evaluation.html").read_text()
    assert doubt in json.loads((tmp_path / "evaluation.json").read_text())["notes"][0]


def test_the_same_command_twice_gives_the_same_figures(shop: Path, tmp_path: Path) -> None:
    parts = []
    for name in ("one", "two"):
        run(shop, tmp_path / name, "--variant", "repeat", "--as-of", "2024-02-20")
        content = json.loads((tmp_path / name / "evaluation.json").read_text())
        del content["seconds"]
        parts.append(content)
    assert parts[0] == parts[1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--as-of", "2024-02-28"], "--as-of 2024-02-28: the 7 days from it reach beyond the history"),
        (["--as-of", "2999-01-01"], "--as-of 2999-01-01: the 7 days from it reach beyond the history"),
        (["--as-of", "2023-05-01"], "--as-of 2023-05-01: the history begins on 2024-01-01"),
        (["--variant", "magic"], "variant 'magic': unknown; there are: popular"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    shop: Path, tmp_path: Path, more: list[str], message: str
) -> None:
    with pytest.raises(BadConfigError) as refusal:
        run(shop, tmp_path, *more)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "evaluation.json").exists()


def test_off_a_terminal_each_step_is_a_json_line_and_the_nights_variants_are_compared(
    shop: Path, tmp_path: Path
) -> None:
    config, out = quick_config(tmp_path), tmp_path / "out"
    ran = nbo_train("evaluate", "--data", shop, "--config", config, "--out", out)
    assert ran.code == 0, ran.err
    assert [line["event"] for line in ran.events] == ["read", "history", "fold", "fold", "fold", "compare"]
    assert [line["number"] for line in ran.events[2:5]] == [1, 2, 3]
    content = json.loads((out / "evaluation.json").read_text())
    assert list(content["evaluation"]["variants"]) == ["popular", "repeat", "item_item"]


def test_rankers_are_looked_into_on_each_fold_and_one_that_fell_back_is_named(
    shop: Path, tmp_path: Path
) -> None:
    config, out = ranker_config(tmp_path), tmp_path / "out"
    config.write_text(config.read_text().replace("n_folds = 3", "n_folds = 5"))  # of 60 customers each
    days = [part for day in ("2024-01-12", "2024-02-13", "2024-02-20") for part in ("--as-of", day)]
    ran = nbo_train(
        "evaluate", "--data", shop, "--config", config, "--out", out, "--variant", "ranker", *days
    )
    assert ran.code == 0, ran.err
    note = "Fold 1: ranker: too little history, the blend answers instead"
    content = json.loads((out / "evaluation.json").read_text())
    assert [line[: len(note)] for line in content["notes"]] == [note]
    assert note in (out / "evaluation.html").read_text()
    assert [line["fold"] for line in ran.events if line["event"] == "fallback"] == [1]
    assert len(content["calibration"]["ranker"]["windows"]) == 2
    assert content["contribution"]["ranker"]["customers"] == 120
    said = " ".join(ran.out.split())
    for words in (note, "ranker: Candidates hold ", "ranker: Where 100 purchases were expected, "):
        assert words in said
    assert "Over 2 windows, " in " ".join((out / "evaluation.html").read_text().split())
