"""Follows what changes in the record: live values of products and rules, within a second in every worker."""

import structlog

from service.live.products import LiveProducts
from service.processes.background import Outlived
from service.record import Door
from service.rules.book import RuleBook
from service.rules.errors import BadRulesError
from service.rules.kept import KeptRules
from service.rules.reading import NO_RULES, Rules, parse_rules
from storage.record.changes import ShopChanges, shop_changes_since
from storage.record.record import Record
from storage.record.rules import RulesVersion, active_rules

PIECE = 5000  # products that are read in one go
log = structlog.get_logger()


class ChangesFollower:
    """Brings what the record says into this worker.

    Args:
        book: whose rules are the record's; None: they come from a file.
        kept: where its rules are kept, to begin with while the record can't be read; None: nowhere.
    """

    def __init__(
        self, door: Door, live: LiveProducts, book: RuleBook | None = None, kept: KeptRules | None = None
    ) -> None:
        self._door, self._live, self._book, self._kept = door, live, book, kept
        self._seen = 0

    def start(self) -> None:
        """Look now. After that `look` is called whenever the record's clock has moved: by LiveFollower, which
        polls it."""
        kept = self._kept.load() if self._book and self._kept else None
        if self._book and kept is not None:
            self._book.take(kept)
        Outlived("changes").take(self.look)

    def look(self) -> None:
        """Take in what changed since the last look."""
        while not self._take_piece():
            pass

    def _take_piece(self) -> bool:
        """Take in the first of what changed; whether that was all."""
        since = self._seen

        def read(record: Record) -> tuple[ShopChanges, RulesVersion | None, bool]:
            with record.reading() as connection:
                changes = shop_changes_since(connection, since, PIECE)
                asks_rules = self._book is not None and (changes.rules_changed or not since)
                return changes, active_rules(connection) if asks_rules else None, asks_rules

        changes, active, asked_rules = self._door.do(read)
        if changes.now < since:  # a replica took over, or a backup was put in its place
            self._live.begin_anew()
            self._seen = 0
            return False
        for number, product in changes.products:
            self._live.apply(product, number)
        if asked_rules:
            self._take(active)
        self._seen = changes.now  # last: what failed comes again
        return changes.is_all

    def _take(self, active: RulesVersion | None) -> None:
        assert self._book is not None
        try:
            rules = rules_of(active)
        except BadRulesError as err:  # of another release
            log.error("rules of the record refused, those before go on", why=str(err))
            return
        if rules.version != self._book.rules.version:
            self._book.take(rules)
            log.info("rules taken", version=rules.version, rules=len(rules.rules))
        if self._kept:
            self._kept.save(rules)


def rules_of(active: RulesVersion | None) -> Rules:
    """The record's rules, checked; no rules before there were any.

    Raises:
        BadRulesError: this release can't use them.
    """
    return parse_rules(active.content, version=str(active.number)) if active else NO_RULES
