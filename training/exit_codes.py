"""What nbo-train exits with, so that cron's scripts can tell one failure from another."""

from models.errors import BadConfigError, BadHistoryError, NightRunningError, TooLittleHistoryError
from storage.record.errors import BadRecordUrlError

DONE = 0
FAILED = 1
BAD_CONFIG = 2  # also what click exits with on a wrong option
BAD_HISTORY = 3
GATE_REFUSED = 4
NIGHT_RUNNING = 5
TOO_LITTLE_HISTORY = 6

_BY_ERROR: dict[type[Exception], int] = {
    BadConfigError: BAD_CONFIG,
    BadRecordUrlError: BAD_CONFIG,
    BadHistoryError: BAD_HISTORY,
    NightRunningError: NIGHT_RUNNING,
    TooLittleHistoryError: TOO_LITTLE_HISTORY,
}


def message_of(error: Exception) -> str:
    """What is said of an error in one line, with what was noted on its way."""
    return ". ".join([str(error) or type(error).__name__, *getattr(error, "__notes__", ())])


def exit_code(error: Exception) -> int:
    """The code of a command that ended in this error."""
    return _BY_ERROR.get(type(error), FAILED)
