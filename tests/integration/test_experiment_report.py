"""The report of an experiment that ran: from the record and the night's purchases to files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result

from experiments.cli import commands
from experiments.errors import BadSpecificationError, UnderpoweredError, UnknownExperimentError
from experiments.logs.frames import OUTCOMES
from experiments.logs.purchases import at_the_days_end
from experiments.logs.recorded import joined, priced
from experiments.specification import hash_of
from models.arrays import DAY_MS
from storage.record.consent import PRESETS, set_consent
from storage.record.erasure_key import load_erasure_key
from storage.record.events import DailyCaps
from storage.record.experiments import ExperimentConflictError
from storage.record.exposure_log import read_exposures
from storage.record.exposures import Exposure, Lost, write_exposures, write_lost
from storage.record.intake import Intake
from storage.record.record import Record, record_url
from storage.record.rules import put_rules
from storage.record.schema import prepare
from storage.versions.store import Store
from tests.data.records import event, take
from tests.data.shop_logs import SPECIFICATION, START_MS, Truth, logs, purchases, specification_of
from tests.data.tiny_version import publish

SPEC = specification_of()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a record in which the experiment runs, and 300 customers who were shown something."""
    root = tmp_path / "store"
    root.mkdir()
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id=SPEC.experiment.id, planned_n=14_000))
    prepare(record_url(root, None))
    told = CliRunner().invoke(
        commands, ["start", str(tmp_path / "spec.toml"), "--store", str(root)], catch_exceptions=False
    )
    assert "can't be told" in told.stderr  # no night has published yet
    shown = logs(SPEC, Truth(customers=300), 1)[0]
    with opened(root) as record, record.writing() as connection:
        lines = [Exposure(**line) for line in shown.iter_rows(named=True)]
        write_exposures(connection, load_erasure_key(root, None), lines, default_experiment=True)
        write_lost(connection, [Lost(START_MS, SPEC.experiment.id, 1, 40, "spool full")])
    return root


@contextmanager
def opened(root: Path) -> Iterator[Record]:
    """The store's own record."""
    record = Record(record_url(root, None), load_erasure_key(root, None), lock_ms=20_000)
    try:
        yield record
    finally:
        record.close()


def said(store: Path, *more: str) -> str:
    command = ["report", SPEC.experiment.id, "--store", str(store), "--now", "2025-12-22", *more]
    out = ["--out", str(store.parent / "out")]
    return CliRunner().invoke(commands, [*command, *out], catch_exceptions=False).output


def test_the_record_is_judged_with_what_was_lost(store: Path) -> None:
    assert said(store).startswith("INVALID")
    found = json.loads((store.parent / "out" / "report.json").read_text())
    assert found["headline"]["rule"] == "health: missing logs"
    assert found["spec_hash"] == hash_of(SPEC)
    assert found["customers"] > 100
    assert {one["name"]: one["level"] for one in found["health"]}["missing logs"] == "invalid"


def test_looks_stand_in_the_record_and_are_taken_once(store: Path) -> None:
    done = logs(SPEC, Truth(customers=300), 1)[1].filter(pl.col("kind") == "purchase").head(90)
    sold = [
        event(
            line["event_id"],
            line["customer_id"],
            at_ms=line["at_ms"],
            order_id=line["order_id"],
            quantity=1.0,
            unit_price=line["revenue"],
        )
        for line in done.iter_rows(named=True)
    ]
    with opened(store) as record:
        taking = Intake(load_erasure_key(store, None), DailyCaps(1000, 1000), True, lambda _: True)
        take(record, *sold, taking=taking)
    said(store)
    first = json.loads((store.parent / "out" / "report.json").read_text())
    assert 80 < first["outcome_counts"]["outcomes"] <= 90  # some lie before the weeks that explain
    assert len(first["new_looks"]) == 1
    said(store)
    again = json.loads((store.parent / "out" / "report.json").read_text())
    assert again["new_looks"] == []
    assert again["looks"] == first["looks"]


def test_of_an_experiment_that_the_record_does_not_have_the_report_says_so(store: Path) -> None:
    with pytest.raises(UnknownExperimentError, match="no experiment another"):
        CliRunner().invoke(
            commands,
            ["report", "another", "--store", str(store), "--out", str(store.parent)],
            catch_exceptions=False,
        )


def test_no_purchase_counts_twice() -> None:
    def trade(number: int, customer: str, at_ms: int, kind: str = "purchase") -> dict[str, object]:
        return {
            "event_id": f"{number}",
            "customer_id": customer,
            "kind": kind,
            "at_ms": at_ms,
            "revenue": 1.0,
        }

    night = pl.DataFrame([trade(0, "a", 5), trade(1, "a", 90)], schema=OUTCOMES)
    events = pl.DataFrame(
        [
            trade(1, "a", 91),  # the same, by another clock
            trade(2, "a", 92, "return"),  # of which the night knows
            trade(3, "b", 93),  # whom the night may not learn from
            trade(4, "a", 94, "click"),
            trade(5, "a", 120),
        ],
        schema=OUTCOMES,
    )
    found = joined(events, night, as_of_ms=100, since_ms=50)
    assert found["event_id"].to_list() == ["night 1", "3", "4", "5"]


def test_an_order_of_the_record_is_none_of_the_nights_whatever_its_number() -> None:
    line = {"customer_id": "a", "kind": "purchase", "order_id": "5"}  # the night numbers orders by itself
    night = pl.DataFrame([line | {"event_id": "0", "at_ms": 5}], schema=OUTCOMES)
    events = pl.DataFrame([line | {"event_id": "1", "at_ms": 100}], schema=OUTCOMES)
    assert joined(events, night, as_of_ms=100, since_ms=0)["order_id"].n_unique() == 2


def test_who_took_consent_back_is_judged_no_more(store: Path) -> None:
    with opened(store) as record:
        came = sorted(set(read_exposures(record, SPEC.experiment.id, 1)["customer_id"]))
        wishes = (
            replace(PRESETS["all"], experiment=False),
            replace(PRESETS["all"], personalise=False),
            replace(PRESETS["all"], train=False),
        )
        with record.writing() as connection:
            for customer_id, consent in zip(came, wishes, strict=False):
                set_consent(connection, customer_id, consent, now_ms=START_MS, client="")
    said(store, "--now", "2026-01-20")
    found = json.loads((store.parent / "out" / "report.json").read_text())
    assert found["customers"] == len(came) - 2
    told = "2 customers allow no experiments any more, or no personal answers: they are left out."
    assert told in found["notes"]


def test_the_last_day_of_a_history_of_dates_does_not_count_twice() -> None:
    def trade(number: int, product: str, at_ms: int, kind: str = "purchase") -> dict[str, object]:
        who_what = {"customer_id": "a", "product_id": product, "kind": kind}
        return {"event_id": f"{number}", "at_ms": at_ms} | who_what

    # Its last line is a date, so the night ends a second after that midnight, and the day goes on.
    end_ms = DAY_MS - 1
    night = pl.DataFrame([trade(0, "p", end_ms)], schema=OUTCOMES)
    events = pl.DataFrame(
        [
            trade(1, "p", 36_000_000),  # the same purchase, as it was recorded
            trade(2, "q", 36_000_000),  # which the shop's history lacks
            trade(3, "p", 40_000_000, "return"),
            trade(4, "p", DAY_MS + 1),  # on the next day
        ],
        schema=OUTCOMES,
    )
    found = joined(events, night, as_of_ms=1000, since_ms=0)
    assert sorted(found["event_id"].to_list()) == ["2", "3", "4", "night 0"]


def test_what_a_history_knows_by_its_day_alone_was_bought_after_what_was_shown_that_day() -> None:
    moments = [
        datetime(2026, 3, 28, 23, tzinfo=UTC),  # midnight in Rome, of a day with 23 hours
        datetime(2026, 3, 29, 9, 30, tzinfo=UTC),
        datetime(2026, 3, 29, tzinfo=UTC),  # midnight, but not there
    ]
    lines = [{"event_id": f"{n}", "at_ms": int(at.timestamp() * 1000)} for n, at in enumerate(moments)]
    outcomes = pl.DataFrame(lines, schema=OUTCOMES)
    found = at_the_days_end(outcomes, "Europe/Rome")
    assert found["at_ms"].to_list() == [
        int(datetime(2026, 3, 29, 22, tzinfo=UTC).timestamp() * 1000) - 1,
        *outcomes["at_ms"].to_list()[1:],
    ]


def test_the_day_before_clocks_skip_midnight_has_all_its_hours() -> None:
    day = datetime(2024, 4, 24, 22, tzinfo=UTC)  # 25 April in Cairo; 26 April begins at one o'clock there
    outcomes = pl.DataFrame(
        [{"event_id": f"{n}", "at_ms": int((day + timedelta(days=n)).timestamp() * 1000)} for n in (0, 1)],
        schema=OUTCOMES,
    )
    ends = [datetime(2024, 4, day, hour, tzinfo=UTC) for day, hour in ((25, 22), (26, 21))]
    found = at_the_days_end(outcomes, "Africa/Cairo")["at_ms"].to_list()
    assert found == [int(end.timestamp() * 1000) - 1 for end in ends]
    assert at_the_days_end(outcomes.clear(), "Africa/Cairo").height == 0


def test_what_came_without_a_price_counts_at_the_last_one_that_was_paid() -> None:
    def trade(
        kind: str, customer: str, product: str, at_ms: int, units: float, revenue: float | None
    ) -> dict[str, object]:
        return {
            "event_id": f"{at_ms}",
            "customer_id": customer,
            "product_id": product,
            "kind": kind,
            "at_ms": at_ms,
            "units": units,
            "revenue": revenue,
        }

    night = pl.DataFrame(
        [trade("purchase", "a", "p", 10, 2.0, 8.0), trade("purchase", "b", "p", 20, 1.0, 5.0)],
        schema=OUTCOMES,
    )
    events = pl.DataFrame(
        [
            trade("return", "a", "p", 30, -1.0, None),  # paid 4 for it
            trade("purchase", "c", "p", 25, 3.0, None),  # others paid 5
            trade("purchase", "a", "q", 31, 1.0, None),  # nobody did
            trade("purchase", "a", "q", 40, 1.0, 7.0),
            trade("click", "a", "p", 41, 1.0, None),
        ],
        schema=OUTCOMES,
    )
    found = priced(events, night)
    assert found["revenue"].to_list() == [-4.0, 15.0, None, 7.0, None]
    assert found.drop("revenue").equals(events.drop("revenue"))


def test_what_arrives_late_is_the_events_own_and_not_the_nights() -> None:
    def at_day(number: int, day: float) -> dict[str, object]:
        return {"event_id": f"{number}", "customer_id": "a", "kind": "view", "at_ms": int(day * DAY_MS)}

    night = pl.DataFrame([at_day(0, 1), at_day(1, 4)], schema=OUTCOMES)
    events = pl.DataFrame([at_day(2, 3), at_day(3, 0.5), at_day(4, 5)], schema=OUTCOMES)
    found = joined(events, night, as_of_ms=6 * DAY_MS, since_ms=0)
    late = found["at_ms"].cum_max() - found["at_ms"]
    assert found.filter(late > 0)["event_id"].to_list() == ["3"]


def started(store: Path, old: str, new: str) -> Result:
    """What the command says of the same specification, changed."""
    (store.parent / "other.toml").write_text((store.parent / "spec.toml").read_text().replace(old, new, 1))
    return CliRunner().invoke(commands, ["start", str(store.parent / "other.toml"), "--store", str(store)])


def test_two_layers_do_not_decide_the_same_thing(store: Path) -> None:
    found = started(store, f'id = "{SPEC.experiment.id}"', 'id = "other"\nlayer = "second"')
    assert isinstance(found.exception, BadSpecificationError)
    assert f"{SPEC.experiment.id} of layer recommend decides model too" in str(found.exception)
    text = (store.parent / "spec.toml").read_text().replace('model = "popular"', "")
    (store.parent / "spec.toml").write_text(text.replace('model = "ranker"', 'objective = "value"'))
    assert started(store, f'id = "{SPEC.experiment.id}"', 'id = "other"\nlayer = "second"').exit_code == 0


def test_a_set_of_rules_and_a_placement_that_no_rule_in_force_names_are_doubted(store: Path) -> None:
    text = (store.parent / "spec.toml").read_text().replace('model = "popular"', "")
    (store.parent / "spec.toml").write_text(
        text.replace('model = "ranker"', 'rules = "bold"\nplacement = "top"')
    )
    id_line = f'id = "{SPEC.experiment.id}"'
    doubted = started(store, id_line, 'id = "other"\nlayer = "second"').stderr
    assert "no rule of the record is only_for or not_for 'bold'" in doubted
    assert "no rule of the record names the placement 'top'" in doubted
    rule = '[[rules]]\nid = "a"\nkind = "block"\nproducts = ["milk"]\n'
    rules = f'schema = 1\n{rule}not_for = ["bold"]\n{rule}placements = ["top"]\n'
    with opened(store) as record, record.writing() as connection:
        put_rules(connection, rules, now_ms=START_MS, client="key-1")
    said = started(store, id_line, 'id = "more"\nlayer = "second"').stderr
    assert said.startswith("warning: whether planned_n is enough can't be told")


def test_cuped_that_does_nothing_begins_no_experiment_and_one_that_began_with_it_goes_on(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vain = '[[metrics]]\nname = "shown"\ncolumn = "answers"\nrole = "secondary"\ncuped = true\n'
    CliRunner().invoke(commands, ["stop", SPEC.experiment.id, "--store", str(store)], catch_exceptions=False)
    text = (store.parent / "spec.toml").read_text().replace("planned_days", "version = 2\nplanned_days", 1)
    (store.parent / "spec.toml").write_text(text + vain)
    refused = started(store, "", "")
    assert "cuped does nothing for shown" in str(refused.exception)
    with monkeypatch.context() as earlier:
        earlier.setattr("experiments.commands.start.expect_of_use", lambda *_: None)
        assert started(store, "", "").exit_code == 0
    assert started(store, "", "").exit_code == 0


def test_what_starts_on_a_later_day_is_scheduled_until_then(store: Path) -> None:
    def did(*command: str) -> str:
        return CliRunner().invoke(commands, [*command, "--store", str(store)], catch_exceptions=False).output

    ahead = started(store, "start = 2025-12-01", "start = 2999-12-01\nversion = 2")
    assert isinstance(ahead.exception, ExperimentConflictError)  # version 1 runs
    did("stop", SPEC.experiment.id)
    again = started(store, "start = 2025-12-01", "start = 2999-12-01\nversion = 2")
    assert "is scheduled for 2999-12-01 00:00 UTC" in again.output
    newest, older, _ = did("list").splitlines()
    assert " scheduled 2999-12-01 00:00  day 0 of 28" in newest
    assert " stopped " in older
    assert "too few attribution windows are over" in said(store)
    assert "nobody comes before 2999-12-01 00:00 UTC" in (store.parent / "out" / "report.md").read_text()
    did("pause", SPEC.experiment.id)
    assert " paused    2999-12-01" in did("list")
    assert "is scheduled for" in did("start", str(store.parent / "other.toml"))


def test_of_an_experiment_that_ended_the_report_says_that_nobody_comes_any_more(store: Path) -> None:
    for command, told in (("pause", "It is paused"), ("stop", "It was stopped at 20")):
        done = CliRunner().invoke(commands, [command, SPEC.experiment.id, "--store", str(store)])
        assert done.exit_code == 0
        said(store)
        assert told in (store.parent / "out" / "report.md").read_text()


def test_what_is_not_over_yet_is_not_judged(store: Path) -> None:
    assert "--now is ahead" in said(store, "--now", "2999-01-01")
    assert not (store.parent / "out").exists()


def test_an_experiment_of_the_record_and_files_are_not_judged_together(store: Path) -> None:
    found = said(store, "--spec", str(store.parent / "spec.toml"))
    assert "say either an experiment of the record or --spec, --exposures and --outcomes" in found
    assert not (store.parent / "out").exists()


def test_a_holdout_of_no_number_is_refused(store: Path) -> None:
    found = CliRunner().invoke(commands, ["holdout", "nan", "--store", str(store)])
    assert (found.exit_code, "nan is not in the range" in found.output) == (2, True)


def test_a_version_that_is_not_there_is_named(store: Path) -> None:
    with pytest.raises(UnknownExperimentError, match="version 7"):
        said(store, "--version", "7")


def test_an_experiment_that_cannot_end_is_not_started(tmp_path: Path) -> None:
    root = Store(tmp_path / "store")
    root.root.mkdir()
    version = publish(root)
    prepare(record_url(root.root, None))
    purchases().write_parquet(root.versions / version / "purchases.parquet")
    (tmp_path / "spec.toml").write_text(SPECIFICATION.format(id="rec", planned_n=50))
    command = ["start", str(tmp_path / "spec.toml"), "--store", str(root.root)]
    with pytest.raises(UnderpoweredError, match="can't show"):
        CliRunner().invoke(commands, command, catch_exceptions=False)
