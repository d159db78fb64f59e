"""The rules of one process: which are in force, and what of them holds for a version, place and time."""

import time
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from zoneinfo import ZoneInfo

from service.rules.binding import Binder, BoundRule
from service.rules.file import Moment, Rule
from service.rules.placed import PlacedRules
from service.rules.reading import NO_RULES, Rules
from service.versions.served import EPOCH, ServedVersion

FOREVER = float("inf")
BY_DAYS = ("exclude_bought", "frequency", "offer_frequency")


class RuleBook:
    """Rules in force. What they come to is worked out when it is first asked for, and kept until it changes.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, rules: Rules = NO_RULES, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.rules = rules
        self._bound: _Bound | None = None

    def take(self, rules: Rules) -> None:
        """Put these in force, in one step."""
        self.rules = rules

    def at(self, served: ServedVersion, placement: str | None, rule_set: str = "") -> PlacedRules:
        """What holds now at a placement; at one that no rule names, the rules that hold everywhere.

        Args:
            rule_set: of the variant of an experiment that answers, "" for none.
        """
        bound = self._bound
        if bound is None or not bound.fits(served, self.rules):
            bound = self._bound = self._bound_to(served)
        if rule_set and rule_set not in bound.rule_sets:
            rule_set = ""
        return bound.at(placement if placement in bound.placements else None, rule_set, self._clock())

    def _bound_to(self, served: ServedVersion) -> "_Bound":
        """The rules on a version, which keeps them: several answer at once while one is warmed up, or in
        experiments, and one that answers no more must be let go."""
        bound = served.bound_rules.get(self)
        if not isinstance(bound, _Bound) or not bound.fits(served, self.rules):
            bound = served.bound_rules[self] = _Bound(served, self.rules)
        return bound


class _Bound:
    """Rules on one version, and by placement and set of rules what of them holds."""

    def __init__(self, served: ServedVersion, rules: Rules) -> None:
        self.served, self.rules = served, rules
        self.placements = {placement for rule in rules.rules for placement in rule.placements}
        self.rule_sets = {name for rule in rules.rules for name in (*rule.only_for, *rule.not_for)}
        binder = Binder(served)
        self._parts = [(period_of(rule, served.zone), binder.bind(rule)) for rule in rules.rules]
        self._counts_days = any(rule.kind in BY_DAYS for rule in rules.rules)
        self._placed: dict[tuple[str | None, str], PlacedRules] = {}

    def fits(self, served: ServedVersion, rules: Rules) -> bool:
        return self.served is served and self.rules is rules

    def at(self, placement: str | None, rule_set: str, now_s: float) -> PlacedRules:
        where = (placement, rule_set)
        placed = self._placed.get(where)
        if placed is None or now_s >= placed.until_s or now_s < placed.since_s:
            placed = self._placed[where] = self._place(placement, rule_set, now_s)
        return placed

    def _place(self, placement: str | None, rule_set: str, now_s: float) -> PlacedRules:
        holding: list[BoundRule] = []
        moments = [0.0, FOREVER]
        for period, parts in self._parts:
            moments += period
            if holds_at(period, now_s):
                holding += [part for part in parts if is_at(part.rule, placement, rule_set)]
        local = datetime.fromtimestamp(now_s, UTC).astimezone(self.served.zone)
        if self._counts_days:
            moments += [_midnight_s(local.date() + timedelta(days=n), self.served.zone) for n in (0, 1)]
        moments.sort()
        next_one = bisect_right(moments, now_s)
        return PlacedRules(
            self.served,
            holding,
            since_s=moments[next_one - 1],
            until_s=moments[next_one],
            today=(local.date() - EPOCH).days,
        )


def holds_at(period: tuple[float, float], now_s: float) -> bool:
    """Whether a moment is within a period; its end isn't."""
    return period[0] <= now_s < period[1]


def is_at(rule: Rule, placement: str | None, rule_set: str) -> bool:
    """Whether a rule is for a placement, and for answers of a variant with this set of rules."""
    return (not rule.placements or placement in rule.placements) and rule.is_for(rule_set)


def period_of(rule: Rule, zone: ZoneInfo) -> tuple[float, float]:
    """From when until when a rule holds, in Unix seconds; its last day counts to its end."""
    starts_s = 0.0 if rule.starts is None else _unix_s(rule.starts, zone)
    if rule.ends is None or rule.ends == date.max:  # which stands for no end
        return starts_s, FOREVER
    is_day = not isinstance(rule.ends, datetime)
    return starts_s, _unix_s(rule.ends + timedelta(days=1) if is_day else rule.ends, zone)


def _unix_s(moment: Moment, zone: ZoneInfo) -> float:
    if not isinstance(moment, datetime):
        return _midnight_s(moment, zone)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()


def _midnight_s(day: date, zone: ZoneInfo) -> float:
    return datetime.combine(day, time_of_day(), zone).timestamp()
