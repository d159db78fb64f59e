"""What one customer sees under the rules in force and would see under others, as `/recommend` tells it."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from service.answers import AnswerWriter
from service.live.told import Told
from service.parameters import Query
from service.rules.dry_run import Uncounted, dry_run
from service.rules.reading import Rules
from service.served import ServedVersion


def preview(
    served: ServedVersion,
    before: Rules,
    after: Rules,
    customer_id: str,
    query: Query,
    language: str,
    *,
    now_s: float,
    news_of: Callable[[str], Told | None],
) -> dict[str, Any]:
    """A dry run of one customer and query, with both lists: `before` and `after`.

    It is the champion's answer: experiments aren't looked at, nor what was shown before.

    Args:
        customer_id: one that nobody has gets what a stranger gets.
        now_s: Unix seconds at which both are tried.
        news_of: what is new of the customer.
    """
    found = dry_run(served, before, after, now_s=now_s, news_of=news_of, one=(customer_id, query))
    writer = AnswerWriter(served)

    def told(rules: Rules) -> Any:
        trial = Uncounted(rules, now_s, news_of)
        answer = trial.recommender.recommend(served, customer_id, query)
        offers = trial.offers.with_products(served, customer_id, answer, query.placement)
        return json.loads(writer.recommendations(customer_id, answer, offers=offers.texts, language=language))

    return asdict(found) | {"before": told(before), "after": told(after)}
