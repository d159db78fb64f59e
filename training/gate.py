"""The gate: may this night's version become champion? A pure decision that always says why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.arrays import DoubleArray
from training.evaluation.bootstrap import RESAMPLES, Interval, paired_difference


class GateOptions(BaseModel):
    """Section `[gate]` of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="How far the lower bound of the difference may lie below 0, as a share of the other's"
        " mean NDCG@10. 0.05 lets an equally good recipe pass from some hundred customers on.",
    )
    min_customers: int = Field(
        default=30,
        ge=2,
        description="With fewer customers who bought in the horizon quality is not judged, only sizes are.",
    )
    max_shrink: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share (0 to 1) of the champion's customers, purchases, products, or of its products with"
        " a title, category or brand, that may be missing now.",
    )
    max_drop: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Share (0 to 1) by which coverage, and surely NDCG@10, of an unchanged recipe may lie"
        " below what was recorded for the champion within the last horizon.",
    )
    resamples: int = Field(default=RESAMPLES, ge=100, description="Draws of the bootstrap.")
    seed: int = Field(default=0, ge=0, description="Seed of the bootstrap.")


SIZES = {  # of a history, as figures of the gate, and what they are called
    "customers": "customers",
    "products": "products",
    "purchases": "purchases",
    "described": "products with a title, category or brand",
}


@dataclass(frozen=True)
class Sanity:
    """What the version to publish and the champion are made of.

    Attributes:
        last_purchase: of the new version's history.
        sizes: of the new version's history, how many of what (see `SIZES`).
        coverage: share of the sold products that the challenger's lists name.
        champion_last_purchase, champion_sizes: the same of the champion's, but for sizes that nobody counted
            then; None without one.
        champion_ndcg, champion_coverage, champion_judged: what was recorded when the champion was published
            (`challenger_ndcg`, `coverage` and `customers_judged` of its figures); None if nothing was.
    """

    last_purchase: datetime
    sizes: Mapping[str, int]
    coverage: float
    champion_last_purchase: datetime | None = None
    champion_sizes: Mapping[str, int] | None = None
    champion_ndcg: float | None = None
    champion_coverage: float | None = None
    champion_judged: int | None = None

    @property
    def has_champion(self) -> bool:
        return self.champion_sizes is not None


@dataclass(frozen=True)
class GateDecision:
    """The verdict, the sentence that gives its reason, and the figures it rests on."""

    decision: Literal["published", "refused"]
    why: str
    figures: dict[str, float | int | None]


def decide(
    challenger: DoubleArray,
    champion: DoubleArray | None,
    popular: DoubleArray,
    *,
    same_recipe: bool,
    sanity: Sanity,
    horizon_days: int,
    options: GateOptions,
) -> GateDecision:
    """Publish or refuse.

    1. The history must not have shrunk against the champion's, nor end before it.
    2. With too few customers to judge, that is all; with none at all a champion stays.
    3. Recipe unchanged: recorded NDCG@10 not surely dropped, coverage not dropped, if they are of the last
       horizon; and not surely worse than `popular`.
    4. First night: not surely worse than `popular`. The champion's recipe can't be made again: not worse.
    5. Recipe changed: not worse than the champion's recipe.
    "Not worse" means that the lower bound of the 95 % interval of the paired difference is at or above
    -margin x the other's mean, "not surely worse" that its upper bound is: else nothing would
    answer, or older lists of the same recipe, and of a small shop's customers no interval is that narrow.

    Args:
        challenger: NDCG@10 of this night's recipe, shape (n,), one value per customer with a purchase in the
            horizon; the recipe was fitted on history before the horizon.
        champion: the same of the champion's recipe on the same customers; None if there is no champion or
            its recipe can't be made again. Not looked at when `same_recipe`.
        popular: the same of variant `popular`.
        same_recipe: the champion's recipe is the challenger's.
        sanity: see there.
        horizon_days: of the night.
        options: see there.
    Source: non-inferiority test by confidence interval, e.g. Piaggio et al. 2012.
    """
    figures: dict[str, float | int | None] = {
        "customers_judged": len(challenger),
        **sanity.sizes,
        "coverage": sanity.coverage,
    }
    unfit = _shrunk(sanity, options) or _ends_earlier(sanity) or _unjudged(len(challenger), sanity)
    if unfit:
        return GateDecision("refused", unfit, figures)
    if len(challenger) < options.min_customers:
        why = (
            f"Of those who had bought before the horizon {len(challenger)} bought in it, and it takes "
            f"{options.min_customers} to judge quality: published on the size of the history alone."
        )
        return GateDecision("published", why, figures)
    figures |= {"challenger_ndcg": float(challenger.mean()), "popular_ndcg": float(popular.mean())}
    if same_recipe:
        dropped = _dropped(challenger, sanity, horizon_days, options)
        if dropped:
            return GateDecision("refused", dropped, figures)
    if same_recipe or champion is None:
        occasion = _occasion(same_recipe, sanity)
        is_sure = same_recipe or not sanity.has_champion
        verdict = _compare(occasion, challenger, popular, "popular", options=options, only_if_sure=is_sure)
    else:
        verdict = _compare("Recipe changed", challenger, champion, "the champion", options=options)
        figures["champion_ndcg"] = float(champion.mean())
    return GateDecision(verdict.decision, verdict.why, figures | verdict.figures)


def _compare(
    occasion: str,
    challenger: DoubleArray,
    others: DoubleArray,
    other: str,
    *,
    options: GateOptions,
    only_if_sure: bool = False,
) -> GateDecision:
    """The verdict of the paired bootstrap."""
    gap: Interval = paired_difference(challenger, others, resamples=options.resamples, seed=options.seed)
    allowed = -options.margin * float(others.mean())
    side, bound = ("upper", gap.high) if only_if_sure else ("lower", gap.low)
    is_good = bound >= allowed
    why = (
        f"{occasion}: NDCG@10 {challenger.mean():.4f} against {others.mean():.4f} of {other} on "
        f"{len(challenger)} customers, difference {gap.mean:+.4f} (95 % interval {gap.low:+.4f} to "
        f"{gap.high:+.4f}), {side} bound {'not below' if is_good else 'below'} the allowed {allowed:+.4f}."
    )
    figures = {
        "difference": gap.mean,
        "difference_low": gap.low,
        "difference_high": gap.high,
        "allowed": allowed,
    }
    return GateDecision("published" if is_good else "refused", why, {**figures})


def _occasion(same_recipe: bool, sanity: Sanity) -> str:
    """Why the comparison is with `popular`."""
    if same_recipe:
        return "Recipe unchanged"
    return "The champion's recipe can't be made again" if sanity.has_champion else "First night"


def _ends_earlier(sanity: Sanity) -> str | None:
    """Why the history is an older one, None if it isn't."""
    before = sanity.champion_last_purchase
    if before is None or sanity.last_purchase >= before:
        return None
    return (
        f"The last purchase is of {sanity.last_purchase:%Y-%m-%d %H:%M} UTC, before the champion's, which is "
        f"of {before:%Y-%m-%d %H:%M}: an old export, or an --as-of meant for another store?"
    )


def _unjudged(n_customers: int, sanity: Sanity) -> str | None:
    """Why a champion stays that nobody can judge, None if somebody can or there is no champion."""
    if n_customers or not sanity.has_champion:
        return None
    return (
        "Nobody who had bought before the horizon bought in it, so that quality can't be judged and the "
        "champion stays: is the export too short, or does --as-of lie after its end?"
    )


type Pair = tuple[str, float, float | None]  # what, now, the champion's


def _shrunk(sanity: Sanity, options: GateOptions) -> str | None:
    """Why the history can't be whole, None if it can."""
    before_it = sanity.champion_sizes or {}
    sizes: list[Pair] = [(SIZES[name], n, before_it.get(name)) for name, n in sanity.sizes.items()]
    return next(
        (
            f"The history has {now} {what}, {share:.0%} fewer than the champion's {before}: "
            f"more than the allowed {options.max_shrink:.0%}. Was the export written whole?"
            for what, now, before, share in _fallen(sizes, options.max_shrink)
        ),
        None,
    )


def _dropped(challenger: DoubleArray, sanity: Sanity, horizon_days: int, options: GateOptions) -> str | None:
    """Which figure of an unchanged recipe has dropped too far, None if none has.

    What was recorded more than a horizon ago, and a day for nights that are a horizon apart, says nothing
    any more: what has lasted so long is the season, and lists of before it are worse than those of now.

    NDCG@10 must have surely done so, by the upper bound of its 95 % interval: of few customers a good week
    is recorded by chance, and the next ones wouldn't pass.

    Lists of fewer customers name fewer products: coverage is held against what as many of the champion's
    named at least, their share of what all of them named.
    """
    age = sanity.last_purchase - (sanity.champion_last_purchase or sanity.last_purchase)
    if age > timedelta(days=horizon_days + 1):
        return None
    then = sanity.champion_judged
    part = min(1.0, len(challenger) / then) if then else 1.0
    coverage = None if sanity.champion_coverage is None else sanity.champion_coverage * part
    nothing = np.zeros_like(challenger)
    ndcg = paired_difference(challenger, nothing, resamples=options.resamples, seed=options.seed)
    is_sure = any(_fallen([("NDCG@10", ndcg.high, sanity.champion_ndcg)], options.max_drop))
    recorded: tuple[Pair, ...] = (
        ("NDCG@10", ndcg.mean, sanity.champion_ndcg if is_sure else None),
        ("coverage", sanity.coverage, coverage),
    )
    of_as_many = {"coverage": f" (of {len(challenger)} of the {then} customers)"} if part < 1 else {}
    return next(
        (
            f"Recipe unchanged, but {what} {now:.4f} is {share:.0%} below the {before:.4f} recorded for the "
            f"champion{of_as_many.get(what, '')}: more than the allowed {options.max_drop:.0%}."
            for what, now, before, share in _fallen(recorded, options.max_drop)
        ),
        None,
    )


def _fallen(pairs: Iterable[Pair], allowed: float) -> Iterator[tuple[str, float, float, float]]:
    """What lies below the champion's by more than the allowed share: what, now, the champion's, the share."""
    for what, now, before in pairs:
        if before and now < before * (1 - allowed):
            yield what, now, before, 1 - now / before
