"""Twenty clients race for an offer with a budget of ten; Redis is killed, then a worker: at most ten win."""

from pathlib import Path

from tests.data.offer_race import BUDGET, kill_redis, kill_worker, race_for_ten


def test_never_more_is_promised_than_the_budget_has(tmp_path: Path) -> None:
    assert 1 <= race_for_ten(tmp_path, 8.0, [kill_redis, kill_worker, lambda _: None]) <= BUDGET
