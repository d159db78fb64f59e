"""What a fitted model leaves behind. A module of its own: storing it must not load what models learn with."""

from dataclasses import dataclass, field
from typing import Any

from models.arrays import AnyArray


@dataclass(frozen=True)
class ModelState:
    """All that a fitted model is: named arrays, and JSON for the rest. Never code.

    Attributes:
        arrays: name to array; names are [a-z_]+.
        facts: what JSON can hold; `options` among it, with the learned constants filled in.
    """

    arrays: dict[str, AnyArray]
    facts: dict[str, Any] = field(default_factory=dict)
