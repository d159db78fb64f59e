"""The race for an offer with a budget of ten, again and again, with more killed in between."""

from pathlib import Path

import pytest

from tests.data.offer_race import BUDGET, kill_redis, kill_worker, race_for_ten

pytestmark = pytest.mark.faults

ROUNDS, RACE_S = 3, 12.0


def test_never_more_is_promised_than_the_budget_has_however_often_workers_die(tmp_path: Path) -> None:
    won = []
    for number in range(ROUNDS):
        folder = tmp_path / str(number)
        folder.mkdir()
        won.append(race_for_ten(folder, RACE_S, [kill_worker, kill_redis, kill_worker, kill_redis]))
        assert 1 <= won[-1] <= BUDGET
    print(f"promised in {ROUNDS} races for {BUDGET}: {won}; none too many")
