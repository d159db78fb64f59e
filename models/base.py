"""The contract of every model: fit on interactions, score customers, leave and return as plain arrays."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from models.arrays import AnyArray, FloatArray, IntArray
from models.interactions import Interactions

type Scalar = str | int | float | bool | None | list[Any] | dict[str, Any]


@dataclass(frozen=True)
class ModelState:
    """All that a fitted model is: named arrays, and JSON for the rest. Never code.

    Attributes:
        arrays: name to array; names are [a-z_]+.
        facts: what JSON can hold: options, learned constants.
    """

    arrays: dict[str, AnyArray]
    facts: dict[str, Scalar] = field(default_factory=dict)


class Model(ABC):
    """A recipe that can be fitted. The shared suite in tests/contract runs over every subclass that is registered."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, interactions: Interactions) -> Self:
        """Learn from the whole of `interactions`; fitting again forgets what was learned before."""

    @abstractmethod
    def score(self, rows: IntArray) -> FloatArray:
        """Scores of every product for the given customers.

        Args:
            rows: customer rows, shape (n,), int32, each < n_customers.
        Returns:
            shape (n, n_products), float32, higher is better; NaN where the model has no opinion.
            A fresh array, which the caller may change.
        Raises:
            NotFittedError: before fit().
        """

    @abstractmethod
    def state(self) -> ModelState:
        """Everything that `from_state` needs to score the same."""

    @classmethod
    @abstractmethod
    def from_state(cls, state: ModelState) -> Self:
        """The model that left this state; it scores to the bit as the one that left it."""
