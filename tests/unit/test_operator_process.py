"""The operator's process is there when the keeper has started, and goes with it."""

import signal

from service.operator_process import OperatorKeeper


def test_it_is_forked_while_the_caller_waits_and_ends_with_the_keeper() -> None:
    keeper = OperatorKeeper(signal.pause)
    keeper.start()
    process = keeper._process  # forked later, it could have caught the caller with a lock in its hands
    assert process is not None
    assert process.is_alive()
    keeper.stop(5)
    assert process.exitcode == -signal.SIGTERM
