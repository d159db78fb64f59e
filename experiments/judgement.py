"""What a report says, as plain values: everything that its pages and its JSON show."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from experiments.statistics.effects import Effect
from experiments.statistics.explored import Choice
from experiments.statistics.health import Finding
from experiments.statistics.interleaved import Preference
from experiments.statistics.looks import Look
from experiments.statistics.measures import Sequence
from experiments.verdict import Verdict

type Segment = Literal["all", "new", "returning"]


@dataclass(frozen=True)
class ArmState:
    """One variant.

    Attributes:
        customers: with a first exposure; `closed` of them have their window over.
        products: different products shown to as many customers of each arm, those who came first.
        latency_ms: of its answers, the 50th, 90th and 99th percentile; None without answers.
        verdict: None for the control.
    """

    name: str
    model: str
    weight: float
    customers: int
    closed: int
    answers: int
    products: int
    latency_ms: tuple[float, float, float] | None
    verdict: Verdict | None


@dataclass(frozen=True)
class Comparison:
    """One metric of one arm against the control.

    Attributes:
        role: that of the specification, or `exploratory`.
        effect: None where too little is known.
        around: holds at every look at once.
        p_corrected: of secondary metrics, over all of them and all arms (Holm); else None.
        state: of a guardrail: `harmful`, `harmless` or `open`; else "".
    """

    metric: str
    kind: str
    role: str
    direction: str
    arm: str
    segment: Segment
    effect: Effect | None
    around: Sequence
    p_corrected: float | None = None
    state: str = ""


@dataclass(frozen=True)
class Day:
    """The primary metric of one arm, as it stood at the end of a day; nothing was spent on looking back.

    Attributes:
        day: since the start, from 1.
        statistic: above 0 is the good direction.
    """

    day: int
    arm: str
    information: float
    difference: float
    low: float
    high: float
    statistic: float


@dataclass(frozen=True)
class Novelty:
    """The primary metric's difference on a day since a customer's first exposure, with its 95 % interval."""

    arm: str
    day: int
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """A whole report.

    Attributes:
        headline: the decision on the experiment, and the arm that it is about ("" for all).
        information: customers whose window is over, over those planned.
        looks: all that count, with those of today.
        new_looks: those of today that a ledger must keep.
        next_bound: of the look after the next day, if as many customers come; None at the planned size.
        preferences: of each arm whose lists were interleaved; they nominate, and decide nothing.
        choices: of each arm with a place that is filled by lot, what that place would earn; so do they.
        exposures_by_day: by arm, cumulative, one figure for each day since the start.
        notes: what a reader must know beside.
    """

    experiment_id: str
    version: int
    spec_hash: str
    hypothesis: str
    now: datetime
    elapsed_days: int
    planned_days: int
    planned_n: int
    customers: int
    closed: int
    information: float
    alpha: float
    headline: Verdict
    headline_arm: str
    arms: tuple[ArmState, ...]
    health: tuple[Finding, ...]
    comparisons: tuple[Comparison, ...]
    looks: tuple[Look, ...]
    new_looks: tuple[Look, ...]
    next_bound: float | None
    next_information: float | None
    days: tuple[Day, ...]
    novelty: tuple[Novelty, ...]
    exposures_by_day: dict[str, tuple[int, ...]]
    preferences: dict[str, Preference]
    choices: dict[str, tuple[Choice, ...]]
    exposure_counts: dict[str, int]
    outcome_counts: dict[str, int]
    notes: tuple[str, ...] = field(default=())
