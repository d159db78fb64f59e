"""The short form of the gates: a hundred made-up experiments from written logs, looked at daily.

Not fewer: with the true figures of docs/experiments.md one gate or other fails by chance for one set of
seeds in 340, with sixty runs for one in 24. To widen the bounds instead would let faults through.
"""

import pytest

from tests.benchmarks.experiment_gates import gates, run, tasks
from tests.data.shop_logs import Truth

NAMES = (
    *("crossings, nothing differs", "careless daily z", "impressions as independent"),
    *(f"coverage of {metric}" for metric in ("revenue_per_customer", "ctr", "nps", "ces")),
    *("better: SHIP", "worse: ROLLBACK"),
)


@pytest.fixture(scope="module")
def held() -> dict[str, bool]:
    """Which gates hold, with wide bounds: few runs of a small shop, with a large effect if any."""
    results = [run(task) for task in tasks(100, 10, Truth(customers=2800), lift=1.0)]
    return {gate.name: gate.holds for gate in gates(results, wide=0.06)}


@pytest.mark.parametrize("name", NAMES)
def test_the_judge_keeps_its_promises_and_the_careless_do_not(held: dict[str, bool], name: str) -> None:
    assert held[name]
    assert set(held) == set(NAMES)
