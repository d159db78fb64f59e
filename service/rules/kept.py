"""The rules last in force, kept on this machine: for a worker that starts while they can't be had.

A recall must hold also for the worker that takes the place of a killed one while the record is away, or just
after somebody broke the file.
"""

import json
from pathlib import Path

import structlog

from models.errors import NextbestError
from service.processes.private_folder import make_private
from service.rules.errors import BadRulesError
from service.rules.reading import Rules, parse_rules
from storage.versions.store import write_atomic

log = structlog.get_logger()


class KeptRules:
    """A small file beside the store's Redis."""

    def __init__(self, path: Path) -> None:
        self._path, self._last = path, ""

    def load(self) -> Rules | None:
        """The rules that were kept; None if there are none that can be read."""
        try:
            written = self._path.read_text()
            content = json.loads(written)
            rules = parse_rules(content["text"], version=content["version"])
        except (OSError, ValueError, KeyError, TypeError, BadRulesError):
            return None
        self._last = written
        return rules

    def save(self, rules: Rules) -> None:
        """Keep these; where that can't be done, the log says so and answers go on."""
        content = json.dumps({"version": rules.version, "text": rules.text})
        if content == self._last:
            return
        try:
            self._write(content)
            self._last = content
        except (OSError, NextbestError) as err:
            log.warning("rules in force can't be kept for later workers", why=str(err))

    def stay(self) -> None:
        """Write what was kept, or loaded, again where somebody cleared the file away, or its folder."""
        if self._last and not self._path.exists():
            self._write(self._last)

    def _write(self, content: str) -> None:
        make_private(self._path.parent)
        write_atomic(self._path, content, mode=0o600)
