"""What a night shows while it works."""

import io
import json
import time

import pytest
from rich.console import Console
from structlog.testing import capture_logs

from tests.data.running_service import until
from training.progress import Progress, configure_logs


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_terminal_sees_each_step_and_what_it_is_doing() -> None:
    console = terminal()
    progress = Progress(console)
    with progress.step("fit on all"):
        progress.detail("item_item")
        console.print("-")  # whatever is printed redraws the status
    assert "fit on all: item_item …" in shown(console)
    assert "✓ fit on all" in shown(console)
    assert list(progress.seconds) == ["fit on all"]


def test_text_in_brackets_is_shown_as_it_is() -> None:
    console = terminal()
    Progress(console).say("gate", why="see max_reject_share in [history]", store="/srv/[bold]/store")
    assert "see max_reject_share in [history]" in shown(console)
    assert "/srv/[bold]/store" in shown(console)


def test_whole_numbers_are_set_apart_for_people() -> None:
    console = terminal()
    Progress(console).say("history", lines=1464471)
    assert "lines 1,464,471" in shown(console)


def test_a_terminal_sees_four_digits_behind_the_point() -> None:
    console = terminal()
    Progress(console).say("lists by day", half_life=1 / 48, seconds=1234.5)
    assert "half_life 0.0208  seconds 1,234.5" in shown(console)


def test_without_a_terminal_each_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs()
    progress = Progress(Console(file=io.StringIO(), force_terminal=False))
    with progress.step("read"):
        progress.detail("not for logs")
    progress.say("history", lines=1464471)
    found = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in found] == ["read", "history"]
    assert found[0]["seconds"] >= 0
    assert found[1]["lines"] == 1464471


def test_a_log_is_told_now_and_then_that_a_long_step_goes_on_and_at_what() -> None:
    progress = Progress(Console(file=io.StringIO(), force_terminal=False), still_s=0.01)
    with capture_logs() as lines:
        with progress.step("fit for the gate"):
            progress.detail("ranker")
            until(lambda: any(line.get("at") == "ranker" for line in lines), 10)
        with pytest.raises(ValueError, match="half"), progress.step("write"):
            raise ValueError("half written")
        n = len(lines)
        time.sleep(0.1)
    assert len(lines) == n  # nothing goes on any more, whichever way it ended
    assert {line["event"] for line in lines} == {"still at", "fit for the gate"}
    assert lines[0]["step"] == "fit for the gate"


def test_a_step_that_fails_is_not_counted_as_done() -> None:
    console = terminal()
    progress = Progress(console)
    with pytest.raises(ValueError, match="half"), progress.step("write"):
        raise ValueError("half written")
    assert progress.seconds == {}
    assert "✓" not in shown(console)
