"""What a worker says of a record that it can't use: soon, and not in every second of an outage."""

from collections.abc import Sequence
from pathlib import Path

from structlog.testing import capture_logs

from service.errors import RefusedError
from service.events.counters import EventCounters
from service.record import RecordDoor, prepare_record
from service.settings import Settings
from service.telemetry.metrics import Metrics
from storage.record.erasure_key import load_erasure_key
from storage.record.errors import RecordUnavailableError
from storage.record.record import FILE, Record, record_url
from storage.record.schema import prepare
from storage.record.service_default import other_default


def said(store: Path, asked: Sequence[tuple[float, str]]) -> list[str]:
    """The reasons in the log, of work at these moments that fails for this reason, or doesn't for ""."""
    now_s, why = 0.0, ""

    def work(record: Record) -> None:
        if why:
            raise RecordUnavailableError(why)

    prepare(record_url(store, None))
    counters = EventCounters(Metrics(None).registry)
    door = RecordDoor(Settings(store=store), counters, clock=lambda: now_s)
    told = []
    for now_s, why in asked:
        with capture_logs() as lines:
            try:
                door.do(work)
            except RefusedError:
                assert why
        told += [f"{now_s:g} {str(line['why']).split()[-1]}" for line in lines]
    return told


def test_one_reason_is_told_once_a_minute_and_another_one_after_a_second(tmp_path: Path) -> None:
    asked = [(100.0, "away"), (101.5, "away"), (159.9, "away"), (160.0, "away")]
    asked += [(160.5, "locked"), (161.0, "locked"), (200.0, "locked")]
    assert said(tmp_path, asked) == ["100 away", "160 away", "161 locked"]


def test_an_outage_after_another_one_is_told_again(tmp_path: Path) -> None:
    asked = [(100.0, "away"), (102.0, "away"), (103.0, ""), (104.0, "away")]
    assert said(tmp_path, asked) == ["100 away", "104 away"]


def test_a_start_notes_by_which_consents_of_the_silent_it_answers_and_the_next_one_its_own(
    tmp_path: Path,
) -> None:
    def noted_beside(preset: str) -> str:
        record = Record(record_url(tmp_path, None), load_erasure_key(tmp_path, None))
        try:
            return other_default(record, preset)
        finally:
            record.close()

    prepare(record_url(tmp_path, None))
    assert noted_beside("all") == ""
    prepare_record(Settings(store=tmp_path, consent_default="nothing"))
    assert (noted_beside("all"), noted_beside("nothing")) == ("nothing", "")
    prepare_record(Settings(store=tmp_path))
    assert (noted_beside("all"), noted_beside("nothing")) == ("", "all")


def test_a_start_without_the_url_of_a_record_elsewhere_says_that_it_begins_a_new_one(tmp_path: Path) -> None:
    def warned(settings: Settings) -> list[str]:
        with capture_logs() as lines:
            prepare_record(settings)
        return [str(line["why"]) for line in lines if line["log_level"] == "warning"]

    settings = Settings(store=tmp_path)
    assert warned(settings) == warned(settings) == []
    (tmp_path / FILE).unlink()
    (why,) = warned(settings)
    assert "NEXTBEST_RECORD_URL" in why
