"""Files of rules in the record: every one that was ever in force, and which one is."""

from dataclasses import dataclass

import sqlalchemy as sa

from models.errors import NextbestError
from storage.record.audit import note
from storage.record.statements import next_change
from storage.record.tables import rules_versions

LISTED = 100


@dataclass(frozen=True, slots=True)
class RulesVersion:
    """One file of rules.

    Attributes:
        number: its name, rising from 1.
        changed_ms: when it was put in force last, Unix milliseconds.
        client: id of the key that did it; empty without one.
    """

    number: int
    content: str
    is_active: bool
    changed_ms: int
    client: str


class UnknownRulesError(NextbestError):
    """There is no such version of the rules, or none to go back to."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


_COLUMNS = (
    *(rules_versions.c.number, rules_versions.c.content, rules_versions.c.is_active),
    *(rules_versions.c.changed_ms, rules_versions.c.client),
)


def active_rules(connection: sa.Connection) -> RulesVersion | None:
    """The rules in force; None before there were any."""
    row = connection.execute(sa.select(*_COLUMNS).where(rules_versions.c.is_active)).first()
    return RulesVersion(*row) if row else None


def list_rules(connection: sa.Connection) -> list[RulesVersion]:
    """The latest versions, LISTED at most, the newest first."""
    newest_first = sa.select(*_COLUMNS).order_by(rules_versions.c.number.desc()).limit(LISTED)
    return [RulesVersion(*row) for row in connection.execute(newest_first)]


def put_rules(connection: sa.Connection, content: str, *, now_ms: int, client: str) -> int:
    """Put a file in force, within a transaction that writes; its number.

    The same content as that in force changes nothing, so that a call may be repeated.
    """
    changed = next_change(connection)  # first: from here on nobody else changes rules
    active = active_rules(connection)
    if active is not None and active.content == content:
        return active.number
    _put_out_of_force(connection)
    row = {"content": content, "is_active": True, "changed": changed, "changed_ms": now_ms, "client": client}
    insert = sa.insert(rules_versions).returning(rules_versions.c.number)
    number = int(connection.execute(insert, row).scalar_one())
    note(connection, "rules put", _detail(number, active), now_ms=now_ms, client=client)
    return number


def roll_back_rules(connection: sa.Connection, number: int | None, *, now_ms: int, client: str) -> int:
    """Put an earlier file in force again, within a transaction that writes; its number.

    Args:
        number: which; None: the one before that in force.
    Raises:
        UnknownRulesError: there is none.
    """
    changed = next_change(connection)
    active = active_rules(connection)
    if number is None:
        if active is None:
            raise UnknownRulesError("there are no rules yet")
        older = rules_versions.c.number < active.number
        number = connection.scalar(sa.select(sa.func.max(rules_versions.c.number)).where(older))
        if number is None:
            why = "none is older than that in force; put a file of schema = 1 alone to have no rules"
            raise UnknownRulesError(why)
    _put_out_of_force(connection)
    this_one = sa.update(rules_versions).where(rules_versions.c.number == number)
    values = {"is_active": True, "changed": changed, "changed_ms": now_ms, "client": client}
    if connection.execute(this_one.values(values)).rowcount != 1:
        raise UnknownRulesError(f"there is no version {number} of the rules")
    note(connection, "rules rolled back", _detail(number, active), now_ms=now_ms, client=client)
    return number


def _put_out_of_force(connection: sa.Connection) -> None:
    connection.execute(sa.update(rules_versions).where(rules_versions.c.is_active).values(is_active=False))


def _detail(number: int, before: RulesVersion | None) -> dict[str, int | None]:
    return {"number": number, "before": before.number if before else None}
