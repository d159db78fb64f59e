"""A peer that can't live in this environment: its lists come from another process, by files of arrays."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, IntArray
from models.history.interactions import Interactions
from models.numerics.decay import decay
from models.validation.first_purchases import first_purchases
from tests.benchmarks.quality_peers import PEER_HALF_LIFE_DAYS, Contestant, Settings
from tests.benchmarks.quality_questions import Question
from training.evaluation.metrics import KS
from training.ranking import filled

RECTOOLS = (".nextbest/bench/rectools-venv/bin/python", "-m", "tests.benchmarks.rectools_lists")
LIMIT_S = 900.0  # of one process: a stuck one ends the run, slow ones don't


@dataclass(frozen=True, eq=False)
class Lists:
    """What customers would see, and what it cost.

    Attributes:
        every: shape (n, max(KS)), product rows, filled up with popular ones.
        new: the same without what the customer bought before.
        fit_s, lists_s: processor time of the other process, after it had started and read the purchases.
        peak_mb: its highest resident memory beyond what it held then; None where Linux doesn't tell.
    """

    every: IntArray
    new: IntArray
    fit_s: float
    lists_s: float
    peak_mb: float | None


@dataclass(frozen=True)
class Elsewhere:
    """A model in a process of its own.

    Attributes:
        model: its configuration, as the process understands it.
        weights: "counts" of orders, the same "decayed" by PEER_HALF_LIFE_DAYS, or "binary".
        most_bought: so many products take part, None for all.
        knows_categories: it gets the products' categories too.
        corrects_ease: see `rectools_lists`.
        command: what is started, with `model` and the names of the two files behind it.
    """

    model: Settings
    weights: str = "counts"
    most_bought: int | None = None
    knows_categories: bool = False
    corrects_ease: bool = False
    command: Sequence[str] = RECTOOLS

    def lists(self, question: Question, rows: IntArray) -> Lists:
        """The lists of these customers, `rows` rising.

        Raises:
            SystemExit: the environment is missing, or the process failed.
        """
        with TemporaryDirectory() as folder:
            asked, answer = Path(folder) / "asked.npz", Path(folder) / "lists.npz"
            np.savez(asked, **self.sent(question.history), asked=rows, k=max(KS))
            self._run(asked, answer)
            with np.load(answer, allow_pickle=False) as arrays:
                found = {name: arrays[name] for name in arrays.files}
        peak_mb = float(found["peak_mb"])
        return Lists(
            every=filled_up(found["every"], rows, question.popular),
            new=filled_up(found["new"], rows, question.popular, question.history.matrix()),
            fit_s=float(found["fit_s"]),
            lists_s=float(found["lists_s"]),
            peak_mb=None if np.isnan(peak_mb) else peak_mb,
        )

    def sent(self, history: Interactions) -> dict[str, Any]:
        """The arrays that the model is to learn from; see `rectools_lists.answered`."""
        if self.most_bought is not None:
            history = history.only(most_bought(history, self.most_bought)[history.product_row])
        if self.weights == "binary":
            history = first_purchases(history)
        ones = np.ones(len(history), np.float32)
        is_decayed = self.weights == "decayed"
        arrays: dict[str, Any] = {
            "customer_row": history.customer_row,
            "product_row": history.product_row,
            "at_s": history.at_s,
            "weight": decay(history.age_days, PEER_HALF_LIFE_DAYS) if is_decayed else ones,
        }
        if self.knows_categories:
            arrays["category_row"] = history.catalogue.category_row
        if self.corrects_ease:
            arrays["corrects_ease"] = True
        return arrays

    def _run(self, asked: Path, answer: Path) -> None:
        python = self.command[0]
        if not Path(python).exists():
            raise SystemExit(f"{python} is missing: make bench-quality makes that environment")
        model = json.dumps(self.model)
        ended = subprocess.run([*self.command, model, str(asked), str(answer)], check=False, timeout=LIMIT_S)
        if ended.returncode:
            raise SystemExit(f"{python} ended with exit code {ended.returncode} on {model}: see above")


@dataclass(frozen=True)
class Outsider(Contestant):
    """A peer whose `make` gives an `Elsewhere`."""

    def best(self, settings: Settings, question: Question, rows: IntArray) -> IntArray:
        """See Contestant."""
        found: IntArray = self.make(settings).lists(question, rows).every
        return found[:, :10]


def most_bought(history: Interactions, n: int) -> BoolArray:
    """Whether a product is among the n in most orders, ties by product row; shape (n_products,), bool."""
    orders = np.bincount(history.product_row, minlength=history.n_products)
    takes_part = np.zeros(history.n_products, np.bool_)
    takes_part[np.argsort(-orders, kind="stable")[:n]] = True
    return takes_part


def filled_up(
    lists: IntArray, rows: IntArray, fill: IntArray, owned: sparse.csr_array | None = None
) -> IntArray:
    """Lists that are too short go on with popular products, of which `owned` ones are left out."""
    whole = lists.copy()
    for place in np.flatnonzero(lists[:, -1] < 0):
        mine = owned[[rows[place]]].indices if owned is not None else np.empty(0, np.int32)
        whole[place] = filled(lists[place], fill, mine)
    return whole
