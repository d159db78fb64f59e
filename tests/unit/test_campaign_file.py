"""A campaign's file is whole or no file and has no formulas; ids and notes of files are read line by line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import NextbestError
from service.commands.batch import ids_of
from service.commands.campaign_file import BadOutError, cell_of, rows_of, write_lists
from storage.files.safe_cell import FORMULA_STARTS
from storage.files.shop_files import FILE, note_shop_file, shop_files
from storage.versions.store import Store
from tests.data.tiny_version import publish

NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)


@given(st.lists(st.text(max_size=8), min_size=1, max_size=4), st.sampled_from(["", *FORMULA_STARTS]))
def test_no_cell_is_a_formula(texts: list[str], start: str) -> None:
    item = {"product_id": start + texts[0], "title": start + texts[-1], "rank": 1, "probability": None}
    item |= {"expected_value": -1.0, "reason": {"code": "popular", "text": start}}
    item["offer"] = {"offer_id": start, "discount": -1.0, "ends_at": None} if start else None
    head = dict.fromkeys(("source", "version", "variant", "request_id"), start)
    answer = json.dumps({"customer_id": start + "x", **head, "recommendations": [item]})
    for row in rows_of(answer):
        texts = [cell_of(value) for value in row.values() if not isinstance(value, float)]
        assert not any(text.startswith(FORMULA_STARTS) for text in texts)
        assert cell_of(row["expected_value"]) == "-1.0"  # a loss is a number for whoever adds up the column


def test_a_failure_in_the_middle_leaves_no_part_of_a_file(tmp_path: Path) -> None:
    def answers() -> Iterator[str]:
        yield "{}"
        raise OSError(28, "No space left on device")

    with pytest.raises(BadOutError, match="No space left"):
        write_lists(tmp_path / "a.jsonl", answers(), tuple)
    assert list(tmp_path.iterdir()) == []


def test_ids_are_read_line_by_line_and_must_be_text(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes('a\r\n 7\nkäthe\n\n""\n"\n"b ""c"""\n'.encode())
    assert list(ids_of(path)) == ["a", "7", "käthe", '"', 'b "c"']
    for heading in ("customer_id", '"Customer ID"', "CustomerId", "\ufeffcustomer-id"):
        path.write_text(f"{heading}\na\ncustomer_id\n")
        assert list(ids_of(path)) == ["a", "customer_id"], heading
    path.write_text("ID\na\n")  # which a customer may be called
    assert list(ids_of(path)) == ["ID", "a"]
    path.write_bytes(b"\xff\n")
    with pytest.raises(NextbestError, match="not UTF-8"):
        list(ids_of(path))


def test_a_note_that_was_cut_off_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(
        '{"path": "/a", "what": "w", "written_at": "2018-01-01T00:00:00+00:00"}\n{"pa'
    )
    note_shop_file(tmp_path, Path("/b"), "w", now=NOW)
    assert [file.path for file in shop_files(tmp_path, now=NOW)] == ["/a", "/b"]
    assert shop_files(tmp_path, now=datetime(2020, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_is_told_to_stop_leaves_no_ids_behind(tmp_path: Path, told: signal.Signals) -> None:
    publish(Store(tmp_path / "store"))
    ids, out = tmp_path / "ids", tmp_path / "out" / "mail.csv"
    out.parent.mkdir()
    os.mkfifo(ids)
    command = [sys.executable, "-c", "from service.cli import main; main()", "batch"]
    command += ["--store", str(tmp_path / "store"), "--out", str(out), "--customers", str(ids)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        with ids.open("w"):
            assert list(out.parent.iterdir())  # it waits for the first id
            process.send_signal(told)  # one that comes just before the wait is heard after it
        _, said = process.communicate(timeout=30)
    assert process.returncode > 0, said
    assert b"Traceback" not in said
    assert list(out.parent.iterdir()) == []
