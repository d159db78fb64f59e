"""Ends what waits for a Postgres that fell silent, as when its host is gone or its process is stopped.

A query may take an hour, so how long one has taken tells nothing; and of a server that is stopped the system
goes on acknowledging what TCP sends. But a server that works on a query lets others in meanwhile: so as long
as a connection is open, another one now and then asks for an answer, be it a refusal.
"""

import os
import socket
import threading
from time import sleep
from typing import Any
from weakref import ref

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect, ExceptionContext
from sqlalchemy.pool import ConnectionPoolEntry

ASK_EACH_S = 30.0
ANSWER_S = 30
SILENT_ASKS = 2  # one alone may be a host that is busy, or this process that was stopped meanwhile
LOOK_S = 1.0
# Keepalives also keep a firewall from forgetting a connection on which a long query says nothing.
PATIENT = {
    "connect_timeout": ANSWER_S,
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
WHY = "is it stopped, overloaded, or not to be reached from here?"


def end_when_silent(engine: sa.Engine) -> None:
    """Watch the connections of an engine to Postgres, and end those of a server that answers nobody.

    Whoever waited gets an OperationalError that says so. What the engine is told itself goes before PATIENT.
    """
    _Watch(engine)


class _Watch:
    def __init__(self, engine: sa.Engine) -> None:
        self._is_silent = False
        sa.event.listen(engine, "do_connect", self._connect)
        sa.event.listen(engine, "handle_error", self._tell)

    def _connect(
        self, dialect: Dialect, _: ConnectionPoolEntry, args: list[Any], options: dict[str, Any]
    ) -> DBAPIConnection:
        self._is_silent = False
        options = PATIENT | options
        connection: Any = dialect.connect(*args, **options)

        def is_answered() -> bool:
            try:
                dialect.connect(*args, **options | {"connect_timeout": ANSWER_S}).close()
            except Exception as err:  # a thread of its own has nobody to tell
                return not _is_timeout(err)
            return True

        watched = (ref(connection), socket.socket(fileno=os.dup(connection.fileno())), is_answered)
        threading.Thread(target=self._watch, args=watched, name="silent server", daemon=True).start()
        return connection  # type: ignore[no-any-return]  # a driver's

    def _watch(self, connection: Any, its_socket: socket.socket, is_answered: Any) -> None:
        """Ask until the connection is closed; or shut its socket, which the driver takes for its end."""
        unanswered = 0
        with its_socket:
            while _stays_open(connection, ASK_EACH_S):
                unanswered = 0 if is_answered() else unanswered + 1
                if unanswered == SILENT_ASKS:
                    self._is_silent = True
                    its_socket.shutdown(socket.SHUT_RDWR)
                    return

    def _tell(self, context: ExceptionContext) -> None:
        if self._is_silent and context.is_disconnect:
            silent_s = SILENT_ASKS * (ASK_EACH_S + ANSWER_S)
            why = f"the server went silent, and let nobody in for {silent_s:.0f} s: {WHY}"
        elif _is_timeout(context.original_exception):
            why = f"the server didn't answer to a new connection in time: {WHY}"
        else:
            return
        raise sa.exc.OperationalError(None, None, TimeoutError(why)) from context.original_exception


def _is_timeout(error: BaseException) -> bool:
    """Whether a new connection got no answer, not even a refusal; by its name: a worker imports no driver."""
    return type(error).__name__ == "ConnectionTimeout"


def _stays_open(connection: Any, seconds: float) -> bool:
    """Whether a connection, given as a weak reference, has been open for that long."""
    left_s = seconds
    while (there := connection()) is not None and not there.closed:
        del there
        if left_s <= 0:
            return True
        sleep(min(LOOK_S, left_s))
        left_s -= LOOK_S
    return False
