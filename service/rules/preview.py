"""What one customer sees under the rules in force and would see under others, as `/recommend` tells it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from service.answering.answers import AnswerWriter
from service.live.told import Told
from service.rules.dry_run import Uncounted, dry_run
from service.rules.reading import Rules
from service.versions.served import ServedVersion
from service.web.parameters import Query


@dataclass(frozen=True, slots=True)
class OneCustomer:
    """Whose list is asked for, empty for a stranger's; how, and in which language."""

    customer_id: str
    query: Query
    language: str


def preview(
    served: ServedVersion,
    before: Rules,
    after: Rules,
    one: OneCustomer,
    *,
    now_s: float,
    news_of: Callable[[str], Told | None],
) -> dict[str, Any]:
    """A dry run of one customer and query, with both lists: `before` and `after`.

    It is the champion's answer: experiments aren't looked at, nor what was shown before.

    Args:
        one: with an id that nobody has they get what a stranger gets.
        now_s: Unix seconds at which both are tried.
        news_of: what is new of the customer.
    """
    found = dry_run(served, before, after, now_s=now_s, news_of=news_of, one=(one.customer_id, one.query))
    writer = AnswerWriter(served)

    def listed(rules: Rules) -> Any:
        trial = Uncounted(rules, now_s, news_of)
        answer = trial.recommender.recommend(served, one.customer_id, one.query)
        offers = trial.offers.with_products(served, one.customer_id, answer, one.query.placement)
        return json.loads(
            writer.recommendations(one.customer_id, answer, offers=offers.texts, language=one.language)
        )

    return asdict(found) | {"before": listed(before), "after": listed(after)}
