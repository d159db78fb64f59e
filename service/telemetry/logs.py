"""Logs as JSON lines; a customer appears only as a hash with a key that lives as long as the service."""

import logging
import logging.config
import sys
from hashlib import blake2b
from typing import Any

import structlog

SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def configure_logs(level: str) -> None:
    """Write this process's own lines to standard output."""
    structlog.configure(
        processors=[*SHARED, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        cache_logger_on_first_use=False,
    )


def json_formatter() -> logging.Formatter:
    """For the lines of libraries that use the standard logging."""
    return structlog.stdlib.ProcessorFormatter(
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
        foreign_pre_chain=SHARED,
    )


def write_as_json(library: str) -> None:
    """Write a library's warnings and errors as JSON lines among ours."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(json_formatter())
    logger = logging.getLogger(library)
    logger.addHandler(handler)
    logger.propagate = False


def server_log_config() -> dict[str, Any]:
    """Granian's logging, with our formatter."""
    formatter = {"()": "service.telemetry.logs.json_formatter"}
    return {"formatters": {"generic": formatter, "access": formatter}}


def customer_hash(key: bytes, customer_id: str) -> str:
    """What stands for a customer in the log."""
    return blake2b(customer_id.encode(errors="replace"), key=key, digest_size=6).hexdigest()
