"""The night: read, fit on what was known a horizon ago, judge, fit on all, publish."""

import platform
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any

import numpy as np

from models.arrays import DAY_S
from models.base import Model
from models.cores import give_back
from models.errors import BadConfigError, NextbestError
from models.interactions import Interactions
from models.registry import VARIANTS
from models.windows import Window
from storage.history import History, read_history
from storage.manifest import GateEntry, Manifest
from storage.people import MAX_WORDS
from storage.store import Store
from storage.versions import read_manifest
from training import contents
from training.budget import Budget
from training.candidates import OwnHistory
from training.comparison import Evaluation, summarise
from training.config import NightConfig
from training.doubts import doubts
from training.evaluation import FoldResult, Seconds, evaluate_fold
from training.findings import about_better
from training.fitting import fit_variants, popular_order, recipe_of, with_horizon
from training.folds import Fold
from training.gate import Sanity, decide
from training.held import HeldProduct, held_products, without_held
from training.history_facts import (
    Lost,
    history_counts,
    history_entry,
    last_purchase,
    lost_lines,
    sold_products,
    told_history,
)
from training.inside import Inside, fallback_notes, look_inside, told
from training.offer_lists import write_value
from training.people import write_people
from training.progress import Progress
from training.recorded import erased_since, recorded_by
from training.steadiness import earlier_windows

LIBRARIES = ("implicit", "lightgbm", "numpy", "polars", "scikit-learn", "scipy")
type Windows = dict[Any, Window]  # past windows that rankers learn from; the second fit needs the first's
CHAMPION = "champion"  # the champion's own recipe among the variants that are judged


@dataclass(frozen=True)
class Job:
    """What one night was asked to do.

    Attributes:
        data: folder or database URL.
        as_of: aware; None for just after the last purchase.
        now: aware; the night's own time, which names its run and its version.
        force: publish whatever the gate says.
    """

    data: str
    store: Store
    config: NightConfig
    as_of: datetime | None
    now: datetime
    force: bool = False

    @property
    def default_variant(self) -> str:
        return self.config.night.default_variant

    @property
    def run_id(self) -> str:
        return f"{self.now:%Y%m%dT%H%M%SZ}"

    @property
    def folder(self) -> Path:
        """Where this night's report and rejects go."""
        return self.store.runs / self.run_id


@dataclass(frozen=True)
class Judged:
    """What the gate saw: variants fitted on what was known a horizon ago, and what they scored since."""

    models: dict[str, Model[Any]]
    result: FoldResult | None
    evaluation: Evaluation | None
    seconds: dict[str, Seconds] = field(default_factory=dict)
    inside: Inside = field(default_factory=Inside)


@dataclass(frozen=True)
class Outcome:
    """What a night came to.

    Attributes:
        manifest: of the version it wrote, with the gate's decision.
        counts, lost: how much was read and is left; why lines were rejected or left out.
        judged: what the gate saw.
        notes: what looks wrong with the history, which products are held, whether a variant was better than
            the default one, and why rankers of the version fell back.
    """

    manifest: Manifest
    counts: dict[str, int]
    lost: list[Lost]
    judged: Judged
    notes: list[str]


def run_night(job: Job, progress: Progress) -> Outcome:
    """One night on one store. Only under its `night_lock`; the promotion is the last thing that happens.

    Raises:
        BadHistoryError, TooLittleHistoryError: the history can't be used; the champion stays.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    budget = Budget(job.config.night.time_budget_s) if job.config.night.time_budget_s else None
    with progress.step("read"):
        history = read_history(
            job.data,
            job.config.history,
            as_of=job.as_of,
            rejects=job.folder / "rejects.csv",
            now=job.now,
            recorded=partial(recorded_by, job.store, job.config.record, now=job.now, say=progress.say),
        )
        interactions = history.interactions()
    counts, lost = history_counts(history), lost_lines(history)
    told_history(history, progress, lost)
    notes = doubts(history, job.config.night.horizon_days, job.now if job.as_of is None else None)
    for doubt in notes:
        progress.say("doubt", why=doubt)
    champion = _champion(job.store, progress)
    windows: Windows = {}
    held = held_products(interactions, history.known_since_s, job.config.night.horizon_days)
    notes += [one.told(history.products["product_id"][one.product_row]) for one in held]
    learned = without_held(interactions, history.known_since_s, job.config.night.horizon_days, held)
    judged = _judge(job, learned, champion, progress, windows, budget)
    decision = _with_held(history, held, _decide(job, history, judged, champion), progress)
    if judged.evaluation and (better := about_better(judged.evaluation, job.config.gate.min_customers)):
        progress.say("default is not the best", why=better)
        notes.append(better)
    models = _fit_on_all(job, learned, judged, progress, windows)
    for name, why in fallback_notes(models).items():
        progress.say("fallback", variant=name, why=why)
        notes.append(why)
    windows.clear()  # the rankers know the mapping; nothing needs its arrays any more
    decision = _with_erasures(job, history, decision)
    manifest = _write(job, history, (interactions, learned), models, decision, counts, progress=progress)
    progress.say("gate", decision=decision.decision, why=decision.why)
    outcome = Outcome(manifest, counts, lost, judged, notes)
    if decision.decision != "refused":
        job.store.promote(manifest.version_id, now=job.now, why=decision.why)
    return outcome


def _champion(store: Store, progress: Progress) -> Manifest | None:
    """The manifest of the champion; a damaged one is as good as none, and the night is what mends it."""
    try:
        champion = store.champion()
        return read_manifest(store.versions / champion.current.version_id) if champion else None
    except NextbestError as err:
        progress.say("champion unreadable", why=str(err))
        return None


def _judge(
    job: Job,
    interactions: Interactions,
    champion: Manifest | None,
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
            interactions, fold, models, fill=popular_order(models), options=job.config.evaluation
        )
        if not len(result.targets["all"].customer_row):
            return Judged(models, None, None)
        evaluation = summarise([result], default=night.default_variant)
        progress.detail("sources and probabilities")
        looks = look_inside(models, interactions, fold)
        earlier = {
            name: earlier_windows(job.store.runs, name, night.horizon_days, fold.as_of_s) for name in looks
        }
        inside = told([looks], models, earlier=earlier)
    seconds = {name: Seconds([fit_s[name]], [result.score_s[name]]) for name in models}
    return Judged(models, result, evaluation, seconds, inside)


def _same_recipe(job: Job, champion: Manifest) -> bool:
    """Whether tonight's default variant is made as the champion was."""
    return champion.variants[champion.default_variant].recipe == _recipe(job, job.default_variant)


def _champions_recipe(
    past: Interactions, champion: Manifest, progress: Progress, windows: Windows, budget: Budget | None
) -> tuple[Model[Any], float] | None:
    """The champion's recipe fitted again, and its seconds; None if it can't be made here."""
    variant = champion.default_variant
    if variant not in VARIANTS:
        return None
    try:
        models, fit_s = fit_variants(
            past,
            {variant: champion.variants[variant].options},
            horizon_days=champion.horizon_days,
            on_step=progress.detail,
            windows=windows,
            budget=budget,
        )
    except BadConfigError as err:
        progress.say("champion's recipe can't be made again", why=str(err))
        return None
    return models[variant], fit_s[variant]


def _recipe(job: Job, name: str) -> str:
    return recipe_of(name, _options(job, name))


def _options(job: Job, name: str) -> dict[str, Any]:
    """A variant's options as configured, with the horizon."""
    return with_horizon(name, job.config.variant_options()[name], job.config.night.horizon_days)


def _decide(job: Job, history: History, judged: Judged, champion: Manifest | None) -> GateEntry:
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
        sanity=_sanity(history, coverage, champion),
        options=job.config.gate,
    )
    if job.force and decision.decision == "refused":
        return GateEntry(decision="forced", why=f"Forced. {decision.why}", figures=decision.figures)
    return GateEntry(decision=decision.decision, why=decision.why, figures=decision.figures)


def _with_erasures(job: Job, history: History, gate: GateEntry) -> GateEntry:
    """The gate's word, and how many were erased since the history was read.

    That keeps no version back: no answer is made of what it has of them, and it is deleted in time. A night
    that began anew for each of them would never end at a large shop.
    """
    seen = history.from_record.tombstone if history.from_record else 0
    erased = erased_since(job.store, job.config.record, seen)
    if not erased:
        return gate
    why = f"{gate.why} Customers erased while this night ran: {erased}; the next one is without them."
    return gate.model_copy(update={"why": why, "figures": gate.figures | {"erased_meanwhile": erased}})


def _with_held(history: History, held: list[HeldProduct], gate: GateEntry, progress: Progress) -> GateEntry:
    """The gate's word, and how many products wait since their new buyers are mostly new customers."""
    figures = gate.figures | {"held_products": len(held)}
    if not held:
        return gate.model_copy(update={"figures": figures})
    for one in held:
        product_id = history.products["product_id"][one.product_row]
        progress.say("held", product=product_id, newcomers=one.newcomers, buyers=one.buyers)
    why = f"{gate.why} Products held, since mostly new customers bought them: {len(held)}; see the report."
    return gate.model_copy(update={"why": why, "figures": figures})


def _sanity(history: History, coverage: float, champion: Manifest | None) -> Sanity:
    sold = sold_products(history)  # a shop may tidy up the rest of its catalogue as it likes
    now = Sanity(last_purchase(history), len(history.customer_ids), sold, coverage)
    if champion is None:
        return now
    return replace(
        now,
        champion_last_purchase=champion.history.last_purchase,
        champion_customers=champion.history.customers,
        champion_products=champion.history.products,
        champion_ndcg=champion.gate.figures.get("challenger_ndcg"),
        champion_coverage=champion.gate.figures.get("coverage"),
    )


def _fit_on_all(
    job: Job, interactions: Interactions, judged: Judged, progress: Progress, windows: Windows
) -> dict[str, Model[Any]]:
    """Every variant on the whole history, with the constants learned for the gate."""
    variants = {
        name: asdict(judged.models[name].options_) if name in judged.models else options
        for name, options in job.config.variant_options().items()
    }
    judged.models.clear()  # as large as those that follow, and of no more use
    give_back()
    with progress.step("fit on all"):
        return fit_variants(
            interactions,
            variants,
            horizon_days=job.config.night.horizon_days,
            on_step=progress.detail,
            windows=windows,
        )[0]


def _write(
    job: Job,
    history: History,
    seen: tuple[Interactions, Interactions],
    models: dict[str, Model[Any]],
    gate: GateEntry,
    counts: dict[str, int],
    *,
    progress: Progress,
) -> Manifest:
    """The version, whole and checked, under its name; not yet champion.

    Args:
        seen: the whole history, which answers tell of; and what of it was learned from.
    """
    interactions, learned = seen
    with progress.step("write"):
        writer = job.store.writer()
        own = OwnHistory.of(history)
        contents.write_history(writer, history, interactions, own)
        for column in write_people(writer, history.customer_ids, history.customers, history.audiences):
            progress.say("column left out", column=column, why=f"more than {MAX_WORDS} different words")
        contents.write_shared(writer, models)
        contents.write_due(writer, models, own)
        contents.write_order_keys(writer, history)
        contents.write_taste(writer, models)
        progress.detail("orders that follow another")
        contents.write_follow_up(writer, learned, job.config.night.horizon_days)
        contents.write_session(writer, job.config.session.figures)
        progress.detail("offers")
        write_value(writer, history, learned, job.config.value)
        for name in job.config.night.served:
            progress.detail(f"candidates of {name}")
            contents.write_candidates(writer, name, models, own, k=job.config.night.candidates)
        for name, model in models.items():
            writer.add_variant(
                name,
                model.state(),
                recipe=_recipe(job, name),
                options=_options(job, name),
                has_candidates=name in job.config.night.served,
            )
        return writer.finish(
            job.store.versions,
            created_at=job.now,
            as_of=history.as_of,
            horizon_days=job.config.night.horizon_days,
            default_variant=job.default_variant,
            history=history_entry(history, counts),
            gate=gate,
            libraries={name: library_version(name) for name in LIBRARIES}
            | {"python": platform.python_version()},
        )
