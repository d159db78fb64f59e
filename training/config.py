"""The configuration of a night: nextbest.toml, checked as a whole before anything is read."""

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from models.errors import BadConfigError
from models.registry import VARIANTS, build
from models.session import SessionFigures
from storage.history.options import HistoryOptions, expect_named
from training.evaluation.one_fold import EvaluationOptions
from training.gate import GateOptions
from training.publishing.offer_lists import ValueOptions


class NightOptions(BaseModel):
    """Section `[night]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    horizon_days: int = Field(default=7, ge=1, le=365, description="Days whose purchases are predicted.")
    variants: tuple[str, ...] = Field(
        default=("popular", "repeat", "due", "item_item", "als", "blend", "ranker"),
        min_length=1,
        description="Variants that are fitted each night.",
    )
    default_variant: str = Field(
        default="ranker", description="The variant that customers get; its candidate lists are published."
    )
    routed: list[str] = Field(
        default_factory=list,
        description="Other variants whose candidate lists are published, for experiments that compare them.",
    )
    candidates: int = Field(
        default=200, ge=1, le=1000, description="Products that are listed for each customer."
    )
    keep_versions: int = Field(
        default=7, ge=1, description="Newest versions that stay; the last two champions always do."
    )
    max_age_hours: float = Field(
        default=72.0,
        gt=0,
        description="Hours after which a version goes; the last two champions always stay.",
    )
    time_budget_s: float = Field(
        default=0.0,
        ge=0,
        description="Seconds that a night should take, 0 for any; rankers learn from less to stay in it.",
    )
    on_failure: str | None = Field(
        default=None,
        description="Shell command for a night that fails; told NEXTBEST_EXIT_CODE and NEXTBEST_MESSAGE.",
    )

    @model_validator(mode="after")
    def _known_variants(self) -> Self:
        unknown = [name for name in self.variants if name not in VARIANTS]
        if unknown:
            raise ValueError(f"unknown variant {unknown[0]!r}; there are: {', '.join(VARIANTS)}")
        missing = [name for name in ("popular", "item_item") if name not in self.variants]
        if missing:  # the day fills lists up from the one, and explains products by the other
            raise ValueError(f"variants must hold {missing[0]!r}, which every version needs")
        if self.default_variant not in self.variants:
            raise ValueError(f"default_variant {self.default_variant!r} is not among variants")
        absent = [name for name in self.routed if name not in self.variants]
        if absent:
            raise ValueError(f"routed {absent[0]!r} is not among variants")
        return self

    @property
    def served(self) -> list[str]:
        """Variants whose candidate lists are published, the default one first."""
        return list(dict.fromkeys([self.default_variant, *self.routed]))


class RecordOptions(BaseModel):
    """Section `[record]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    url: str | None = Field(
        default=None, description="Where the service records events. Default: in the store, if it is there."
    )
    consent_default: Literal["all", "no_personalisation", "nothing"] = Field(
        default="all", description="What is allowed by a customer who said nothing; as the service has it."
    )


class SessionOptions(BaseModel):
    """Section `[session]`: how much what a customer bought since the night moves their list."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    steps_back: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Of what a product counts, what it loses right after it was bought; its like at most.",
    )
    half_life: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="In each such share of the interval at which it is bought half of that is made up.",
    )
    similar: float | None = Field(
        default=None, ge=0, le=10, description="What similar products count beside the night's list."
    )
    first: float = Field(
        default=SessionFigures().first, gt=0, le=1000, description="A place counts 1 / (first + place)."
    )

    @property
    def figures(self) -> SessionFigures:
        """What is given, and the usual ones."""
        return SessionFigures()._replace(**self.model_dump(exclude_none=True))

    @property
    def sought(self) -> list[str]:
        """What is learned."""
        return [name for name, value in self if value is None]


class NightConfig(BaseModel):
    """All of nextbest.toml; `[variants.<name>]` has options of that variant, listed in docs/models.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    history: HistoryOptions = HistoryOptions()
    night: NightOptions = NightOptions()
    gate: GateOptions = GateOptions()
    evaluation: EvaluationOptions = EvaluationOptions()
    record: RecordOptions = RecordOptions()
    value: ValueOptions = ValueOptions()
    session: SessionOptions = SessionOptions()
    variants: dict[str, dict[str, Any]] = Field(default_factory=dict)

    def variant_options(self) -> dict[str, dict[str, Any]]:
        """Options of each variant of the night, in the order in which they are fitted."""
        return {name: self.variants.get(name, {}) for name in self.night.variants}


def load_config(
    path: Path | None,
    *,
    data: str | None = None,
    horizon_days: int | None = None,
    time_budget_s: float | None = None,
    record: str | None = None,
) -> NightConfig:
    """The configuration; without a file the defaults.

    Args:
        path: nextbest.toml.
        data: of `--data`, see `expect_named`.
        horizon_days, time_budget_s: instead of those in the file's `[night]`.
        record: URL instead of the one in `[record]`.
    Raises:
        BadConfigError: the file can't be read, or something in it is unknown or has a value that can't be.
    """
    if data is not None:
        expect_named(data, path)
    content: dict[str, Any] = {}
    if path is not None:
        try:
            content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as err:
            why = err.strerror if isinstance(err, OSError) and err.strerror else err
            raise BadConfigError(str(path), f"can't be read: {why}") from err
    night = {"horizon_days": horizon_days, "time_budget_s": time_budget_s}
    for section, given in (("night", night), ("record", {"url": record})):
        options = content.get(section, {})
        if isinstance(options, dict):
            content[section] = options | {name: value for name, value in given.items() if value is not None}
    try:
        config = NightConfig.model_validate(content)
    except ValidationError as err:
        first = err.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadConfigError(f"{path or 'options'}: {where}", _why(first)) from err
    for name, options in config.variants.items():
        build(name, options)
    return config


def _why(error: ErrorDetails) -> str:
    """What is wrong, without the words of the library that found it."""
    section = "must be a section of options"
    own = {"extra_forbidden": _no_such(error["loc"]), "model_type": section, "dict_type": section}
    own |= {"tuple_type": "must be a list, in square brackets"}
    return own.get(error["type"], error["msg"].removeprefix("Value error, "))


def _no_such(loc: tuple[int | str, ...]) -> str:
    """Beside what was written, as typing errors are, what could have been."""
    section: type[BaseModel] = NightConfig
    for name in loc[:-1]:
        field = section.model_fields.get(str(name))
        if (
            field is None
            or not isinstance(field.annotation, type)
            or not issubclass(field.annotation, BaseModel)
        ):
            return "no such option"
        section = field.annotation
    what = "section" if section is NightConfig else "option"
    return f"no such {what}; there are: {', '.join(section.model_fields)}"
