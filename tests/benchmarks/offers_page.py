"""The part of docs/benchmarks.md about coupons: a table, and the protocol in words."""

from textwrap import fill

from tests.benchmarks.offers_scores import Row, Summary
from training.evaluation.bootstrap import Interval

TITLES = {
    "random": "random",
    "popularity": "share of customers who bought its products in 84 days",
    "own": "own decayed affinity (half-life 90 days)",
    "own_and_habit": "own affinity x coupon habit",
    "redemption": "`redemption`",
}


def page(found: Summary) -> str:
    """All of the part, without its marks."""
    about = (
        f"`make bench-offers`, Complete Journey. Asked: the {len(found.campaigns)} campaigns that start in "
        f"the period ({', '.join(found.campaigns)}), each at its start, by a model fitted on nothing "
        "later: purchases, campaigns and redemptions before that moment. Candidates are all coupons of the "
        f"campaign for every household that it was sent to ({found.households:,} households of campaigns, "
        f"{found.pairs:,} pairs), relevant is what was redeemed ({found.redemptions:,} pairs). AUC is over "
        f"all pairs, NDCG@10 over the {found.with_redemption} households of campaigns with a redemption. "
        "Intervals are 95 %, from households drawn with replacement; gains are paired, over own affinity. "
        "The discount is not used: in this data it is known only for coupons that were redeemed."
    )
    head = ("| | AUC | gain | NDCG@10 | gain |\n|---|---|---|---|---|", *(_line(row) for row in found.rows))
    chance = (
        f"Probabilities: {found.expected:,.0f} redemptions were expected and {found.redemptions:,} seen. "
        f"Pairs by probability, in bands that expect about as many redemptions each:"
    )
    bands = (
        "| probability up to | mean | redeemed | pairs |\n|---|---|---|---|",
        *(f"| {high:.4f} | {mean:.4f} | {seen:.4f} | {n:,} |" for high, mean, seen, n in found.bands),
    )
    parts = (fill(about, 118), "\n".join(head), fill(chance, 118), "\n".join(bands))
    return "\n\n".join(parts)


def _line(row: Row) -> str:
    cells = (_told(row.auc), _gain(row.auc_gain), _told(row.ndcg), _gain(row.ndcg_gain))
    return f"| {TITLES[row.name]} | {' | '.join(cells)} |"


def _told(interval: Interval) -> str:
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _gain(interval: Interval) -> str:
    if not interval.mean and not interval.low:
        return ""
    return f"{interval.mean:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
