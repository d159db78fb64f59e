"""What a person sees while a night or an evaluation works: a display on a terminal, JSON lines otherwise."""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter

import structlog
from rich.console import Console
from rich.markup import escape
from rich.status import Status


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
    """The steps of a command, each with its wall time."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.seconds: dict[str, float] = {}
        self._step = ""
        self._status: Status | None = None
        self._log = structlog.get_logger()

    @contextmanager
    def step(self, name: str, **fields: object) -> Iterator[None]:
        """One step; its name, fields and seconds are shown when it is done. Steps of one name add up."""
        started = perf_counter()
        if self.console.is_terminal:
            self._step = name
            with self.console.status(f"{name} …") as self._status:
                yield
            self._status = None
        else:
            yield
        seconds = perf_counter() - started
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self.say(name, **fields, seconds=round(seconds, 2))

    def detail(self, text: str) -> None:
        """What the step at hand is doing; only on a terminal."""
        if self._status is not None:
            self._status.update(f"{self._step}: {text} …")

    def say(self, event: str, **fields: object) -> None:
        """One thing that has happened."""
        if self.console.is_terminal:
            values = "  ".join(f"[dim]{key}[/dim] {escape(_told(value))}" for key, value in fields.items())
            self.console.print(f"[green]✓[/green] {event:<16} {values}", highlight=False)
        else:
            self._log.info(event, **fields)


def _told(value: object) -> str:
    """A value for people: thousands apart, and of a mapping each name with its value."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)
