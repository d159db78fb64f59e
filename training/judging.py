"""What the gate sees of one night, and says: recipes fitted on what was known a horizon ago, scored since."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from models.arrays import DAY_S
from models.base import Model
from models.errors import BadConfigError
from models.history.interactions import Interactions
from models.numerics.cores import at_once
from models.ranking.windows import Window
from models.registry import VARIANTS
from models.session import SessionFigures
from models.strangers import Counts
from storage.history.history import History
from storage.versions.manifest import GateEntry, Manifest, VariantEntry
from storage.versions.version import PURCHASES
from training.budget import Budget
from training.evaluation.comparison import Evaluation, summarise
from training.evaluation.folds import Fold
from training.evaluation.inside import Inside, pooled
from training.evaluation.one_fold import FoldResult, Seconds, evaluate_fold
from training.evaluation.steadiness import earlier_windows
from training.fitting import fit_variants, popular_order
from training.gate import Sanity, decide
from training.history.facts import described_products, last_purchase, sold_products
from training.job import Job
from training.progress import Progress
from training.sessions import learned_figures
from training.strangers import learned_counts

type Windows = dict[Any, Window]  # past windows that rankers learn from; the second fit needs the first's
CHAMPION = "champion"  # the champion's own recipe among the variants that are judged


@dataclass(frozen=True)
class Reigning:
    """The champion: the manifest of its version, and which of its variants answers.

    That may be another one than the version's default, where an experiment shipped it.
    """

    manifest: Manifest
    variant: str

    @property
    def entry(self) -> VariantEntry:
        return self.manifest.variants[self.variant]

    @property
    def figures(self) -> Mapping[str, Any]:
        """What was recorded of it when it was published, nothing of a variant that the gate didn't judge."""
        return self.manifest.gate.figures if self.variant == self.manifest.default_variant else {}


@dataclass(frozen=True)
class Judged:
    """What the gate saw: variants fitted on what was known a horizon ago, and what they scored since.

    `counts` are what makes the lists of strangers, and `session` how far those of customers who bought since
    move, learned from the same; None where there was nothing to learn from.
    """

    models: dict[str, Model[Any]]
    result: FoldResult | None
    evaluation: Evaluation | None
    seconds: dict[str, Seconds] = field(default_factory=dict)
    inside: Inside = field(default_factory=Inside)
    counts: Counts = field(default_factory=Counts)
    session: SessionFigures | None = None


def judge(
    job: Job,
    interactions: Interactions,
    champion: Reigning | None,
    progress: Progress,
    windows: Windows,
    budget: Budget | None,
) -> Judged:
    """Tonight's variants, and the champion's recipe if it differs: fitted a horizon ago, scored since."""
    night = job.config.night
    fold = Fold(interactions.as_of_s - night.horizon_days * DAY_S, night.horizon_days)
    past = interactions.before(fold.as_of_s)
    if not len(past):
        return Judged({}, None, None)
    with progress.step("fit for the gate"):
        models, fit_s = fit_variants(
            past,
            job.config.variant_options(),
            horizon_days=night.horizon_days,
            on_step=progress.detail,
            windows=windows,
            budget=budget,
        )
        if champion and not _same_recipe(job, champion):
            other = _champions_recipe(past, champion, progress, windows, budget)
            if other is not None:
                models[CHAMPION], fit_s[CHAMPION] = other
    with progress.step("evaluate"):
        result = evaluate_fold(
            interactions,
            fold,
            models,
            fill=popular_order(models),
            options=job.config.evaluation,
            looks_inside=True,
            on_step=progress.detail,
        )
        if not len(result.targets["all"].customer_row):
            return Judged(models, None, None)
        evaluation = summarise([result], default=night.default_variant)
        earlier = {
            name: earlier_windows(job.store.runs, name, night.horizon_days, fold.as_of_s)
            for name in result.looks
        }
        inside = pooled([result.looks], models, earlier=earlier)
    progress.detail("lists of strangers, and after purchases")
    bought = interactions.between(fold.as_of_s, interactions.as_of_s)
    session = job.config.session
    learning: list[Callable[[], Any]] = [
        lambda: learned_counts(models, past, bought, session.first),
        lambda: learned_figures(
            job.default_variant,
            models,
            past,
            bought,
            session.figures,
            session.sought,
            job.config.history.timezone,
        ),
    ]
    counts, figures = at_once(learning)
    seconds = {name: Seconds([fit_s[name]], [result.score_s[name]]) for name in models}
    return Judged(models, result, evaluation, seconds, inside, counts, figures)


def _same_recipe(job: Job, champion: Reigning) -> bool:
    """Whether tonight's default variant is made as the champion was."""
    return champion.entry.recipe == job.recipe_of(job.default_variant)


def _champions_recipe(
    past: Interactions, champion: Reigning, progress: Progress, windows: Windows, budget: Budget | None
) -> tuple[Model[Any], float] | None:
    """The champion's recipe fitted again, and its seconds; None if it can't be made here."""
    variant = champion.variant
    if variant not in VARIANTS:
        return None
    try:
        models, fit_s = fit_variants(
            past,
            {variant: champion.entry.options},
            horizon_days=champion.manifest.horizon_days,
            on_step=progress.detail,
            windows=windows,
            budget=budget,
        )
    except BadConfigError as err:
        progress.say("champion's recipe can't be made again", why=str(err))
        return None
    return models[variant], fit_s[variant]


def decided(job: Job, history: History, judged: Judged, champion: Reigning | None) -> GateEntry:
    """The gate's word on tonight's default variant; `force` goes over it and is recorded."""
    nobody = np.empty(0, np.float64)
    scores = dict.fromkeys((job.default_variant, "popular"), nobody)
    coverage = 0.0
    if judged.result is not None:
        scores = {name: judged.result.per_customer(name) for name in judged.models}
        coverage = judged.result.lists[job.default_variant].coverage
    decision = decide(
        scores[job.default_variant],
        scores.get(CHAMPION),
        scores["popular"],
        same_recipe=champion is not None and _same_recipe(job, champion),
        sanity=_sanity(job, history, coverage, champion),
        horizon_days=job.config.night.horizon_days,
        options=job.config.gate,
    )
    if job.force and decision.decision == "refused":
        return GateEntry(decision="forced", why=f"Forced. {decision.why}", figures=decision.figures)
    return GateEntry(decision=decision.decision, why=decision.why, figures=decision.figures)


def _sanity(job: Job, history: History, coverage: float, champion: Reigning | None) -> Sanity:
    # Of products those that were sold: a shop may tidy up the rest of its catalogue as it likes.
    sizes = {
        "customers": len(history.customer_ids),
        "products": sold_products(history),
        "purchases": history.purchases.height,
        "described": described_products(history),
    }
    now = Sanity(last_purchase(history), sizes, coverage)
    if champion is None:
        return now
    before, recorded = champion.manifest.history, champion.manifest.gate.figures
    champion_sizes = {name: getattr(before, name) for name in ("customers", "products", "purchases")}
    if "described" in recorded:  # which older versions are without
        champion_sizes["described"] = recorded["described"]
    return replace(
        now,
        champion_last_purchase=_last_of_the_same(job, history, champion),
        champion_sizes=champion_sizes,
        champion_ndcg=champion.figures.get("challenger_ndcg"),
        champion_coverage=champion.figures.get("coverage"),
        champion_judged=champion.figures.get("customers_judged"),
    )


def _last_of_the_same(job: Job, history: History, champion: Reigning) -> datetime:
    """The champion's last purchase, of customers whom the history still has if it ends before that.

    Whoever bought last may have been erased since, or not be learned from any more.
    """
    before = champion.manifest.history.last_purchase
    if last_purchase(history) >= before:
        return before
    purchases = pl.scan_parquet(job.store.versions / champion.manifest.version_id / PURCHASES)
    of_the_same = purchases.filter(pl.col("customer_id").is_in(list(history.customer_ids)))
    try:
        last: datetime | None = of_the_same.select(pl.col("purchased_at").max()).collect().item()
    except (OSError, pl.exceptions.PolarsError):  # a champion that is damaged
        return before
    return before if last is None else last
