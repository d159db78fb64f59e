"""The operator's process is there when the keeper has started, and goes with it."""

import signal
from multiprocessing.context import ForkProcess

import pytest

from service.processes.operator_process import OperatorKeeper
from tests.data.running_service import until


def test_it_is_forked_while_the_caller_waits_and_ends_with_the_keeper() -> None:
    keeper = OperatorKeeper(signal.pause)
    keeper.start()
    process = keeper._process  # forked later, it could have caught the caller with a lock in its hands
    assert process is not None
    assert process.is_alive()
    keeper.stop(5)
    assert process.exitcode == -signal.SIGTERM


def test_a_keeper_that_had_no_room_for_a_process_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    start = ForkProcess.start

    def refused(process: ForkProcess) -> None:
        monkeypatch.setattr(ForkProcess, "start", start)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(ForkProcess, "start", refused)
    keeper = OperatorKeeper(signal.pause)
    keeper.LOOK_S = 0.05
    keeper.start()
    try:
        until(lambda: keeper._process is not None and keeper._process.is_alive(), 20)
    finally:
        keeper.stop(5)
