"""One metric of two arms compared: what tea-tasting finds, and what surveys need beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite, sqrt

import numpy as np
import tea_tasting
from scipy.stats import norm, skew
from tea_tasting.aggr import Aggregates
from tea_tasting.experiment import ExperimentResult

from models.arrays import DoubleArray

CONFIDENCE = 0.95
Z = float(norm.isf((1 - CONFIDENCE) / 2))  # standard errors to each side of a two-sided interval
EASY = 5  # of 7: answers from here on say that it was easy
PROMOTER, DETRACTOR = 9, 6  # of 10: from, and up to
TAIL = 0.0845  # (2 z^2 + 1) / 6 times the density at z = 1.96
CLEAR = 3.0  # standard errors that a mean must be away from 0, for a relative effect to mean something


@dataclass(frozen=True)
class Effect:
    """Treatment against control.

    Attributes:
        n_control, n_treatment: customers who are in it.
        low, high: 95 % interval of the difference, as if this were the only look.
        relative, relative_low, relative_high: the same over the control; None for surveys, and near a
            control of 0.
        p: two-sided, as if this were the only look.
        variance: of the difference.
    """

    n_control: int
    n_treatment: int
    control: float
    treatment: float
    difference: float
    low: float
    high: float
    relative: float | None
    relative_low: float | None
    relative_high: float | None
    p: float
    variance: float

    @property
    def statistic(self) -> float:
        return self.difference / sqrt(self.variance)


def of_means(
    control: DoubleArray, treatment: DoubleArray, *, before: tuple[DoubleArray, DoubleArray] | None = None
) -> Effect | None:
    """Means over customers; None with fewer than two on a side, or where nobody differs.

    Args:
        before: the same figure of the same customers before the experiment, which explains a part (CUPED).
    """
    names = ["x"] if before is None else ["x", "before"]
    if before is None:
        sides = [np.stack([control]), np.stack([treatment])]
    else:
        sides = [np.stack([control, before[0]]), np.stack([treatment, before[1]])]
    metric = tea_tasting.Mean(
        "x", None if before is None else "before", use_t=False, confidence_level=CONFIDENCE
    )
    return _analysed(metric, names, sides)


def of_ratios(
    control: tuple[DoubleArray, DoubleArray], treatment: tuple[DoubleArray, DoubleArray]
) -> Effect | None:
    """Sums of numerators over sums of denominators, with customers as what varies (delta method).

    None with fewer than two customers on a side, a side whose denominators are all 0, or one ratio that
    everybody of a side has, on both. Where one side alone has one, both have the error that they would have
    if they were alike: where nothing happened yet among few, something may.
    """
    metric = tea_tasting.RatioOfMeans("x", "per", use_t=False, confidence_level=CONFIDENCE)
    sides = (control, treatment)
    varying = sum(_varies(*side) for side in sides if side[1].any())
    if not all(below.any() for _, below in sides) or not varying:
        return None
    found = _analysed(metric, ["x", "per"], [np.stack(control), np.stack(treatment)])
    return found and (found if varying == 2 else _as_if_alike(found, sides))


def of_nps(control: DoubleArray, treatment: DoubleArray) -> Effect | None:
    """Net promoter score in points, from answers of 0 to 10, one a customer (Welch)."""
    metric = tea_tasting.Mean("x", use_t=True, equal_var=False, confidence_level=CONFIDENCE)
    found = _analysed(metric, ["x"], [np.stack([recoded(control)]), np.stack([recoded(treatment)])])
    return found and _without_relative(found)


def recoded(answers: DoubleArray) -> DoubleArray:
    """Promoters are 100, detractors -100, others 0: the mean is the score."""
    return np.where(answers >= PROMOTER, 100.0, np.where(answers <= DETRACTOR, -100.0, 0.0))


def of_ces(control: DoubleArray, treatment: DoubleArray) -> Effect | None:
    """Share of those who found it easy, from answers of 1 to 7, one a customer.

    Source: Newcombe 1998, method 10: Wilson's intervals of both shares put together.
    """
    if len(control) < 2 or len(treatment) < 2:
        return None
    n0, n1 = len(control), len(treatment)
    p0, p1 = float((control >= EASY).mean()), float((treatment >= EASY).mean())
    (low0, high0), (low1, high1) = _wilson(p0, n0), _wilson(p1, n1)
    variance = p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1
    if variance == 0:
        return None
    difference = p1 - p0
    low = difference - sqrt((p1 - low1) ** 2 + (high0 - p0) ** 2)
    high = difference + sqrt((high1 - p1) ** 2 + (p0 - low0) ** 2)
    p = float(2 * norm.sf(abs(difference) / sqrt(variance)))
    return Effect(n0, n1, p0, p1, difference, low, high, None, None, None, p, variance)


def lean(control: DoubleArray, treatment: DoubleArray) -> float:
    """How far the difference of two means leans if both sides vary alike: its third cumulant over the cube of
    its standard error.

    Above 0 chance alone finds the treatment lower more often than it should, by TAIL times as much at the end
    of a 95 % interval. Equal arms don't lean.

    Source: Hall 1992, the first term of Edgeworth's expansion for a mean over its estimated error.
    """
    if len(control) < 2 or len(treatment) < 2:
        return 0.0
    around = np.concatenate([side - side.mean() for side in (control, treatment)])
    return leaning(skewness(around), len(control), len(treatment))


def skewness(values: DoubleArray) -> float:
    """Of figures that vary; 0 of others."""
    return float(skew(values)) if np.ptp(values) > 1e-9 * np.abs(values).max() else 0.0


def leaning(skewness: float, n_control: float, n_treatment: float) -> float:
    """What `lean` says of so many customers with figures of this skewness."""
    return skewness * (1 / n_treatment - 1 / n_control) / sqrt(1 / n_treatment + 1 / n_control)


def holm(ps: list[float]) -> list[float]:
    """p-values of several questions together, in their order: none of them is a chance find (Holm 1979)."""
    asked = ExperimentResult({str(number): {"pvalue": p} for number, p in enumerate(ps)})
    found = tea_tasting.adjust_fwer(asked, arbitrary_dependence=True, method="bonferroni")
    return [float(one["pvalue_adj"]) for one in found.to_dicts()]


def _analysed(metric: tea_tasting.RatioOfMeans, names: list[str], sides: list[DoubleArray]) -> Effect | None:
    n0, n1 = (side.shape[1] for side in sides)
    if n0 < 2 or n1 < 2 or all((side[0] == side[0, 0]).all() for side in sides):
        return None
    try:
        found = metric.analyze_aggregates(*(_aggregates(names, side) for side in sides))
    except OverflowError:  # of the relative interval, where a mean is nothing beside its error
        return _away_from_zero(metric, names, sides)
    except ValueError:  # of a variance that rounding took below 0
        return None
    # Half an interval over its quantile: the statistic itself is 0 where the difference is.
    difference = float(found.effect_size)
    half, statistic = found.effect_size_ci_upper - difference, float(found.statistic)
    scale = difference / statistic if statistic else half / Z
    if not isfinite(scale) or scale <= 0:
        return None
    low, high = float(found.rel_effect_size_ci_lower), float(found.rel_effect_size_ci_upper)
    is_clear = abs(found.control) > CLEAR * scale and isfinite(low) and isfinite(high)
    return Effect(
        n0,
        n1,
        float(found.control),
        float(found.treatment),
        difference,
        float(found.effect_size_ci_lower),
        float(found.effect_size_ci_upper),
        float(found.rel_effect_size) if is_clear else None,
        low if is_clear else None,
        high if is_clear else None,
        float(found.pvalue),
        scale * scale,
    )


def _away_from_zero(
    metric: tea_tasting.RatioOfMeans, names: list[str], sides: list[DoubleArray]
) -> Effect | None:
    """The effect without its relative part: both sides moved by as much, which leaves the difference."""
    per = [side[1] if names[-1] == "per" else np.ones_like(side[0]) for side in sides]
    ends = [np.abs(side[0]).max() / each.mean() for side, each in zip(sides, per, strict=True)]
    by = 10 * float(sum(ends))
    moved = [np.stack([side[0] + by * each, *side[1:]]) for side, each in zip(sides, per, strict=True)]
    effect = _analysed(metric, names, moved)
    return effect and replace(
        _without_relative(effect), control=effect.control - by, treatment=effect.treatment - by
    )


def _as_if_alike(effect: Effect, sides: Sequence[tuple[DoubleArray, DoubleArray]]) -> Effect:
    """The effect with the error of two sides that differ in nothing but their sizes."""
    above, below = (np.concatenate(each) for each in zip(*sides, strict=True))
    spread = float(np.var(above - above.sum() / below.sum() * below, ddof=1))
    variance = sum(spread / len(per) / float(per.mean()) ** 2 for _, per in sides)
    half = Z * sqrt(variance)
    low, high = effect.difference - half, effect.difference + half
    found = replace(
        effect,
        low=low,
        high=high,
        p=float(2 * norm.sf(abs(effect.difference) / sqrt(variance))),
        variance=variance,
    )
    if effect.relative is None:
        return found
    relative_low, relative_high = sorted((low / effect.control, high / effect.control))
    return replace(found, relative_low=relative_low, relative_high=relative_high)


def _varies(above: DoubleArray, below: DoubleArray) -> bool:
    """Whether a ratio isn't the same for everybody: rounding would take its variance below 0."""
    least = 1e-7 * float(np.abs(above).max())
    return not np.allclose(above, above.sum() / below.sum() * below, atol=least)


def _aggregates(names: list[str], rows: DoubleArray) -> Aggregates:
    means, spread = rows.mean(axis=1), np.atleast_2d(np.cov(rows))
    return Aggregates(
        rows.shape[1],
        {name: float(mean) for name, mean in zip(names, means, strict=True)},
        {name: float(spread[i, i]) for i, name in enumerate(names)},
        {(names[0], names[1]): float(spread[0, 1])} if len(names) == 2 else {},
    )


def _wilson(p: float, n: int) -> tuple[float, float]:
    middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return middle - half, middle + half


def _without_relative(effect: Effect) -> Effect:
    """A score that can be 0 or below has no share of itself."""
    return replace(effect, relative=None, relative_low=None, relative_high=None)
