"""Keeps who was shown what: a bounded queue, written in batches in the background, never waited for."""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import structlog

from experiments.assignment import Arm, Entry
from models.arrays import NONE
from service.answering.own_list import Pick
from service.errors import RefusedError
from service.processes.background import Outlived, every
from service.record import Door
from service.trials.explored import Drawn
from service.trials.spool import Spool
from service.trials.tally import Key, Tally
from service.versions.served import UNKNOWN, ServedVersion
from storage.record.exposures import Exposure, Lost, write_exposures, write_lost
from storage.record.record import Record
from storage.versions.strings import IdIndex

MOST_WAITING = 20_000
BATCH = 200  # of one transaction: events don't wait for it longer than 30 ms on SQLite
PAUSE_S = 0.5
BREATH_S = 0.02  # between two batches, in which events get the lock of SQLite
QUEUE_FULL, SPOOL_FULL, KILLED = "queue full", "spool full", "worker killed"
log = structlog.get_logger()


class Shown(NamedTuple):
    """An answer to a customer in experiments, as the request leaves it behind.

    Attributes:
        assigned: each experiment with the arm that the customer has.
        is_forced: an operator asked for the arm.
        teams: of an interleaved answer, by product row.
        drawn: of an answer with a place that was filled by lot.
    """

    request_id: str
    at_s: float
    customer_id: str
    assigned: tuple[tuple[Entry, Arm], ...]
    served: ServedVersion
    picks: Sequence[Pick]
    source: str
    placement: str
    is_fallback: bool
    latency_ms: float
    is_cached: bool
    is_forced: bool = False
    teams: dict[int, str] | None = None
    drawn: Drawn | None = None


class ExposureCounters(Protocol):
    """Who counts what became of exposures."""

    def exposures(self, outcome: str, n: int) -> None: ...


class ExposureLog:
    """Takes exposures of one worker.

    Args:
        spool: where they wait while the record can't be reached.
        default: what is allowed by those who said nothing, of the consent `experiment`.
        tally: counts what waits in memory, for whoever comes after this worker.
    """

    def __init__(
        self,
        door: Door,
        spool: Spool,
        counters: ExposureCounters,
        *,
        default: bool,
        tally: Tally | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._door, self._spool, self._counters = door, spool, counters
        self._default, self._tally, self._clock = default, tally, clock
        self._waiting: deque[Shown] = deque()
        self._writing = threading.Lock()  # a process that ends writes in another thread
        self._lost: Counter[tuple[str, int, str]] = Counter()
        self._to_record = Outlived("exposures to the record")

    def start(self) -> None:
        """Go on writing what comes."""
        every(PAUSE_S, self.write, "exposures")

    def note_killed(self, gone: Iterable[tuple[Key, int]]) -> None:
        """Count what was gone with workers that were killed."""
        for (experiment_id, version), n in gone:
            self._lost[experiment_id, version, KILLED] += n
            self._counters.exposures("lost", n)

    def take(self, shown: Shown) -> None:
        """Remember an answer. It costs a request no more than this."""
        if len(self._waiting) >= MOST_WAITING:
            self._lose(shown.assigned, QUEUE_FULL)
            return
        if self._tally is not None:
            for entry, _ in shown.assigned:
                self._tally.take((entry.experiment_id, entry.version))
        self._waiting.append(shown)  # last: from here on it may be written

    def write(self) -> None:
        """Write all that waits, then what the spool has."""
        self.write_waiting()
        self._drain()
        self._tell_lost()

    def write_waiting(self) -> None:
        """Write all that waits, to the record, else to the spool; also when the process ends."""
        with self._writing:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                rows = [row for shown in batch for row in rows_of(shown)]
                if not self._record(rows):
                    self._keep(rows)
                if self._tally is not None:
                    self._tally.settle((row.experiment_id, row.version) for row in rows)
                if self._waiting:
                    time.sleep(BREATH_S)

    def _record(self, rows: list[Exposure]) -> bool:
        def work(record: Record) -> int:
            with record.writing() as connection:
                return write_exposures(connection, record.key, rows, self._default)

        try:
            self._counters.exposures("written", self._door.do(work))
        except RefusedError:
            return False  # the door has said why
        except Exception as err:  # they are out of the queue by now: whatever it was, they must lie somewhere
            self._to_record.failed(err)
            return False
        self._to_record.worked()
        return True

    def _keep(self, rows: list[Exposure]) -> None:
        kept = self._spool.add(rows)
        self._counters.exposures("spooled", kept)
        for row in rows[kept:]:
            self._lost[row.experiment_id, row.version, SPOOL_FULL] += 1
            self._counters.exposures("lost", 1)

    def _drain(self) -> None:
        for rows in self._spool.batches(BATCH):
            if not self._record(rows):
                return
            self._spool.done()
            time.sleep(BREATH_S)
            self.write_waiting()  # a full spool takes so long that the queue would fill up

    def _lose(self, assigned: Sequence[tuple[Entry, Arm]], why: str) -> None:
        for entry, _ in assigned:
            self._lost[entry.experiment_id, entry.version, why] += 1
        self._counters.exposures("lost", len(assigned))

    def _tell_lost(self) -> None:
        """Note in the record what was lost, as soon as that is possible."""
        if not self._lost:
            return
        told = Counter(self._lost)
        now_ms = int(self._clock() * 1000)
        lost = [Lost(now_ms, name, version, n, why) for (name, version, why), n in told.items()]

        def work(record: Record) -> None:
            with record.writing() as connection:
                write_lost(connection, lost)

        try:
            self._door.do(work)
        except RefusedError:
            return
        self._lost -= told
        by_reason: Counter[str] = Counter()
        for (_, _, why), n in told.items():
            by_reason[why.replace(" ", "_")] += n
        log.error("exposures were lost", **by_reason)


def rows_of(shown: Shown) -> list[Exposure]:
    """A row for each experiment that the customer is in."""
    items = items_of(shown)
    return [
        Exposure(
            event_id=f"{shown.request_id}.{number}",
            request_id=shown.request_id,
            at_ms=int(shown.at_s * 1000),
            customer_id=shown.customer_id,
            experiment_id=entry.experiment_id,
            version=entry.version,
            spec_hash=entry.spec_hash,
            layer=entry.layer,
            variant=arm.name,
            is_forced=shown.is_forced,
            model_version=f"{shown.served.version_id}/{shown.served.variant}"[:64],
            is_fallback=shown.is_fallback,
            source=shown.source,
            placement=shown.placement,
            items=items,
            latency_ms=round(shown.latency_ms, 3),
            is_cached=shown.is_cached,
        )
        for number, (entry, arm) in enumerate(shown.assigned)
    ]


def items_of(shown: Shown) -> str:
    """What was shown, by position: product, score, propensity and team, null for what isn't.

    Only what was drawn has a propensity, and behind its team what the reader of it needs (`_lot`).
    """
    products = shown.served.products
    teams = shown.teams or {}
    items: list[list[object]] = [
        [products[row], _score(probability), None, teams.get(row)] for row, _, _, probability in shown.picks
    ]
    drawn = shown.drawn
    if drawn is not None:
        at = next(at for at, pick in enumerate(shown.picks) if pick[0] == drawn.row)
        items[at] = [*items[at][:2], round(1 / len(drawn.pool), 6), None, _lot(drawn, products)]
    return json.dumps(items, separators=(",", ":"))


def _score(probability: float) -> float | None:
    return None if probability == UNKNOWN else round(float(probability), 4)


def _lot(drawn: Drawn, products: IdIndex) -> dict[str, dict[str, object]]:
    """What a product was drawn from, with scores, in the order of the arm's own list; and each rival's choice
    of it, null where it lists none."""
    return {
        "pool": {products[row]: _score(probability) for row, _, _, probability in drawn.pool},
        "rivals": {name: None if row == NONE else products[row] for name, row in drawn.rivals.items()},
    }
