"""Follows a file of rules: what is saved there counts soon; if it is broken, the rules before go on."""

from pathlib import Path

import structlog

from service.processes.background import now_and_every
from service.processes.file_stamp import Stamp, stamp_of
from service.rules.book import RuleBook
from service.rules.errors import BadRulesError
from service.rules.kept import KeptRules
from service.rules.reading import Rules, decode, parse_rules

log = structlog.get_logger()


def read_rules_file(path: Path) -> Rules:
    """The rules of a file.

    Raises:
        BadRulesError: with every mistake.
        OSError: it can't be read.
    """
    return parse_rules(decode(path.read_bytes(), path.name), name=path.name)


class RulesFileFollower:
    """Keeps a book at what the file says.

    Args:
        kept: what to begin with if the file can't be used at the start.
        poll_s: how often to look, in seconds.
    """

    def __init__(self, path: Path, book: RuleBook, kept: KeptRules, poll_s: float) -> None:
        self._path, self._book, self._kept, self._poll_s = path, book, kept, poll_s
        self._seen: Stamp | None = None
        self._last_refusal = ""

    def start(self) -> None:
        """Look now, then go on looking."""
        kept = self._kept.load()
        if kept is not None:
            self._book.take(kept)
        now_and_every(self._poll_s, self.look, "rules")

    def look(self) -> None:
        """Read the file if it changed since the last look."""
        try:
            stamp = stamp_of(self._path)
            if stamp == self._seen:
                return
            rules = read_rules_file(self._path)
        except BadRulesError as err:
            self._seen = stamp
            self._refuse(err)
            return
        except OSError as err:  # tried again: what may be read by now looks the same
            self._refuse(err)
            return
        self._seen, self._last_refusal = stamp, ""
        if rules.version != self._book.rules.version:
            self._book.take(rules)
            log.info("rules taken", version=rules.version, rules=len(rules.rules), file=str(self._path))
        self._kept.save(rules)

    def _refuse(self, err: Exception) -> None:
        if str(err) == self._last_refusal:
            return
        self._last_refusal = str(err)
        mistakes = (
            [str(mistake) for mistake in err.mistakes] if isinstance(err, BadRulesError) else [str(err)]
        )
        log.error(
            "rules refused, those before go on",
            file=str(self._path),
            mistakes=mistakes[:20],
            in_force=self._book.rules.version,
        )
