"""What the arms of a customer ask for together, worked out once for all customers who have the same."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from experiments.assignment import Arm, Entry
from service.parameters import Query

type Assigned = tuple[tuple[Entry, Arm], ...]


@dataclass(frozen=True, slots=True)
class Dealt:
    """The arms of a customer, each with its experiment; of two that say the same thing the first is heard.

    Attributes:
        assigned: in the order of the plan; empty for a customer who is in no experiment.
        model, objective, placement: "" where no arm says one.
        drafting: the arm that deals two lists into one.
        exploring: the arm that fills a place by lot, where none drafts: an answer has one list.
        told: the experiments as an answer lists them.
    """

    assigned: Assigned
    model: str
    objective: str
    placement: str
    drafting: tuple[Entry, Arm] | None
    exploring: tuple[Entry, Arm] | None
    told: str

    def asked(self, query: Query) -> Query:
        """A query as the arms change it."""
        spare = 0
        if self.exploring is not None and self.exploring[1].explore <= query.n:
            spare = self.exploring[1].explore_among - 1
        if not (self.objective or self.placement or spare):
            return query
        return _changed(query, self.objective or query.objective, self.placement or query.placement, spare)


@lru_cache(1000)
def dealt(assigned: Assigned) -> Dealt:
    """What these arms ask for."""
    arms = [arm for _, arm in assigned]
    drafting = next((one for one in assigned if one[1].interleave), None)
    exploring = next((one for one in assigned if one[1].explore), None)
    return Dealt(
        assigned,
        model=next((arm.model for arm in arms if arm.model), ""),
        objective=next((arm.objective for arm in arms if arm.objective), ""),
        placement=next((arm.placement for arm in arms if arm.placement), ""),
        drafting=drafting,
        exploring=exploring if drafting is None else None,
        told=", ".join(
            json.dumps({"id": entry.experiment_id, "variant": arm.name}) for entry, arm in assigned
        ),
    )


@lru_cache(1000)
def _changed(query: Query, objective: str, placement: str | None, spare: int) -> Query:
    return replace(query, objective=objective, placement=placement, spare=spare)
