"""Who gets which variant: a pure function of names and ids, the same in every worker and every language.

A customer's place on a ring is `sha256(salt + "\\n" + customer_id)`: its first 13 hexadecimal digits over
16 ** 13, a number in [0, 1) that every language's doubles hold exactly. Three salts make three independent
rings: one for the global holdout, one for each layer (whose experiments share it in slots that don't
overlap, so nobody is in two), one for the variants of each version of an experiment. Traffic grows by
widening a slot; weights never move.

The day imports this file: it needs nothing but the standard library.
"""

from dataclasses import dataclass
from hashlib import sha256

DIGITS = 13
_RING = float(16**DIGITS)


@dataclass(frozen=True, slots=True)
class Arm:
    """A variant of an experiment and what its customers get.

    Attributes:
        weight: share of the experiment's customers.
        model: the variant of the version that answers; "" for the champion's default.
        objective: what answers are ordered by; "" for the caller's own choice.
        placement: the placement whose rules hold in place of the caller's; "" for the caller's own.
        rules: the set of the shop's rules that hold for it: those `only_for` it, and none `not_for` it.
        interleave: a second model; the answer is a team draft of both. "" for none.
        explore: the place, from 1, that is filled by lot; 0 for none.
        explore_among: from this many products that may stand there, each with the same chance.
        rivals: models whose choice for that place is noted, so that it can be valued without being served.
    """

    name: str
    weight: float
    model: str = ""
    objective: str = ""
    placement: str = ""
    rules: str = ""
    interleave: str = ""
    explore: int = 0
    explore_among: int = 5
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An experiment as the day knows it.

    Attributes:
        spec_hash: of the specification's text; stands in every exposure.
        slot_start, slot_width: the part of the layer's ring whose customers are in it.
        arms: in the order of the specification, the first is the control. Weights sum to 1.
    """

    experiment_id: str
    version: int
    spec_hash: str
    layer: str
    slot_start: float
    slot_width: float
    arms: tuple[Arm, ...]

    @property
    def salt(self) -> str:
        """Of its variants: another version deals the customers anew."""
        return f"variant/{self.experiment_id}/{self.version}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides who gets what.

    Attributes:
        entries: what runs now. Those of one layer have slots that don't overlap.
        holdout_share: share of all customers who are in no experiment and get what is popular.
        holdout_salt: a new one draws a new holdout.
    """

    entries: tuple[Entry, ...] = ()
    holdout_share: float = 0.0
    holdout_salt: str = "holdout"

    @property
    def is_empty(self) -> bool:
        return not self.entries and self.holdout_share == 0


def place(salt: str, customer_id: str) -> float:
    """Where a customer stands on a ring, in [0, 1).

    Args:
        salt: names the ring; holds no line break.
    """
    digest = sha256(f"{salt}\n{customer_id}".encode("utf-8", "surrogatepass")).hexdigest()
    return int(digest[:DIGITS], 16) / _RING


def is_held_out(plan: Plan, customer_id: str) -> bool:
    """Whether a customer is in the global holdout."""
    return plan.holdout_share > 0 and place(plan.holdout_salt, customer_id) < plan.holdout_share


def is_in(entry: Entry, customer_id: str) -> bool:
    """Whether a customer stands in an experiment's slot of its layer."""
    return 0 <= place(f"layer/{entry.layer}", customer_id) - entry.slot_start < entry.slot_width


def arm_of(entry: Entry, customer_id: str) -> Arm:
    """The variant that a customer of an experiment gets, whoever else is in it."""
    left = place(entry.salt, customer_id)
    for arm in entry.arms:
        left -= arm.weight
        if left < 0:
            return arm
    return entry.arms[-1]  # weights that sum to a little under 1


def assign(plan: Plan, customer_id: str) -> tuple[tuple[Entry, Arm], ...]:
    """The experiments that a customer is in, with the variant of each, in the order of the plan.

    Nobody of the holdout is in any; at most one of each layer.
    """
    if is_held_out(plan, customer_id):
        return ()
    return tuple((entry, arm_of(entry, customer_id)) for entry in plan.entries if is_in(entry, customer_id))
