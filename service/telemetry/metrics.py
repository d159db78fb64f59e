"""What Prometheus may ask: counted by each process in its own files, summed by whichever process is asked."""

import json
import os
import time
from collections import Counter as CountOf
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service.answering.own_list import Answer, Rung
from service.processes.background import every
from service.telemetry.counts_file import CountsFile
from service.telemetry.ended_counts import alone_with, make_folder, merge_ended
from service.telemetry.series import BUCKETS_S, Series
from service.versions.served import ServedVersion
from storage.versions.store import LAST_SUCCESS

LEVELS = ("worker", "redis", "map", "category", "popular", "none")  # of the ladder, from the top
PLACEMENTS_MAX = 30  # that are counted by themselves, the empty one among them; the rest is OTHER
OTHER = "(other)"
WRITTEN_EVERY_S = 0.5


def count_in_folder(folder: Path) -> None:
    """Make prometheus_client keep every count that this process creates from now on in files of a folder.

    It can be told only by an environment variable, and reads that when it is imported.
    """
    make_folder(folder)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.MmapedDict = CountsFile  # type: ignore[attr-defined]
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


class Metrics:
    """The counters of one process.

    What answers count is noted, and told prometheus_client together twice a second: one by one that took a
    tenth of the time of an answer. A process that is killed takes the last of it along.

    Args:
        folder: where the processes of one service keep their counts, after `count_in_folder`; None if this
            process is the only one.
    Attributes:
        registry: where this process counts: for counters of a part of the service.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.registry = CollectorRegistry()
        series = self._series = Series(self.registry)
        self._answering: list[Gauge] = []
        self._counted: deque[Counter] = deque()
        self._requested: deque[tuple[str, int, float]] = deque()
        self._outcomes: dict[str, Counter] = {}
        self._fills_of = {rung: series.fills.labels(rung.value) for rung in Rung if rung is not Rung.OWN}
        self._placements = {""}
        self._levels: dict[tuple[str, str | None], Counter] = {
            (level, None): series.answers.labels(level, "") for level in LEVELS
        }
        self._held_back_of = {what: series.held_back.labels(what) for what in ("products", "offers")}
        self._promises_of = {outcome: series.promises.labels(outcome) for outcome in ("new", "again", "none")}
        series.turned_away.labels("browser")  # from 0: Prometheus sees no increase in what begins at 1
        series.exposures.labels("lost")
        series.ready.set(0)
        series.down.set(0)
        series.unreadable.set(0)
        if folder is not None:  # else nobody but `text` reads it
            every(WRITTEN_EVERY_S, self.write, "writing metrics")
            every(WRITTEN_EVERY_S, CountsFile.all_stay, "keeping metrics")

    def write(self) -> None:
        """Write what was noted."""
        for part, n in CountOf(_taken(self._counted)).items():
            part.inc(n)
        times_s: dict[tuple[str, int], list[float]] = {}
        for route, status, elapsed_s in _taken(self._requested):
            times_s.setdefault((route, status), []).append(elapsed_s)
        for (route, status), of_it in times_s.items():
            self._series.requests.labels(route, str(status)).inc(len(of_it))
            _observe(self._series.seconds.labels(route), of_it)

    def request(self, route: str, status: int, elapsed_s: float) -> None:
        self._requested.append((route, status, elapsed_s))

    def answer(self, answer: Answer, placement: str | None) -> None:
        part = self._levels.get((answer.level, placement))
        if part is None:
            part = self._series.answers.labels(answer.level, self._label_of(placement or ""))
            if len(self._levels) < PLACEMENTS_MAX * len(LEVELS):
                self._levels[answer.level, placement] = part
        self._counted.append(part)
        if answer.own is not None and answer.picks and answer.picks[-1][1] is not Rung.OWN:
            for _, rung, _, _ in answer.picks:
                if rung is not Rung.OWN:
                    self._counted.append(self._fills_of[rung])

    def _label_of(self, placement: str) -> str:
        """Callers may name any placement, and a label is a series for ever: the first ones have their own."""
        if placement not in self._placements and len(self._placements) < PLACEMENTS_MAX:
            self._placements.add(placement)
        return placement if placement in self._placements else OTHER

    def cache(self, outcome: str) -> None:
        part = self._outcomes.get(outcome)
        if part is None:
            part = self._outcomes[outcome] = self._series.cache.labels(outcome)
        self._counted.append(part)

    def exposures(self, outcome: str, n: int) -> None:
        self._series.exposures.labels(outcome).inc(n)

    def held_out(self) -> None:
        self._series.held_out.inc()

    def held_back(self, what: str, n: int) -> None:
        self._held_back_of[what].inc(n)

    def promise(self, outcome: str) -> None:
        self._promises_of[outcome].inc()

    def redis_down(self, is_down: bool) -> None:
        self._series.down.set(int(is_down))

    def swapped(self, served: ServedVersion) -> None:
        """This worker answers from another version now."""
        self._series.swaps.inc()
        self._series.ready.set(1)
        for gauge in self._answering:
            gauge.set(0)
        version, as_of = (
            self._series.version.labels(served.version_id, served.variant),
            self._series.as_of.labels(served.version_id),
        )
        self._answering = [version, as_of]
        version.set(1)
        as_of.set(served.as_of.timestamp())

    def turned_away(self, why: str) -> None:
        self._series.turned_away.labels(why).inc()

    def keyring_unreadable(self, is_unreadable: bool) -> None:
        self._series.unreadable.set(int(is_unreadable))

    def rules_lacking(self, warnings: int) -> None:
        self._series.lacks.set(warnings)

    def refused(self) -> None:
        self._series.refused.inc()

    def text(self, store: Path) -> bytes:
        """All of it in Prometheus' text format: of every process, and what the store says."""
        self.write()
        if self._folder is None:
            return _text(_NowCollector(self.registry, store))
        with alone_with(self._folder):
            merge_ended(self._folder)
            counted = MultiProcessCollector(None, path=str(self._folder))  # type: ignore[no-untyped-call]
            return _text(_NowCollector(counted, store))


def _taken[T](noted: deque[T]) -> Iterator[T]:
    """What was noted, taken away; more may be noted, and taken, meanwhile."""
    with suppress(IndexError):
        while noted:
            yield noted.popleft()


def _observe(histogram: Histogram, times_s: list[float]) -> None:
    """As prometheus_client's `observe` of each, which has no way to take many at once."""
    for bucket, n in CountOf(np.searchsorted(BUCKETS_S, times_s).tolist()).items():
        histogram._buckets[bucket].inc(n)
    histogram._sum.inc(sum(times_s))


def _text(counted: Collector) -> bytes:
    registry = CollectorRegistry()
    registry.register(counted)
    return generate_latest(registry)


class _NowCollector(Collector):
    """What was counted, and figures that are worked out when asked for."""

    def __init__(self, counted: Collector, store: Path) -> None:
        self._counted, self._store = counted, store

    def collect(self) -> Iterable[Metric]:
        as_of_s = 0.0
        for metric in self._counted.collect():
            if metric.name in ("nextbest_version_info", "nextbest_version_as_of_timestamp_seconds"):
                metric.samples = [
                    sample for sample in metric.samples if sample.value
                ]  # of others it was left
            if metric.name == "nextbest_version_as_of_timestamp_seconds":
                as_of_s = min((sample.value for sample in metric.samples), default=0)
            yield metric
        if as_of_s:
            age_s = time.time() - as_of_s
            yield GaugeMetricFamily(
                "nextbest_version_age_seconds", "Age of its newest purchases", value=age_s
            )
        success_s = _last_success_s(self._store)
        if success_s is not None:
            yield GaugeMetricFamily(
                "nextbest_night_last_success_timestamp_seconds",
                "When the last night began that published",
                value=success_s,
            )


def _last_success_s(store: Path) -> float | None:
    """When the last night that published began, in Unix seconds; None if the store doesn't say."""
    try:
        success = json.loads((store / LAST_SUCCESS).read_bytes())
        return datetime.fromisoformat(success["at"]).timestamp()
    except (OSError, ValueError, TypeError, KeyError):
        return None
