"""What a person sees while a night or an evaluation works: a display on a terminal, JSON lines otherwise."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from time import perf_counter

import structlog
from rich.console import Console
from rich.markup import escape
from rich.status import Status

STILL_S = 60.0  # between lines of a log that a step still goes on


def configure_logs() -> None:
    """JSON lines on standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )


class Progress:
    """The steps of a command, each with its wall time.

    Args:
        still_s: without a terminal, how often a line says that a step still goes on.
    """

    def __init__(self, console: Console | None = None, *, still_s: float = STILL_S) -> None:
        self.console = console or Console(stderr=True)
        self.seconds: dict[str, float] = {}
        self._still_s = still_s
        self._step = self._detail = ""
        self._status: Status | None = None
        self._log = structlog.get_logger()

    @contextmanager
    def step(self, name: str, **fields: object) -> Iterator[None]:
        """One step; its name, fields and seconds are shown when it is done. Steps of one name add up."""
        started = perf_counter()
        self._step, self._detail = name, ""
        if self.console.is_terminal:
            with self.console.status(f"{name} …") as self._status:
                yield
            self._status = None
        else:
            with self._saying_that_it_goes_on(started):
                yield
        seconds = perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.say(name, **fields, seconds=round(seconds, 2))

    def detail(self, text: str) -> None:
        """What the step at hand is doing: on a terminal at once, in a log where the step takes long."""
        self._detail = text
        if self._status is not None:
            self._status.update(f"{self._step}: {text} …")

    @contextmanager
    def _saying_that_it_goes_on(self, started: float) -> Iterator[None]:
        """Say now and then what the step is at; in a thread, since one fit may take an hour."""
        is_over = Event()

        def tell() -> None:
            while not is_over.wait(self._still_s):
                seconds = round(perf_counter() - started)
                self.say("still at", step=self._step, at=self._detail, seconds=seconds)

        teller = Thread(target=tell, name="progress", daemon=True)
        teller.start()
        try:
            yield
        finally:
            is_over.set()
            teller.join()

    def say(self, event: str, **fields: object) -> None:
        """One thing that has happened."""
        if self.console.is_terminal:
            values = "  ".join(f"[dim]{key}[/dim] {escape(_as_text(value))}" for key, value in fields.items())
            self.console.print(f"[green]✓[/green] {event:<16} {values}", highlight=False)
        else:
            self._log.info(event, **fields)


def _as_text(value: object) -> str:
    """A value for people: thousands apart, and of a mapping each name with its value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(each)}" for name, each in value.items())
    if isinstance(value, float):
        return f"{round(value, 4):,}"
    return f"{value:,}" if isinstance(value, int) else str(value)
