"""Fit, measure and keep: one file for each (split, cut, entrant), so that a run that was cut off goes on."""

import gc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from time import process_time, thread_time
from typing import Any

import numpy as np

from models.arrays import DoubleArray, IntArray
from models.base import Model, Told
from models.registry import VARIANTS
from tests.benchmarks import quality_peers, quality_rectools
from tests.benchmarks.quality_exchange import Outsider
from tests.benchmarks.quality_memory import peak, reset_peak_mb
from tests.benchmarks.quality_peers import Asked, Contestant
from tests.benchmarks.quality_questions import Question, Split
from training.evaluation.metrics import per_customer
from training.evaluation.one_fold import evaluate_fold
from training.fitting import fit_variants, recipe_of


@dataclass(frozen=True)
class Entrant:
    """One row of the tables.

    Attributes:
        name: a variant's, or that of a peer.
        title: in the tables.
        is_ours: a registered variant, with its defaults.
        recipe: of what it does; with another one it is measured anew.
        peer: where it isn't ours.
    """

    name: str
    title: str
    is_ours: bool
    recipe: str
    peer: Contestant | None = None


@dataclass(frozen=True)
class Cost:
    """What one fit and the lists of all asked customers took.

    Attributes:
        fit_s, score_s: processor time, so that others' work on the machine doesn't count; the search for a
            peer's settings isn't in it, ours choose within fit.
        peak_mb: the highest resident memory beyond what was held before, None where Linux doesn't tell.
    """

    fit_s: float
    score_s: float
    peak_mb: float | None


class Timed:
    """A fitted model that counts the processor time of its opinions, but for what is made of them.

    Threads may work on the next ones meanwhile.
    """

    def __init__(self, model: Model[Any] | Asked) -> None:
        self._model, self.score_s = model, 0.0

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        started, others_s = process_time(), 0.0
        for told in self._model.opinions(rows):
            made = thread_time()
            yield told
            others_s += thread_time() - made
        self.score_s += process_time() - started - others_s


@dataclass(frozen=True, eq=False)
class Part:
    """What was measured of one entrant on one cut.

    Attributes:
        figures: "target/metric" to shape (m,), one value per customer.
        customers: target to shape (m,), whose they are.
    """

    figures: dict[str, DoubleArray]
    customers: dict[str, Any]
    cost: Cost
    settings: dict[str, Any]


def entrants() -> list[Entrant]:
    """Every registered variant, and every peer."""
    ours = [Entrant(name, f"`{name}`", True, recipe_of(name, {})) for name in VARIANTS]
    peers = [*quality_peers.CONTESTANTS, *quality_rectools.CONTESTANTS]
    theirs = [Entrant(peer.name, peer.title, False, _recipe(peer), peer) for peer in peers]
    return [*ours, *theirs]


def run(
    split: Split, folder: Path, wanted: Sequence[Entrant], *, again: bool, say: Callable[[str], None]
) -> None:
    """Measure what isn't there yet.

    Args:
        folder: parts are kept below it.
        again: measure all of `wanted` anew.
        say: is told what was done.
    """
    for entrant in wanted:
        missing = [q for q in split.tests if again or not is_kept(folder, split, q, entrant)]
        if not missing:
            continue
        settings = entrant.peer.chosen(split.earlier) if entrant.peer else {}
        for question in missing:
            part = measure(split, question, entrant, settings)
            keep(folder, split, question, entrant, part)
            main = part.figures[split.main.key].mean()
            cost = part.cost
            say(
                f"{split.name} {question.name} {entrant.name}: {split.main.title} {main:.4f}, "
                f"fit {cost.fit_s:.1f} s, scores {cost.score_s:.1f} s, {cost.peak_mb or 0:.0f} MB"
            )


def measure(split: Split, question: Question, entrant: Entrant, settings: Mapping[str, Any]) -> Part:
    """Fit one entrant on one history and measure its lists."""
    if isinstance(entrant.peer, Outsider):
        return measure_outsider(split, question, entrant.peer, settings)
    history, fill = question.history, question.popular
    gc.collect()
    before_mb = reset_peak_mb()
    started = process_time()
    model: Model[Any] | Asked
    if entrant.peer:
        model, used = Asked(entrant.peer.make(settings).fit(history)), dict(settings)
    else:
        fitted = fit_variants(history, {entrant.name: {}}, horizon_days=question.fold.horizon_days)[0]
        model, used = fitted[entrant.name], asdict(fitted[entrant.name].options_)
    fit_s = process_time() - started
    timed = Timed(model)
    result = evaluate_fold(question.interactions, question.fold, {entrant.name: timed}, fill=fill)  # type: ignore[dict-item]
    peak_mb = None if before_mb is None else max(0.0, peak() - before_mb)
    return Part(
        figures={
            column.key: result.per_customer(entrant.name, column.metric, column.target)
            for column in split.columns
        },
        customers={target: scores.customer_row for target, scores in result.targets.items()},
        cost=Cost(fit_s, timed.score_s, peak_mb),
        settings=used,
    )


def measure_outsider(split: Split, question: Question, peer: Outsider, settings: Mapping[str, Any]) -> Part:
    """The same of a peer whose lists come from another process."""
    truth = question.truth.targets
    customers = truth["all"].customer_row
    lists = peer.make(settings).lists(question, customers)
    new = lists.new[np.searchsorted(customers, truth["new"].customer_row)]
    shown = {"all": lists.every, "next_order": lists.every, "new": new}
    figures = {target: per_customer(shown[target], part.products) for target, part in truth.items()}
    return Part(
        figures={column.key: figures[column.target][column.metric] for column in split.columns},
        customers={target: part.customer_row for target, part in truth.items()},
        cost=Cost(lists.fit_s, lists.lists_s, lists.peak_mb),
        settings=dict(settings),
    )


def keep(folder: Path, split: Split, question: Question, entrant: Entrant, part: Part) -> None:
    """Write a part; the JSON comes last, and without it the part isn't there."""
    path = _path(folder, split, question, entrant)
    path.parent.mkdir(parents=True, exist_ok=True)
    customers = {f"customers/{target}": rows for target, rows in part.customers.items()}
    arrays: dict[str, Any] = {**part.figures, **customers}
    np.savez(path.with_suffix(".npz"), **arrays)
    facts = {
        "recipe": entrant.recipe,
        "question": _asked(split, question, entrant),
        "cost": asdict(part.cost),
        "settings": part.settings,
    }
    path.with_suffix(".json").write_text(json.dumps(facts, indent=1, sort_keys=True, default=float) + "\n")


def kept(folder: Path, split: Split, question: Question, entrant: Entrant) -> Part:
    """A part that is there."""
    path = _path(folder, split, question, entrant)
    facts = json.loads(path.with_suffix(".json").read_text())
    with np.load(path.with_suffix(".npz"), allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    customers = {
        name.removeprefix("customers/"): held.pop(name)
        for name in list(held)
        if name.startswith("customers/")
    }
    return Part(held, customers, Cost(**facts["cost"]), facts["settings"])


def is_kept(folder: Path, split: Split, question: Question, entrant: Entrant) -> bool:
    """Whether the part is there, of this recipe and this question."""
    path = _path(folder, split, question, entrant).with_suffix(".json")
    if not path.exists():
        return False
    facts = json.loads(path.read_text())
    same_recipe: bool = facts["recipe"] == entrant.recipe
    same_question: bool = facts["question"] == _asked(split, question, entrant)
    return same_recipe and same_question


def _path(folder: Path, split: Split, question: Question, entrant: Entrant) -> Path:
    return folder / split.name / question.name / entrant.name


def _asked(split: Split, question: Question, entrant: Entrant) -> list[Any]:
    """What the figures depend on, beside the recipe."""
    cuts = [question, *(split.earlier[-entrant.peer.n_cuts :] if entrant.peer else [])]
    folds = [[cut.fold.as_of_s, cut.fold.horizon_days] for cut in cuts]
    return [folds, len(question.interactions), [column.key for column in split.columns]]


def _recipe(peer: Contestant) -> str:
    return sha256(json.dumps([peer.name, list(peer.grid)], sort_keys=True).encode()).hexdigest()[:16]
