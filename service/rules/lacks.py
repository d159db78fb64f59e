"""Tells when rules in force name what the version that answers lacks, as after a category was renamed."""

from collections.abc import Callable

import structlog

from service.processes.background import every
from service.rules.book import RuleBook
from service.rules.doubts import unknown_names
from service.versions.served import ServedVersion

TOLD = 20
log = structlog.get_logger()


class LacksTeller:
    """Looks at the rules of a worker and its version, once for each pair of these.

    Args:
        served: the version that answers; None before there is one.
        count: takes how many warnings there are.
    """

    def __init__(
        self, book: RuleBook, served: Callable[[], ServedVersion | None], count: Callable[[int], None]
    ) -> None:
        self._book, self._served, self._count = book, served, count
        self._seen: tuple[str, str] | None = None

    def start(self, poll_s: float) -> None:
        """Look each so many seconds, in the background."""
        every(poll_s, self.look, "names in rules")

    def look(self) -> None:
        """Count and log what is lacking, if rules or version changed since the last look."""
        served, rules = self._served(), self._book.rules
        if served is None or (served.version_id, rules.version) == self._seen:
            return
        self._seen = served.version_id, rules.version
        lacking = unknown_names(served, rules)
        self._count(len(lacking))
        if lacking:
            log.warning(
                "rules name what the version lacks",
                rules=rules.version,
                version=served.version_id,
                warnings=lacking[:TOLD],
            )
