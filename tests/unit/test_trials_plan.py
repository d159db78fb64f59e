"""A worker follows what the record says of experiments, and begins what is scheduled by its own clock."""

from collections.abc import Callable
from pathlib import Path

import pytest

from service.errors import RefusedError
from service.record import NOT_READ
from service.trials.plan import PlanFollower
from storage.record.experiments import NewExperiment, State, change_state, start_experiment
from storage.record.record import Record
from tests.data.records import NOON_MS, Door, empty_record, sqlite_url

SPEC = '[[variants]]\nname = "control"\nweight = 1.0\n'


class Away(Door):
    """A record that may be down."""

    is_away = False

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        if self.is_away:
            raise RefusedError("record_unavailable", "record", "it is away")
        return super().do(work)


def test_a_scheduled_experiment_begins_at_its_moment_whether_or_not_the_record_is_there(
    tmp_path: Path,
) -> None:
    now_s = NOON_MS / 1000
    with empty_record(sqlite_url(tmp_path)) as record:
        door = Away(record)
        follower = PlanFollower(door, clock=lambda: now_s)

        def runs() -> list[str]:
            follower.look()
            return [entry.experiment_id for entry in follower.current.entries]

        assert runs() == []
        with record.writing() as connection:
            for name, layer, starts_ms in (("now", "a", 0), ("later", "b", NOON_MS + 5000)):
                new = NewExperiment(name, 1, SPEC, "hash", layer, 1.0, starts_ms)
                start_experiment(connection, new, now_ms=NOON_MS, client="op")
        assert runs() == ["now"]
        now_s += 4.9
        assert runs() == ["now"]
        now_s += 0.1
        door.is_away = True
        with pytest.raises(RefusedError):
            runs()
        assert [entry.experiment_id for entry in follower.current.entries] == ["now", "later"]
        door.is_away = False
        with record.writing() as connection:
            change_state(connection, "now", State.STOPPED, now_ms=NOON_MS + 6000, client="op")
        assert runs() == ["later"]
