"""Models that are made of others: their state holds their parts' states, each array under its part's name."""

from collections.abc import Iterable, Mapping
from typing import Any

from models.base import Model
from models.state import ModelState


def gathered(own: ModelState, parts: Mapping[str, Model[Any]]) -> ModelState:
    """The state of a model and of its parts as one."""
    arrays, facts = dict(own.arrays), dict(own.facts)
    for name, part in parts.items():
        state = part.state()
        arrays |= {f"{name}_{array}": value for array, value in state.arrays.items()}
        facts[name] = state.facts
    return ModelState(arrays, facts)


def parted(state: ModelState, parts: Iterable[type[Model[Any]]]) -> dict[str, Model[Any]]:
    """The parts that `gathered` put into a state, by name; of `parts` those that are in it."""
    found = {}
    for part in parts:
        if part.name in state.facts:
            prefix = f"{part.name}_"
            arrays = {n.removeprefix(prefix): a for n, a in state.arrays.items() if n.startswith(prefix)}
            found[part.name] = part.from_state(ModelState(arrays, state.facts[part.name]))
    return found
