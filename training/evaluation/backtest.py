"""The variants as they would have done: chosen folds, each variant fitted on what was known, and measured."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from models.base import Model
from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.popular import Popular
from models.registry import VARIANTS
from storage.local_days import local_day, midnight_s
from training.evaluation.folds import Fold, last_folds
from training.evaluation.inside import Inside, fallback_notes, pooled
from training.evaluation.one_fold import EvaluationOptions, FoldResult, Seconds, evaluate_fold
from training.fitting import Variants, fit_variants, popular_order
from training.progress import Progress


def backtest(
    interactions: Interactions,
    folds: Sequence[Fold],
    variants: Variants,
    *,
    progress: Progress,
    options: EvaluationOptions | None = None,
) -> tuple[list[FoldResult], dict[str, Seconds], Inside]:
    """Fit and measure variants on each fold.

    Args:
        interactions: the whole history.
        folds: where to cut it, from `choose_folds`.
        variants: name in the registry to its options; `popular` is fitted in any case: it fills lists up.
        progress: is shown each fold.
        options: how many customers are judged in each; None: all are.
    Returns:
        one result per fold, the wall time of each variant, and what was found inside of rankers; all of
        `variants` only.
    """
    results: list[FoldResult] = []
    notes: list[str] = []
    asked: dict[str, Model[Any]] = {}
    fit_s: dict[str, list[float]] = {name: [] for name in sorted(variants, key=list(VARIANTS).index)}
    for number, fold in enumerate(folds, 1):
        with progress.step("fold", number=number, of=len(folds)):
            models, took_s = fit_variants(
                interactions.before(fold.as_of_s),
                {Popular.name: {}, **variants},
                horizon_days=fold.horizon_days,
                on_step=progress.detail,
            )
            asked = {name: models[name] for name in fit_s}
            fill = popular_order(models)
            result = evaluate_fold(
                interactions,
                fold,
                asked,
                fill=fill,
                options=options,
                looks_inside=True,
                on_step=progress.detail,
            )
            results.append(result)
        for name, why in fallback_notes(asked).items():
            progress.say("fallback", variant=name, fold=number, why=why)
            notes.append(f"Fold {number}: {why}")
        for name, times in fit_s.items():
            times.append(took_s[name])
    seconds = {
        name: Seconds(times, [result.score_s[name] for result in results]) for name, times in fit_s.items()
    }
    return results, seconds, pooled([result.looks for result in results], asked, notes)


def choose_folds(
    interactions: Interactions, days: Sequence[date], horizon_days: int, timezone: str
) -> list[Fold]:
    """The folds that were asked for, oldest first, each once; the last three that can be used if none was.

    Args:
        interactions: the whole history; its `as_of_s` is where it ends.
        days: first days of the windows, in the shop's timezone.
        horizon_days: length of the windows.
        timezone: of the shop.
    Raises:
        BadConfigError: a window is not within the history, or nobody who bought before it bought in it.
    """
    if not days:
        wanted = last_folds(interactions.as_of_s, horizon_days, timezone)
        usable = [fold for fold in wanted if _objection(interactions, fold, timezone) is None]
        if not usable:
            first, last = _days(interactions, timezone)
            raise BadConfigError(
                "--as-of",
                f"none was given, and in the history of {first} to {last} nobody bought both before and "
                f"within one of the last windows of {horizon_days} days: choose a shorter --horizon-days",
            )
        return usable
    folds = [Fold(midnight_s(day, timezone), horizon_days) for day in sorted(set(days))]
    for fold in folds:
        if objection := _objection(interactions, fold, timezone):
            raise BadConfigError(f"--as-of {local_day(fold.as_of_s, timezone)}", objection)
    return folds


def _objection(interactions: Interactions, fold: Fold, timezone: str) -> str | None:
    """Why a fold can't be measured, None if it can."""
    first, last = _days(interactions, timezone)
    latest = last + timedelta(days=1 - fold.horizon_days)
    if local_day(fold.as_of_s, timezone) > latest:
        return (
            f"the {fold.horizon_days} days from it reach beyond the history, which ends on {last}: "
            f"{latest} is the latest that can be used"
        )
    is_before = interactions.at_s < fold.as_of_s
    if not is_before.any():
        return f"the history begins on {first}, so nothing is known before it: choose a later day"
    known = np.zeros(interactions.n_customers, np.bool_)
    known[interactions.customer_row[is_before]] = True
    in_window = ~is_before & (interactions.at_s < fold.end_s)
    if not known[interactions.customer_row[in_window]].any():
        return (
            f"nobody who bought before it bought in the {fold.horizon_days} days from it: choose another day"
        )
    return None


def _days(interactions: Interactions, timezone: str) -> tuple[date, date]:
    """The shop's dates on which the history begins and ends."""
    first_s = int(interactions.at_s.min()) if len(interactions) else interactions.as_of_s - 1
    return local_day(first_s, timezone), local_day(interactions.as_of_s - 1, timezone)
