"""The night: read, fit on what was known a horizon ago, judge, fit on all, publish."""

import platform
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version as library_version
from typing import Any

from models.base import Model
from models.errors import NextbestError
from models.history.interactions import Interactions
from models.numerics.cores import at_once, give_back
from models.session import SessionFigures
from models.strangers import Counts
from storage.history.history import History
from storage.history.read import read_history
from storage.versions.manifest import GateEntry, Manifest
from storage.versions.people import MAX_WORDS
from storage.versions.store import Store
from storage.versions.version import read_manifest
from training.budget import Budget
from training.evaluation.inside import budget_notes, fallback_notes
from training.fitting import content_of, fit_variants
from training.history.doubts import doubts
from training.history.facts import Lost, history_counts, lost_lines, tell_history
from training.history.held import HeldProduct, held_products, without_held
from training.history.recorded import (
    erased_since,
    expect_record_of,
    experiments_without_lists,
    recorded_by,
)
from training.job import Job
from training.judging import Judged, Reigning, Windows, decided, judge
from training.progress import Progress
from training.publishing import contents
from training.publishing.candidates import OwnHistory
from training.publishing.offer_lists import write_value
from training.publishing.people import write_people
from training.reports.findings import about_better

LIBRARIES = ("implicit", "lightgbm", "numpy", "polars", "scikit-learn", "scipy")


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
        BadRecordUrlError: this night isn't told of the record that the champion knew; --force goes on.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    budget = Budget(job.config.night.time_budget_s) if job.config.night.time_budget_s else None
    champion = _champion(job.store, progress)
    if champion is not None and not job.force:
        expect_record_of(champion.manifest, job.store, job.config.record)
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
    tell_history(history, progress, lost)
    notes = doubts(history, job.config.night.horizon_days, job.now if job.as_of is None else None)
    notes += experiments_without_lists(job.store, job.config.record, job.config.night.served)
    for doubt in notes:
        progress.say("doubt", why=doubt)
    windows: Windows = {}
    held = held_products(interactions, history.known_since_s, job.config.night.horizon_days)
    notes += [one.sentence(history.products["product_id"][one.product_row]) for one in held]
    learned = without_held(interactions, history.known_since_s, job.config.night.horizon_days, held)
    judged = judge(job, learned, champion, progress, windows, budget)
    figures = judged.session or job.config.session.figures
    progress.say("lists by day", **figures._asdict(), strangers=judged.counts._asdict())
    decision = _with_held(history, held, decided(job, history, judged, champion), progress)
    if judged.evaluation and (better := about_better(judged.evaluation, job.config.gate.min_customers)):
        progress.say("default is not the best", why=better)
        notes.append(better)
    for name, why in budget_notes(judged.models).items():
        progress.say("fewer windows", variant=name, why=why)
        notes.append(why)
    models = _fit_on_all(job, learned, judged, progress, windows)
    for name, why in fallback_notes(models).items():
        progress.say("fallback", variant=name, why=why)
        notes.append(why)
    windows.clear()  # the rankers know the mapping; nothing needs its arrays any more
    decision = _with_erasures(job, history, decision)
    manifest = _write(
        job,
        history,
        interactions,
        learned,
        models,
        figures,
        judged.counts,
        gate=decision,
        counts=counts,
        progress=progress,
    )
    progress.say("gate", decision=decision.decision, why=decision.why)
    outcome = Outcome(manifest, counts, lost, judged, notes)
    if decision.decision != "refused":
        job.store.promote(manifest.version_id, now=job.now, why=decision.why)
    return outcome


def _champion(store: Store, progress: Progress) -> Reigning | None:
    """The champion; a damaged one is as good as none, and the night is what mends it."""
    try:
        champion = store.champion()
        if champion is None:
            return None
        manifest = read_manifest(store.versions / champion.current.version_id)
        variant = champion.current.variant
        return Reigning(manifest, variant if variant in manifest.variants else manifest.default_variant)
    except NextbestError as err:
        progress.say("champion unreadable", why=str(err))
        return None


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
    interactions: Interactions,
    learned: Interactions,
    models: dict[str, Model[Any]],
    figures: SessionFigures,
    strangers: Counts,
    *,
    gate: GateEntry,
    counts: dict[str, int],
    progress: Progress,
) -> Manifest:
    """The version, whole and checked, under its name; not yet champion.

    Args:
        interactions: the whole history, which answers tell of.
        learned: what of it was learned from.
        figures: how far lists move by day.
        strangers: what makes the lists of customers whom the night didn't see.
        counts: as of `history_counts`.
    """
    with progress.step("write"):
        writer = job.store.writer()
        own = OwnHistory.of(history)
        contents.write_history(writer, history, interactions, own)
        for column in write_people(writer, history.customer_ids, history.customers, history.audiences):
            progress.say("column left out", column=column, why=f"more than {MAX_WORDS} different words")
        contents.write_shared(writer, models, interactions.catalogue.available_s)
        contents.write_due(writer, models, own)
        contents.write_taste(writer, models)
        contents.write_session(writer, figures, strangers)
        progress.detail("products that are alike, orders that follow another, offers")
        horizon_days = job.config.night.horizon_days
        content = content_of(models, learned, horizon_days)
        at_once(
            [
                lambda: write_value(writer, history, learned, job.config.value),
                lambda: contents.write_alike(writer, content, learned, horizon_days, history.sold_out),
                lambda: contents.write_follow_up(
                    writer, learned, history.category_row, len(history.categories), horizon_days
                ),
            ]
        )
        for name in job.config.night.served:
            contents.write_candidates(
                writer,
                name,
                models,
                own,
                k=job.config.night.candidates,
                sold_out=history.sold_out,
                on_step=progress.detail,
            )
        for name, model in models.items():
            writer.add_variant(
                name,
                model.state(),
                recipe=job.recipe_of(name),
                options=job.options_of(name),
                has_candidates=name in job.config.night.served,
            )
        return writer.finish(
            job.store.versions,
            created_at=job.now,
            as_of=history.as_of,
            horizon_days=horizon_days,
            default_variant=job.default_variant,
            history=contents.history_entry(history, counts),
            gate=gate,
            libraries={name: library_version(name) for name in LIBRARIES}
            | {"python": platform.python_version()},
        )
