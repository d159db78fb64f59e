"""What the arms of a customer ask for together, worked out once for all customers who have the same."""

import json
from dataclasses import dataclass, replace
from functools import lru_cache

from experiments.assignment import Arm, Entry
from service.web.parameters import Query

type Assigned = tuple[tuple[Entry, Arm], ...]


@dataclass(frozen=True, slots=True)
class Dealt:
    """The arms of a customer, each with its experiment; of two that say the same thing the first is heard.

    Attributes:
        assigned: in the order of the plan; empty for a customer who is in no experiment.
        model, objective, placement, rules: "" where no arm says one.
        drafting: the arm that deals two lists into one.
        exploring: the arm that fills a place by lot, where none drafts: an answer has one list.
        experiments: as an answer lists them, in JSON.
    """

    assigned: Assigned
    model: str
    objective: str
    placement: str
    rules: str
    drafting: tuple[Entry, Arm] | None
    exploring: tuple[Entry, Arm] | None
    experiments: str

    def asked(self, query: Query) -> Query:
        """A query as the arms change it."""
        spare = 0
        if self.exploring is not None and self.exploring[1].explore <= query.n:
            spare = self.exploring[1].explore_among - 1
        if not (self.objective or self.placement or self.rules or spare):
            return query
        return _changed(query, self.objective, self.placement, self.rules, spare)


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
        rules=next((arm.rules for arm in arms if arm.rules), ""),
        drafting=drafting,
        exploring=exploring if drafting is None else None,
        experiments=", ".join(
            json.dumps({"id": entry.experiment_id, "variant": arm.name}) for entry, arm in assigned
        ),
    )


@lru_cache(1000)
def _changed(query: Query, objective: str, placement: str, rule_set: str, spare: int) -> Query:
    return replace(
        query,
        objective=objective or query.objective,
        placement=placement or query.placement,
        rule_set=rule_set,
        spare=spare,
    )
