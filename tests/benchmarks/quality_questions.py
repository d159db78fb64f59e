"""What is asked of every model: a history cut at one moment, and what counts as right after it."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from models.arrays import IntArray
from models.history.interactions import Interactions
from models.popular import Popular, PopularOptions
from training.evaluation.folds import Fold, Target, Truth, split


@dataclass(frozen=True, eq=False)
class Question:
    """One cut.

    Attributes:
        name: short, such as the day of the cut; a file is called after it.
        interactions: the purchases before the cut and those that are to be predicted.
        fold: where the cut is, and how far the models are to look ahead.
    """

    name: str
    interactions: Interactions
    fold: Fold

    @cached_property
    def _parts(self) -> tuple[Interactions, Truth]:
        return split(self.interactions, self.fold)

    @property
    def history(self) -> Interactions:
        """What the models are fitted on."""
        return self._parts[0]

    @property
    def truth(self) -> Truth:
        """What they are judged by."""
        return self._parts[1]

    @cached_property
    def popular(self) -> IntArray:
        """Product rows, most popular before the cut first: every model's list is filled up with them."""
        options = PopularOptions(horizon_days=float(self.fold.horizon_days))
        return Popular(options).fit(self.history).order()

    def sample(self, one_in: int) -> "Question":
        """The same with one in so many customers; the others are not there at all."""
        chosen = np.random.default_rng(0).random(self.interactions.n_customers) < 1 / one_in
        return replace(self, interactions=self.interactions.only(chosen[self.interactions.customer_row]))


@dataclass(frozen=True)
class Column:
    """One column of a table: a figure of `training.evaluation.metrics` for one kind of truth."""

    title: str
    target: Target
    metric: str

    @property
    def key(self) -> str:
        return f"{self.target}/{self.metric}"


@dataclass(frozen=True, eq=False)
class Split:
    """A protocol on one data set.

    Attributes:
        name: as in `--only`.
        tests: what the table is about, oldest first.
        earlier: cuts before every test, where the models that do not choose their own settings get theirs.
        columns: of the table.
        main: the column by which models are compared with `reference`, pair by pair.
        reference: the contestant to beat.
        sizes: customers, products and purchases of the data.
    """

    name: str
    tests: list[Question]
    earlier: list[Question]
    columns: tuple[Column, ...]
    main: Column
    reference: str
    sizes: dict[str, int]

    def sample(self, one_in: int, *, n_tests: int) -> "Split":
        """A small one of the same kind, for trying: the last tests, with one in so many customers."""
        return replace(
            self,
            tests=[question.sample(one_in) for question in self.tests[-n_tests:]],
            earlier=[question.sample(one_in) for question in self.earlier[-1:]],
        )
