"""Experiments in the record, on SQLite and on a real Postgres: what runs, where, and who was shown what."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.logs.frames import EXPOSURES, OUTCOMES
from storage.record.changes import clock_now
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure import erase
from storage.record.events import EventType, Sending
from storage.record.experiments import (
    ExperimentConflictError,
    NewExperiment,
    RecordedExperiment,
    State,
    change_state,
    find_experiment,
    keep_looks,
    list_experiments,
    looks_of,
    running,
    set_holdout,
    start_experiment,
)
from storage.record.exposure_log import read_exposures, read_lost, read_outcomes
from storage.record.exposures import Exposure, Lost, write_exposures, write_lost
from storage.record.holdings import holdings_of
from storage.record.record import Record
from storage.record.tables import audit, experiments
from storage.record.upkeep import expire
from tests.data.records import KEY, NOON_MS, empty_record, event, rows, sqlite_url, take

A = NewExperiment("a", 1, "text", "hash-a-1", "recommend", 0.5)


def start(record: Record, new: NewExperiment = A, now_ms: int = NOON_MS) -> RecordedExperiment:
    with record.writing() as connection:
        return start_experiment(connection, new, now_ms=now_ms, client="op")


def change(record: Record, state: State, experiment_id: str = "a") -> RecordedExperiment:
    with record.writing() as connection:
        return change_state(connection, experiment_id, state, now_ms=NOON_MS + 9, client="op")


def runs(record: Record) -> list[tuple[str, int, str]]:
    with record.reading() as connection:
        return [(one.experiment_id, one.version, one.state.value) for one in running(connection).experiments]


def test_an_experiment_is_started_paused_goes_on_and_ends(record: Record) -> None:
    started = start(record)
    assert (started.slot_start, started.state, started.ended_ms) == (0.0, State.RUNNING, None)
    assert start(record, now_ms=NOON_MS + 1) == started
    assert change(record, State.PAUSED).state is State.PAUSED
    assert runs(record) == [("a", 1, "paused")]
    assert start(record) == started
    ended = change(record, State.SHIPPED)
    assert (ended.state, ended.ended_ms) == (State.SHIPPED, NOON_MS + 9)
    assert runs(record) == []
    with pytest.raises(ExperimentConflictError, match="was shipped already"):
        start(record)
    with pytest.raises(ExperimentConflictError, match="was shipped already"):
        change(record, State.STOPPED)
    told = [what for (what,) in rows(record, audit, "what")]
    assert told == [*("experiment started", "experiment paused", "experiment goes on", "experiment shipped")]


def test_what_was_never_started_is_not_changed_and_it_is_told_where_to_look(record: Record) -> None:
    with pytest.raises(ExperimentConflictError, match="a: there is none of this name: `nbo-experiment list`"):
        change(record, State.PAUSED)
    assert rows(record, audit, "what") == []


def test_what_starts_later_keeps_its_slot_and_is_scheduled_until_then(record: Record) -> None:
    later = NOON_MS + 1000
    ahead = start(record, replace(A, starts_ms=later))
    assert (ahead.started_ms, ahead.state) == (later, State.RUNNING)
    assert [ahead.is_scheduled(at_ms) for at_ms in (NOON_MS, later - 1, later)] == [True, True, False]
    assert start(record, NewExperiment("b", 1, "", "b", "recommend", 0.5)).slot_start == 0.5
    assert not change(record, State.PAUSED).is_scheduled(NOON_MS)
    assert start(record) == ahead
    assert (
        start(record, NewExperiment("c", 1, "", "c", "mail", 1.0, starts_ms=NOON_MS - 5)).started_ms
        == NOON_MS
    )


def test_a_stopped_experiment_may_be_shipped_and_an_end_is_told_once(record: Record) -> None:
    start(record)
    stopped = change(record, State.STOPPED)
    assert change(record, State.STOPPED) == stopped
    with pytest.raises(ExperimentConflictError, match="was stopped already"):
        change(record, State.PAUSED)
    with record.writing() as connection:
        shipped = change_state(
            connection, "a", State.SHIPPED, now_ms=NOON_MS + 20, client="op", variant="new"
        )
    assert (shipped.state, shipped.ended_ms) == (State.SHIPPED, stopped.ended_ms)
    told = [(what, json.loads(str(detail))) for what, detail in rows(record, audit, "what", "detail")]
    assert [what for what, _ in told] == ["experiment started", "experiment stopped", "experiment shipped"]
    assert told[-1][1] == {"experiment": "a", "version": 1, "variant": "new"}


def test_a_changed_specification_is_refused_and_a_new_version_waits_for_the_old_one_to_end(
    record: Record,
) -> None:
    start(record)
    with pytest.raises(ExperimentConflictError, match="a changed file is a new version"):
        start(record, replace(A, spec_hash="other"))
    second = replace(A, version=2, spec_hash="hash-a-2")
    with pytest.raises(ExperimentConflictError, match="stop that one first"):
        start(record, second)
    change(record, State.STOPPED)
    start(record, second)
    with pytest.raises(ExperimentConflictError, match="was stopped already"):
        start(record)
    with record.reading() as connection:
        assert [(one.version, one.state.value) for one in list_experiments(connection)] == [
            (2, "running"),
            (1, "stopped"),
        ]
        found = find_experiment(connection, "a")
        assert found is not None
        assert found.version == 2
        assert find_experiment(connection, "none") is None


def test_a_layer_is_shared_without_overlap_and_a_slot_is_free_again(record: Record) -> None:
    start(record)
    b = start(record, NewExperiment("b", 1, "", "b", "recommend", 0.3))
    assert b.slot_start == 0.5
    other = start(record, NewExperiment("other", 1, "", "o", "mail", 1.0))
    assert other.slot_start == 0.0
    with pytest.raises(ExperimentConflictError, match=r"0\.2 of its customers left"):
        start(record, NewExperiment("c", 1, "", "c", "recommend", 0.4))
    change(record, State.STOPPED)
    assert start(record, NewExperiment("c", 1, "", "c", "recommend", 0.4)).slot_start == 0.0


@given(widths=st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.3, 0.5, 1 / 3]), max_size=8))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slots_never_overlap(tmp_path_factory: pytest.TempPathFactory, widths: list[float]) -> None:
    with empty_record(sqlite_url(tmp_path_factory.mktemp("slots"))) as record:
        slots = []
        for number, width in enumerate(widths):
            try:
                one = start(record, NewExperiment(str(number), 1, "", str(number), "l", width))
            except ExperimentConflictError:
                continue
            slots.append((one.slot_start, one.slot_start + one.slot_width))
        slots.sort()
        assert all(end <= begin + 1e-9 for (_, end), (begin, _) in pairwise(slots))
        assert all(end <= 1 + 1e-9 for _, end in slots)


def test_every_change_moves_the_clock_on(record: Record) -> None:
    def now() -> int:
        with record.reading() as connection:
            return clock_now(connection)

    seen = [now()]
    start(record)
    seen.append(now())
    change(record, State.PAUSED)
    seen.append(now())
    with record.writing() as connection:
        set_holdout(connection, 0.05, "first", now_ms=NOON_MS, client="op")
    seen.append(now())
    assert seen == sorted(set(seen))
    with record.reading() as connection:
        found = running(connection)
    assert (found.holdout_share, found.holdout_salt) == (0.05, "first")
    assert len(rows(record, experiments, "id")) == 1


def test_a_look_that_was_made_stays_as_it_was(record: Record) -> None:
    look = ("revenue", "b", date(2026, 12, 8))
    for content in ("first", "second"):
        with record.writing() as connection:
            keep_looks(connection, "a", 1, {look: content})
    with record.reading() as connection:
        assert looks_of(connection, "a", 1) == {look: "first"}
        assert looks_of(connection, "a", 2) == {}


def exposure(event_id: str, customer_id: str = "anna", *, at_ms: int = NOON_MS, version: int = 1) -> Exposure:
    return Exposure(
        *(event_id, "r1", at_ms, customer_id, "a", version, "hash", "recommend", "control"),
        *(False, "v1", False, "personal", "", '[["milk",0.5,null,null]]', 1.5, True),
    )


def write(record: Record, *exposed: Exposure, default: bool = True) -> int:
    with record.writing() as connection:
        return write_exposures(connection, KEY, exposed, default)


def test_an_exposure_counts_once_and_is_read_as_it_was_written(record: Record) -> None:
    assert write(record, exposure("x1"), exposure("x2", "bert")) == 2
    assert write(record, exposure("x2", "bert"), exposure("x3"), exposure("y", version=2)) == 2
    frame = read_exposures(record, "a", 1)
    assert frame.schema == EXPOSURES
    assert frame["event_id"].to_list() == ["x1", "x2", "x3"]
    first = frame.row(0, named=True)
    assert (first["items"], first["is_cached"], first["latency_ms"]) == (
        '[["milk",0.5,null,null]]',
        True,
        1.5,
    )
    assert read_exposures(record, "none", 1).schema == EXPOSURES


def test_what_is_held_of_a_customer_tells_how_long_an_answer_took_in_milliseconds(record: Record) -> None:
    write(record, exposure("x1"))
    (held,) = holdings_of(lambda look: look(record), "anna").exposures
    assert (held["latency_ms"], held["at"]) == (1.5, datetime.fromtimestamp(NOON_MS / 1000, UTC).isoformat())


def test_what_is_held_of_a_customer_has_what_was_shown_as_data_and_not_as_text_in_it(record: Record) -> None:
    write(record, exposure("x1"))
    (held,) = holdings_of(lambda look: look(record), "anna").exposures
    assert held["items"] == [["milk", 0.5, None, None]]


def test_who_was_erased_or_wants_no_experiments_leaves_no_exposure_however_late_it_comes(
    record: Record,
) -> None:
    write(record, exposure("x1"))
    assert erase(record, "anna", now_ms=NOON_MS + 5, client="k").rows["exposures"] == 1
    with record.writing() as connection:
        set_consent(connection, "bert", PRESETS["no_personalisation"], now_ms=NOON_MS, client="k")
        set_consent(connection, "cleo", PRESETS["all"], now_ms=NOON_MS, client="k")
    late = [exposure("x2", "anna", at_ms=NOON_MS + 9), exposure("x3", "bert"), exposure("x4", "cleo")]
    assert write(record, *late, exposure("x5", "dora"), default=False) == 1
    with record.writing() as connection:
        set_consent(connection, "anna", PRESETS["all"], now_ms=NOON_MS + 6, client="k")
    assert (
        write(record, exposure("x6", "anna", at_ms=NOON_MS + 4), exposure("x7", "anna", at_ms=NOON_MS + 9))
        == 1
    )
    assert read_exposures(record, "a", 1)["event_id"].to_list() == ["x4", "x7"]


def test_old_exposures_go_and_lost_ones_are_counted(record: Record) -> None:
    write(record, exposure("x1", at_ms=NOON_MS - 2), exposure("x2", at_ms=NOON_MS - 1), exposure("x3"))
    with record.writing() as connection:
        write_lost(
            connection, [Lost(NOON_MS, "a", 1, 7, "queue full"), Lost(NOON_MS, "a", 2, 1, "spool full")]
        )
    ages: dict[str, Any] = {"trade_before_ms": 0, "others_before_ms": 0, "quarantine_before_ms": 0}
    ages |= {"now_ms": NOON_MS, "client": "op"}
    assert expire(record, **ages, exposures_before_ms=NOON_MS)["exposures"] == 2
    assert read_exposures(record, "a", 1)["event_id"].to_list() == ["x3"]
    assert (read_lost(record, "a", 1), read_lost(record, "a", 3)) == (7, 0)


def test_exposures_of_an_experiment_go_together_after_its_end(record: Record) -> None:
    ages: dict[str, Any] = {"trade_before_ms": 0, "others_before_ms": 0, "quarantine_before_ms": 0}
    ages |= {"now_ms": NOON_MS, "client": "op"}
    start(record)
    write(record, exposure("x1", at_ms=NOON_MS + 1), exposure("x2", at_ms=NOON_MS + 5))
    assert expire(record, **ages, exposures_before_ms=NOON_MS + 3)["exposures"] == 0  # it runs
    change(record, State.STOPPED)  # at NOON_MS + 9
    assert expire(record, **ages, exposures_before_ms=NOON_MS + 9)["exposures"] == 0
    assert expire(record, **ages, exposures_before_ms=NOON_MS + 10)["exposures"] == 2


def test_outcomes_have_a_sign_and_a_price_only_where_something_was_traded(record: Record) -> None:
    take(
        record,
        event("p", quantity=2.0, unit_price=3.0, discount=1.0),
        event("r", kind=EventType.RETURN, quantity=1.0),
        event("c", kind=EventType.CLICK, request_id="r1", position=3),
        event("s", product_id=None, kind=EventType.SURVEY, question="nps", score=9),
        event("late", at_ms=NOON_MS + 10),
    )
    frame = read_outcomes(record, NOON_MS, NOON_MS + 10)
    assert frame.schema == OUTCOMES
    told = {row["event_id"]: row for row in frame.iter_rows(named=True)}
    assert set(told) == {"p", "r", "c", "s"}
    assert (told["p"]["units"], told["p"]["revenue"]) == (2.0, 5.0)
    assert (told["r"]["units"], told["r"]["revenue"]) == (-1.0, None)  # a return says no price
    assert (told["c"]["units"], told["c"]["position"], told["c"]["request_id"]) == (None, 3, "r1")
    assert (told["s"]["question"], told["s"]["score"]) == ("nps", 9)


def test_ids_of_two_browsers_are_two_events_and_views_are_in_no_metric(record: Record) -> None:
    click = {"kind": EventType.CLICK, "request_id": "r1", "position": 1}
    for customer in ("anna", "bert"):
        browser = Sending(customer, "token", NOON_MS)
        take(record, event("1", customer, **click), sending=browser)  # type: ignore[arg-type]
    take(record, event("1", "carl", **click), event("2", "carl", kind=EventType.VIEW))  # type: ignore[arg-type]
    frame = read_outcomes(record, NOON_MS, NOON_MS + 10)
    assert frame["customer_id"].to_list() == ["anna", "bert", "carl"]
    assert frame["event_id"].n_unique() == 3
