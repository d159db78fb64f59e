"""What an experiment is, written down before it starts: a TOML file, checked whole and named by its hash."""

import hashlib
import json
import tomllib
from datetime import date
from math import fsum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from experiments.assignment import Arm
from experiments.errors import BadSpecificationError
from storage.record.experiments import HOLDOUT

type Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
type Share = Annotated[float, Field(gt=0, le=1)]
type Role = Literal["primary", "secondary", "guardrail"]
type Kind = Literal["mean", "ratio", "nps", "ces"]
type Model = Annotated[str, Field(min_length=1, max_length=64)]

COLUMNS = (
    "revenue",
    "orders",
    "units",
    "has_bought",
    "bought_again",
    "clicks",
    "impressions",
    "answers",
    "fallbacks",
    "latency_ms",
    "surveys_asked",
    "surveys_answered",
    "products_shown",
)
"""What is known of each customer over the attribution window; metrics are means and ratios of these."""

BEFORE = ("revenue", "orders", "units", "has_bought", "bought_again", "clicks")
"""Of these it is also known what it was in the days before."""

MEANS = {
    "revenue_per_customer": "revenue",
    "conversion": "has_bought",
    "units_per_customer": "units",
    "orders_per_customer": "orders",
    "repeat_purchase": "bought_again",
}
RATIOS = {
    "ctr": ("clicks", "impressions"),
    "order_value": ("revenue", "orders"),
    "fallback": ("fallbacks", "answers"),
    "latency": ("latency_ms", "answers"),
    "response_rate": ("surveys_answered", "surveys_asked"),
}
KINDS = dict.fromkeys(RATIOS, "ratio") | {"nps": "nps", "ces": "ces"}
DOWN = ("fallback", "latency")
"""Of these less is better."""


class Strict(BaseModel):
    """Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Head(Strict):
    """What the experiment is about and when it runs.

    Attributes:
        version: a changed file is another version, which deals the customers anew.
        layer: experiments of one layer never share a customer, those of different layers are independent.
        planned_days: at the end of which the sample is expected.
        min_days: nothing is shipped before.
        traffic: share of the layer's customers who take part.
    """

    id: Id
    version: int = Field(1, ge=1, le=1_000_000)
    layer: Id = "recommend"
    hypothesis: str = Field(min_length=1, max_length=2000)
    start: date
    planned_days: int = Field(28, ge=1, le=366)
    min_days: int = Field(7, ge=1)
    traffic: Share = 1.0
    accept_underpowered: bool = False


class VariantSpec(Strict):
    """One variant; the fields are those of `assignment.Arm`."""

    name: Id
    weight: Share
    model: str = Field("", max_length=64)
    objective: Literal["", "probability", "value", "discovery", "reorder"] = ""
    placement: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")
    rules: str = Field("", pattern=r"^([a-z0-9][a-z0-9_-]{0,31})?$")
    interleave: str = Field("", max_length=64)
    explore: int = Field(0, ge=0, le=100)
    explore_among: int = Field(5, ge=2, le=15)  # of more, too few answers would be another model's choice
    rivals: tuple[Model, ...] = Field((), max_length=5)

    @model_validator(mode="after")
    def _has_one_policy(self) -> Self:
        if self.explore and self.interleave:
            raise ValueError("explore and interleave exclude each other: an answer has one list")
        if self.rivals and not self.explore:
            raise ValueError("rivals are valued by answers with a place that is filled by lot: say explore")
        if "explore_among" in self.model_fields_set and not self.explore:
            raise ValueError("explore_among is of the place that is filled by lot: say explore")
        if self.model and self.model in (self.interleave, *self.rivals):
            raise ValueError(f"{self.model} is its own model: it can't be compared with itself")
        _expect_distinct("rival", list(self.rivals))
        return self


class Analysis(Strict):
    """How it is judged.

    Attributes:
        alpha: two-sided, of the primary metric over all arms and looks together.
        attribution_days: what a customer does within this many days of the first exposure counts; a customer
            is judged when they are over.
        winsor_quantile: above this quantile of all customers together, revenue counts as that quantile; 1
            for never.
        cuped_days: days before the first exposure that explain a part of the variance.
        planned_n: customers of all arms together whose window is over.
    """

    alpha: float = Field(0.05, ge=1e-6, lt=0.5)
    power: float = Field(0.8, ge=0.5, lt=1)
    attribution_days: int = Field(7, ge=1, le=90)
    winsor_quantile: float = Field(0.999, gt=0.5, le=1)
    cuped_days: int = Field(28, ge=1, le=366)
    planned_n: int = Field(ge=2, le=1_000_000_000)


class Metric(Strict):
    """One figure that is compared.

    Attributes:
        kind: `mean` of a column over customers, `ratio` of two sums, `nps`, `ces`; known names need none.
        column, numer, denom: of `COLUMNS`; known names of metrics need none.
        cuped: use what the customer did before.
        direction: which way is good; of `DOWN`, down without a word.
        mde: relative effect of the primary metric that matters.
        margin: of a guardrail: how much worse is still harmless. Relative for means and ratios, points for
            nps, share for ces.
        scale_min: of nps: the lowest answer that the survey allows; a note, by which nothing is reckoned.
    """

    name: Id
    role: Role
    kind: Kind = "mean"
    column: str = ""
    numer: str = ""
    denom: str = ""
    cuped: bool = False
    direction: Literal["up", "down"] = "up"
    mde: float | None = Field(default=None, gt=0, le=1)
    margin: float | None = Field(default=None, gt=0, le=200)
    scale_min: Literal[0, 1] | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_its_name_says(cls, said: Any) -> Any:
        if isinstance(said, dict) and isinstance(name := said.get("name"), str):
            known = {"kind": KINDS[name]} if name in KINDS else {}
            said = known | ({"direction": "down"} if name in DOWN else {}) | said
        return said

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.role == "primary" and self.mde is None:
            raise ValueError("a primary metric needs mde, the relative effect that matters")
        if self.role == "guardrail" and self.margin is None:
            raise ValueError("a guardrail needs margin: how much worse is still harmless")
        if self.margin is not None and self.margin > 1 and self.kind != "nps":
            raise ValueError("margin is a share: 0.05 for 5 %")
        _expect_in_place(self)
        if self.kind == "mean":
            _expect_columns(self.name, self.of_mean)
        elif self.kind == "ratio":
            _expect_columns(self.name, *self.of_ratio)
            if self.cuped:
                raise ValueError("cuped is for means only")
        elif self.role == "primary":
            raise ValueError("the primary metric is a mean or a ratio: answers to surveys are too few")
        return self

    @property
    def of_mean(self) -> str:
        """The column of a mean."""
        return self.column or MEANS.get(self.name, "")

    @property
    def of_ratio(self) -> tuple[str, str]:
        """The columns of a ratio: numerator, denominator."""
        known = RATIOS.get(self.name, ("", ""))
        return self.numer or known[0], self.denom or known[1]


class Specification(Strict):
    """A whole specification. The variant that is called `control` is what the others are compared with."""

    experiment: Head
    variants: tuple[VariantSpec, ...] = Field(min_length=2, max_length=10)
    analysis: Analysis
    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.experiment.id == HOLDOUT:
            raise ValueError(f"experiment.id {HOLDOUT} is what answers call the global holdout")
        _expect_distinct("variant", [variant.name for variant in self.variants])
        _expect_distinct("metric", [metric.name for metric in self.metrics])
        weights = fsum(variant.weight for variant in self.variants)
        if abs(weights - 1) > 1e-9:
            raise ValueError(f"the weights of the variants sum to {weights:g}, not to 1")
        if not any(variant.name == "control" for variant in self.variants):
            raise ValueError("no variant is called control: something has to be compared with")
        primaries = [metric.name for metric in self.metrics if metric.role == "primary"]
        if len(primaries) != 1:
            raise ValueError(f"exactly one metric is primary; here {', '.join(primaries) or 'none is'}")
        if self.experiment.min_days > self.experiment.planned_days:
            raise ValueError("min_days is more than planned_days")
        if self.analysis.attribution_days >= self.experiment.planned_days:
            raise ValueError(
                "attribution_days must be less than planned_days: until a window is over nobody is judged"
            )
        return self

    @property
    def arms(self) -> tuple[Arm, ...]:
        """As the day assigns them, the control first."""
        arms = [Arm(**variant.model_dump()) for variant in self.variants]
        return tuple(sorted(arms, key=lambda arm: arm.name != "control"))

    @property
    def primary(self) -> Metric:
        return next(metric for metric in self.metrics if metric.role == "primary")

    @property
    def arm_alpha(self) -> float:
        """Of each arm's comparison with the control."""
        return self.analysis.alpha / (len(self.variants) - 1)

    @property
    def guard_alpha(self) -> float:
        """Of each guardrail's sequence."""
        return self.analysis.alpha / max(1, len(self.guardrails))

    @property
    def guardrails(self) -> tuple[Metric, ...]:
        return tuple(metric for metric in self.metrics if metric.role == "guardrail")


def read_specification(path: Path) -> tuple[Specification, str]:
    """A specification from its file, and the text of that file.

    Raises:
        BadSpecificationError: it can't be read or run.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise BadSpecificationError(str(path), f"can't be read ({err})") from err
    return parse(text, str(path)), text


def parse(text: str, where: str = "specification") -> Specification:
    """A specification from its text.

    Args:
        where: what an error calls it.
    Raises:
        BadSpecificationError: the first thing that is wrong with it, and its key.
    """
    try:
        # By way of JSON: of its types none is taken for another, as "28" or true for a number of days.
        return Specification.model_validate_json(json.dumps(tomllib.loads(text), default=str), strict=True)
    except tomllib.TOMLDecodeError as err:
        raise BadSpecificationError(where, f"is no TOML ({err})") from err
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        why = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            why = "no such key"
        raise BadSpecificationError(f"{where}: {key}" if key else where, why) from err


def vain_cuped(specification: Specification) -> str:
    """Which metrics say `cuped` though nothing is known of before, in words; empty for none.

    It is no error of `parse`: an experiment that began with it must still be read.
    """
    cuped = [one for one in specification.metrics if one.cuped]
    names = [one.name for one in cuped if one.kind != "mean" or one.of_mean not in BEFORE]
    known = f"what customers did before is known of {', '.join(BEFORE)}"
    return f"cuped does nothing for {', '.join(names)}: {known}" if names else ""


def expect_of_use(specification: Specification, where: str) -> None:
    """Nothing, where a new experiment may begin so.

    Raises:
        BadSpecificationError: something that was said would do nothing.
    """
    if vain := vain_cuped(specification):
        raise BadSpecificationError(f"{where}: metrics", vain)


def hash_of(specification: Specification) -> str:
    """16 hexadecimal digits that change with what a specification says, not with its comments or spaces.

    Nor with what a later release lets one say: what is at its default is no part of it.
    """
    said = specification.model_dump_json(exclude_defaults=True)
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def _expect_in_place(metric: Metric) -> None:
    """Raise where something is said that a metric of this kind or role has no use for."""
    of_kind = {"column": "mean", "numer": "ratio", "denom": "ratio", "scale_min": "nps"}
    for key, kind in of_kind.items():
        if key in metric.model_fields_set and metric.kind != kind:
            raise ValueError(f"{key} is for kind = {kind!r}, and {metric.name} is of kind {metric.kind!r}")
    if metric.margin is not None and metric.role != "guardrail":
        raise ValueError("margin is for guardrails only")


def _expect_columns(metric: str, *columns: str) -> None:
    for column in columns:
        if column not in COLUMNS:
            raise ValueError(
                f"metric {metric}: {column or 'a column'} isn't known; there are {', '.join(COLUMNS)}"
            )


def _expect_distinct(what: str, names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"{what} {twice} is there twice")
