"""The report's sections on candidates and probabilities: sentences and pictures beside the figures."""

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from storage.local_days import opening_day
from training.evaluation.calibration import Calibration
from training.evaluation.contribution import Contribution, Kind, KindFigures
from training.reports import findings, probability_plots

KIND_TITLES: dict[Kind, str] = {"repeats": "Bought before", "new": "New to the customer"}

type Picture = tuple[str, Markup]  # caption and SVG; the SVG is our own, so it is not escaped


@dataclass(frozen=True)
class KindPart:
    """One kind of products: `says` in words what the table of `figures` shows."""

    title: str
    says: str
    figures: KindFigures
    picture: Picture


@dataclass(frozen=True)
class CandidatesPart:
    """Where one variant's candidates come from."""

    variant: str
    says: str
    customers: int
    kinds: list[KindPart]


@dataclass(frozen=True)
class ProbabilitiesPart:
    """How sure one variant's probabilities are. `days` are those of the windows."""

    variant: str
    found: Calibration
    days: list[str]
    about_pairs: str
    about_kept: str
    about_windows: str
    warnings: list[str]
    pictures: list[Picture]


def candidates_parts(contribution: Mapping[str, Contribution]) -> list[CandidatesPart]:
    """One for each variant, in the order given."""
    return [
        CandidatesPart(
            variant,
            findings.about_all_candidates(found),
            found.customers,
            [_kind_part(found.kinds[kind], kind, number) for kind in KIND_TITLES if kind in found.kinds],
        )
        for number, (variant, found) in enumerate(contribution.items())
    ]


def _kind_part(every: KindFigures, kind: Kind, number: int) -> KindPart:
    found = every.of_those_that_list_any()
    picture = _picture(
        "Pale: found alone; full: by no other; line: with those above",
        probability_plots.source_bars(found, f"{number}-{kind}"),
    )
    return KindPart(KIND_TITLES[kind], findings.about_candidates(found, kind), found, picture)


def probabilities_parts(calibration: Mapping[str, Calibration], timezone: str) -> list[ProbabilitiesPart]:
    """One for each variant, in the order given; dates are the shop's."""
    parts = []
    for number, (variant, found) in enumerate(calibration.items()):
        days = [opening_day(window.as_of_s, timezone) for window in found.windows]
        written = [day.isoformat() for day in days]
        parts.append(
            ProbabilitiesPart(
                variant,
                found,
                written,
                findings.about_pairs(found.pairs),
                findings.about_kept(found),
                findings.about_windows(found.windows),
                findings.warnings(found, written),
                _pictures(found, [f"{day:%d %b}" for day in days], number),
            )
        )
    return parts


def _pictures(found: Calibration, days: list[str], number: int) -> list[Picture]:
    drawn = []
    for caption, reliability, salt in (
        ("Every customer and product", found.pairs, "pairs"),
        ("The first product of each active customer", found.first, "first"),
    ):
        if reliability:
            svg = probability_plots.reliability_diagram(reliability, f"{number}-{salt}")
            drawn.append(_picture(caption, svg))
    if sum(window.ratio is not None for window in found.windows) > 1:
        svg = probability_plots.by_window(found.windows, days, str(number))
        drawn.append(_picture("Observed over expected by window; the grey band counts as steady", svg))
    return drawn


def _picture(caption: str, svg: str) -> Picture:
    return caption, Markup(svg)  # noqa: S704  # drawn from numbers here  # nosec B704
