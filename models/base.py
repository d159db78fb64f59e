"""The contract of every model: fit on interactions, score customers, leave and return as plain arrays."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from models.arrays import AnyIntArray, FloatArray, IntArray
from models.errors import NotFittedError
from models.history.interactions import Interactions
from models.state import ModelState

BLOCK_CELLS = 16_000_000  # 64 MB of float32 scores at a time


class Told(NamedTuple):
    """What a model says of some customers.

    Attributes:
        rows: of the customers, shape (n,).
        products: product rows, shape (m,), rising; it has no opinion on others.
        scores: shape (n, m), as of `Model.score`.
        probability: of a purchase within the horizon, shape (n, m), float32, NaN where scores are; None from
            a model whose scores say nothing of probabilities.
    """

    rows: IntArray
    products: AnyIntArray
    scores: FloatArray
    probability: FloatArray | None


class Model[Options](ABC):
    """A recipe that can be fitted. The shared suite in tests/contract runs over every registered subclass.

    Attributes:
        name: of the variant.
        is_for_new_only: it lists nothing that the customer ever bought.
        revision: raised when the code learns something else from the same history; part of the recipe.
        options_type: a frozen dataclass; None in a field means "learned from the history at hand".
        learnt: names of the arrays that make up the fitted model; each ends in `_`.
        options_: after fit, the options with what was learned filled in; a fit with them learns nothing anew.
        n_products_: after fit, how many columns a score has.
    """

    name: ClassVar[str]
    is_for_new_only: ClassVar[bool] = False
    revision: ClassVar[int] = 1
    options_type: ClassVar[type]
    learnt: ClassVar[tuple[str, ...]] = ()

    options_: Options
    n_products_: int

    def __init__(self, options: Options | None = None) -> None:
        self.options: Options = self.options_type() if options is None else options

    @abstractmethod
    def fit(self, interactions: Interactions) -> Self:
        """Learn from the whole of `interactions`; fitting again forgets what was learned before."""

    @abstractmethod
    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """Scores of products for the given customers.

        Args:
            rows: customer rows, shape (n,), int32, each < n_customers.
            products: product rows, rising: score these alone, which is cheaper; None for all.
        Returns:
            shape (n, n_products), or (n, len(products)); float32, higher is better; NaN where the model has
            no opinion. A fresh array, which the caller may change.
        Raises:
            NotFittedError: before fit().
        """

    def opinions(self, rows: IntArray) -> Iterator[Told]:
        """Scores and probabilities of customers, whose rows rise, a block of them at a time."""
        for block in blocks(rows, self.n_products_):
            yield Told(block, np.arange(self.n_products_), self.score(block), None)

    def state(self) -> ModelState:
        """Everything that `from_state` needs to score the same.

        Raises:
            NotFittedError: before fit().
        """
        self.check_fitted()
        arrays = {name.rstrip("_"): getattr(self, name) for name in self.learnt}
        facts = {"options": as_facts(self.options_), "n_products": self.n_products_}
        return ModelState(arrays, facts)

    @classmethod
    def from_state(cls, state: ModelState) -> Self:
        """The model that left this state; it scores to the bit as the one that left it."""
        model = cls(from_facts(cls.options_type, state.facts["options"]))
        model.options_ = model.options
        model.n_products_ = state.facts["n_products"]
        for name in cls.learnt:
            setattr(model, name, state.arrays[name.rstrip("_")])
        return model

    def check_fitted(self) -> None:
        """Raises: NotFittedError, before fit()."""
        if not hasattr(self, "options_"):
            raise NotFittedError(self.name)


def blocks(rows: IntArray, n_products: int) -> list[IntArray]:
    """Rows cut so that one block's scores stay within BLOCK_CELLS."""
    size = max(1, BLOCK_CELLS // max(1, n_products))
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def as_facts(options: Any) -> dict[str, Any]:
    """Options as JSON has them: a tuple is a list there, also in options of parts."""
    return {name: _plain(value) for name, value in asdict(options).items()}


def from_facts[Options](options_type: type[Options], facts: Mapping[str, Any]) -> Options:
    """The options that `as_facts` made JSON of."""
    values: dict[str, Any] = {}
    for name, value in facts.items():
        if isinstance(value, dict):
            values[name] = from_facts(type(getattr(options_type(), name)), value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return options_type(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value


def learned(constant: float | None) -> float:
    """A constant of `options_`, which by then has a value."""
    assert constant is not None
    return constant
