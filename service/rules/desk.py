"""What an operator does with rules: see, put, list, go back, try. What is put is durable once it is told."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models.errors import NextbestError
from service.errors import RefusedError
from service.live.changes import ChangesFollower, rules_of
from service.live.sample import news_of
from service.record import LOOK_FIRST, SEND_AGAIN, Door
from service.rules.doubts import warnings_of
from service.rules.dry_run import dry_run, sample
from service.rules.errors import BadRulesError
from service.rules.kept import KeptRules
from service.rules.preview import OneCustomer, preview
from service.rules.reading import Rules, parse_rules
from service.rules.watch import read_rules_file
from service.versions.opened import StoreChampion
from storage.record.consent import PRESETS, Consent
from storage.record.record import Record
from storage.record.rules import (
    RulesVersion,
    UnknownRulesError,
    active_rules,
    list_rules,
    put_rules,
    roll_back_rules,
)


@dataclass(frozen=True, slots=True)
class InForce:
    """The rules in force, and since when; from a file nobody knows when."""

    rules: Rules
    source: str
    changed_ms: int | None = None


class RulesDesk:
    """Rules in the record; or, where a file has them, only a look at it.

    Args:
        door: the way to the record.
        file: the file of rules, where there is one.
        champion: opens the version that answers, for warnings and dry runs.
        kept: what workers go on with while the file can't be used.
        default: consents of those who said nothing.
    """

    def __init__(
        self,
        door: Door,
        file: Path | None,
        champion: StoreChampion,
        kept: KeptRules,
        clock: Callable[[], float] = time.time,
        *,
        default: Consent = PRESETS["all"],
    ) -> None:
        self._default = default
        self._door, self._file, self._champion, self._kept, self._clock = door, file, champion, kept, clock
        self._products = ChangesFollower(door, champion.live)

    def in_force(self) -> InForce:
        """The rules in force.

        Raises:
            BadRulesError, OSError: they come from a file that can't be used now, and none were kept.
        """
        if self._file:
            try:
                return InForce(read_rules_file(self._file), "file")
            except (BadRulesError, OSError):
                kept = self._kept.load()
                if kept is None:
                    raise
                return InForce(kept, "file")
        active = self._door.do(_active)
        return InForce(rules_of(active), "record", active.changed_ms if active else None)

    def put(self, text: str, client: str) -> tuple[str, list[str]]:
        """Put a file in force; its version, and warnings.

        Raises:
            BadRulesError: with every mistake.
            RefusedError: the record can't be used, or rules come from a file.
        """
        self._refuse_beside_a_file()
        rules = parse_rules(text)
        now_ms = int(self._clock() * 1000)

        def write(record: Record) -> int:
            with record.writing() as connection:
                return put_rules(connection, text, now_ms=now_ms, client=client)

        return str(self._door.do(write, SEND_AGAIN)), self.warnings(rules)

    def versions(self) -> list[RulesVersion]:
        """The latest files that were put, the newest first; none is active beside a file of rules."""

        def read(record: Record) -> list[RulesVersion]:
            with record.reading() as connection:
                return list_rules(connection)

        found = self._door.do(read)
        return [replace(version, is_active=False) for version in found] if self._file else found

    def roll_back(self, number: int | None, client: str) -> str:
        """Put an earlier file in force again: this one, or the one before.

        Raises:
            RefusedError: there is none, the record can't be used, or rules come from a file.
        """
        self._refuse_beside_a_file()
        now_ms = int(self._clock() * 1000)

        def write(record: Record) -> int | UnknownRulesError:
            try:
                with record.writing() as connection:
                    return roll_back_rules(connection, number, now_ms=now_ms, client=client)
            except UnknownRulesError as err:
                return err  # it is no fault of the record's

        found = self._door.do(write, LOOK_FIRST if number is None else SEND_AGAIN)
        if isinstance(found, UnknownRulesError):
            raise RefusedError("unknown_rules", None, found.why)
        return str(found)

    def dry_run(self, text: str, at_s: float | None, one: OneCustomer | None = None) -> dict[str, Any]:
        """What a file would change against the rules in force, and warnings.

        Args:
            one: try it on this customer alone, and tell both lists; no text stands for the rules in force.
        Raises:
            BadRulesError: with every mistake.
            RefusedError: there is no version to try it on, the record can't be used, or the query of the one
                can't be answered.
        """
        rules = parse_rules(text) if text or one is None else None
        served = self._champion()
        if served is None:
            raise RefusedError("no_version", None, "no night has published a version to this store yet")
        before = self.in_force().rules
        after = rules or before
        self._products.look()
        customer_ids = [one.customer_id] if one else sample(served)
        news = self._door.do(lambda record: news_of(record, served, customer_ids, self._default))
        now_s = self._clock() if at_s is None else at_s
        if one is None:
            found = asdict(dry_run(served, before, after, now_s=now_s, news_of=news))
        else:
            found = preview(served, before, after, one, now_s=now_s, news_of=news)
        return found | {"warnings": warnings_of(served, after, now_s)}

    def warnings(self, rules: Rules) -> list[str]:
        """Rules that are over, and names that the version doesn't have; none without a version to open."""
        try:
            served = self._champion()
        except NextbestError:
            return []
        return warnings_of(served, rules, self._clock()) if served else []

    def _refuse_beside_a_file(self) -> None:
        if self._file:
            raise RefusedError("rules_from_file", None, f"rules come from {self._file}: change it there")


def _active(record: Record) -> RulesVersion | None:
    with record.reading() as connection:
        return active_rules(connection)
