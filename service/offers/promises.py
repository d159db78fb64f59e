"""What this worker may still promise of offers with a budget: leased from the record in the background.

An answer never waits for the record: without a lease an offer with a budget isn't shown, but to whom it was
promised before. Each turn tells the record whom it was promised, before anything else of the budget is
leased, and then learns what others promised.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched
from secrets import token_hex
from typing import NamedTuple, Protocol

import structlog

from service.errors import RefusedError
from service.processes.background import now_and_every
from service.record import Door
from storage.record.budgets import (
    Budget,
    Lease,
    Promise,
    ToldPromise,
    give_back,
    lease,
    promised_between,
    tell,
)
from storage.record.promised import NEVER_MS, forget_old
from storage.record.record import Record

TURN_S = 1.0
LEASE_S = 60.0  # a worker promises from a lease no longer than this
SPENT_S = 10.0
"""Then a budget of which nothing was left is asked for again: a hundred each second kept events out."""
MOST_KNOWN = 100_000  # promises that a worker remembers; of one that it forgot the record still knows
PIECE = 5000  # promises that are read in one go: the door to the record waits no longer than a moment
LEASES_AT_ONCE = 10
"""That are written in one go, likewise: a hundred took 330 ms, so none was ever leased, and no event could be
kept meanwhile. Not one by one: each waits for the disk, and workers that stop together for each other. Ten
take 60 to 80 statements: fewer are written at a time to a database that is too far away for as many."""
FEWER_S = 600.0  # until it is ten again: each try that is refused counts as one of the record's failures
ENDINGS, ENDING_PAUSE_S = 5, 0.2
NEW, AGAIN, NONE_LEFT = ("new", "again", "none")
log = structlog.get_logger()


@dataclass
class _Held:
    """A lease, what is left of it, and what was promised from it and isn't told yet."""

    lease: Lease
    until_s: float
    left: int
    untold: list[Promise] = field(default_factory=list)


class _Told(NamedTuple):
    """What the record is told of a lease, and whether that ends it."""

    held: _Held
    promises: list[Promise]
    ends: bool


class _Known(NamedTuple):
    """Until when a promise holds, and the number of the customer's erasure that came before it."""

    ends_s: float
    erased: int


class PromiseCounters(Protocol):
    """Who counts what became of offers with a budget."""

    def promise(self, outcome: str) -> None: ...


class Promises:
    """The promises of one worker.

    Args:
        budgets: offers with a budget that are on now.
        worker: a name for the record, such as machine and process.
        life_s: how long a promise holds.
        stores_by_default: the shop's default of the consent `store`.
        erased: number of a customer's latest erasure, 0 for none: what was promised before it isn't known.
        counters: told of each: `new`, `again`, or `none` where nothing is leased or left.
        clock: Unix seconds.
    """

    def __init__(
        self,
        door: Door,
        budgets: Callable[[], Sequence[Budget]],
        worker: str,
        *,
        life_s: float,
        stores_by_default: bool = True,
        erased: Callable[[str], int] = lambda _: 0,
        counters: PromiseCounters | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._door, self._budgets, self._worker = door, budgets, worker
        self._life_s, self._counters, self._clock = life_s, counters, clock
        self._stores_by_default, self._erased = stores_by_default, erased
        self._asking = self._new_asking()
        self._held: dict[str, _Held] = {}
        self._known: dict[tuple[str, str], _Known] = {}
        self._spent_s: dict[Budget, float] = {}  # when nothing was left of them
        self._heard = 0  # number of the last promise that was read from the record
        self._turn = threading.Lock()
        self._working = threading.Lock()  # the end waits for a turn that leases
        self._at_once, self._fewer_until_s = LEASES_AT_ONCE, 0.0
        self._is_over = False

    def start(self) -> None:
        """Look for budgets now, then go on."""
        now_and_every(TURN_S, self.turn, "promises")

    def make(self, offer_id: str, customer_id: str) -> float | None:
        """Promise an offer to a customer: until when it holds, in Unix seconds; None if it can't be promised.

        The same customer has the same promise until it ends.
        """
        outcome, ends_s = self._made(offer_id, customer_id)
        if self._counters is not None:
            self._counters.promise(outcome)
        return ends_s

    def can_make(self, offer_id: str, customer_id: str) -> bool:
        """Whether `make` would promise it now."""
        now_s = self._clock()
        with self._turn:
            is_known = self._known_until(offer_id, customer_id, now_s) is not None
            return is_known or self._is_left(offer_id, now_s)

    def _made(self, offer_id: str, customer_id: str) -> tuple[str, float | None]:
        now_s, key = self._clock(), (offer_id, customer_id)
        with self._turn:
            ends_s = self._known_until(offer_id, customer_id, now_s)
            if ends_s is not None:
                return AGAIN, ends_s
            if not self._is_left(offer_id, now_s):
                return NONE_LEFT, None
            held = self._held[offer_id]
            held.left -= 1
            ends_ms = int((now_s + self._life_s) * 1000)
            ends_s = ends_ms / 1000  # as the record will have it, and so every other worker
            held.untold.append(Promise(offer_id, customer_id, int(now_s * 1000), ends_ms))
            self._remember(key, ends_s)
            return NEW, ends_s

    def _known_until(self, offer_id: str, customer_id: str, now_s: float) -> float | None:
        """Until when a promise that is known holds."""
        known = self._known.get((offer_id, customer_id))
        if known is None or known.ends_s <= now_s or known.erased != self._erased(customer_id):
            return None
        return known.ends_s

    def _is_left(self, offer_id: str, now_s: float) -> bool:
        """Whether something of a lease is left."""
        held = self._held.get(offer_id)
        return held is not None and held.left > 0 and now_s < held.until_s

    def turn(self) -> None:
        """Tell the record of promises, lease what is missing, and learn what others promised; after the end
        nothing any more.

        Raises:
            RefusedError: the record can't be used now; what is held goes on until it ends.
        """
        with self._working:
            if self._is_over:
                return
            if self._clock() >= self._fewer_until_s:
                self._at_once = LEASES_AT_ONCE
            self._tell(list(self._held.values()))
            self._lease()
            if self._budgets():
                self._hear()

    def end(self) -> None:
        """Tell the record of promises and give back what is left. Raises as `turn`."""
        self._is_over = True  # a turn that leases stops soon
        with self._working:
            with self._turn:
                for held in self._held.values():
                    held.left = 0
            self._tell(list(self._held.values()))

    def end_soon(self, pause: Callable[[float], object] = time.sleep) -> None:
        """As `end`, but tried again for a moment, since others may write: all workers are stopped at once."""
        for _ in range(ENDINGS):
            try:
                return self.end()
            except RefusedError:
                pause(ENDING_PAUSE_S)
        log.error("leases of offers were not given back, they count as spent", offers=len(self._held))

    def _tell(self, all_of_them: Sequence[_Held]) -> None:
        """What was promised. A lease that is used up or over is ended with it."""
        for some in batched(all_of_them, self._at_once):
            with self._turn:
                telling = [told for told in map(self._to_tell, some) if told.promises or told.ends]
            if not telling:
                continue
            by_others = self._write(telling)
            with self._turn:
                for told, others in zip(telling, by_others, strict=True):
                    del told.held.untold[: len(told.promises)]
                    told.held.left += others
                    if told.ends:
                        del self._held[told.held.lease.offer_id]

    def _to_tell(self, held: _Held) -> _Told:
        if self._clock() >= held.until_s:
            held.left = 0  # nothing is promised from it any more, also if it can't be told now
        return _Told(held, held.untold[:], ends=held.left <= 0)

    def _write(self, telling: Sequence[_Told]) -> list[int]:
        """Tell the record; how much of each others had promised."""
        now_ms, by_default = int(self._clock() * 1000), self._stores_by_default

        def work(record: Record) -> list[int]:
            by_others, key = [], record.key
            with record.writing() as connection:
                for held, new, ends in telling:
                    others = tell(connection, held.lease, new, now_ms, key=key, stores_by_default=by_default)
                    by_others.append(others)
                    if ends:
                        give_back(connection, held.lease)
                # So many promises may end at a time as were made. Last: it takes a lock that is the second.
                forget_old(connection, now_ms, 2 * sum(len(new) for _, new, _ in telling))
            return by_others

        return self._done(work)

    def _done[T](self, work: Callable[[Record], T]) -> T:
        """What is written of some leases in one go; where that fails it is fewer the next time."""
        try:
            return self._door.do(work)
        except RefusedError:
            self._at_once = max(1, self._at_once // 2)
            self._fewer_until_s = self._clock() + FEWER_S
            raise

    def _lease(self) -> None:
        now_s = self._clock()
        self._spent_s = {one: at_s for one, at_s in self._spent_s.items() if 0 <= now_s - at_s < SPENT_S}
        with self._turn:
            wanted = [one for one in self._budgets() if one not in self._spent_s]
            missing = [one for one in wanted if one.offer_id not in self._held]
        for some in batched(missing, self._at_once):
            if not self._is_over:
                self._lease_some(some)

    def _lease_some(self, missing: Sequence[Budget]) -> None:
        now_s, asking = self._clock(), self._asking
        now_ms = int(now_s * 1000)
        ends_ms = int((now_s + LEASE_S + self._life_s) * 1000)

        def work(record: Record) -> list[Lease]:
            with record.writing() as connection:
                forget_old(connection, now_ms)
                return lease(connection, missing, asking, now_ms=now_ms, counts_until_ms=ends_ms)

        found = self._done(work)  # fails: asked again by the same name, nothing was promised from it
        self._asking = self._new_asking()
        for one in found:
            with self._turn:
                self._held[one.offer_id] = _Held(one, now_s + LEASE_S, one.granted)
        granted = {one.offer_id for one in found}
        self._spent_s |= {one: now_s for one in missing if one.offer_id not in granted}

    def _hear(self) -> None:
        """Learn whom others promised what: it is theirs whoever is asked, also once the budget is used up."""
        now_ms = int(self._clock() * 1000)
        found: list[ToldPromise] = []
        for piece in self._pieces(self._heard, now_ms):
            found += piece
            if len(found) >= MOST_KNOWN:
                break
        with self._turn:
            for one in reversed(found):
                key = one.offer_id, one.customer_id
                known_until_s = self._known_until(*key, now_ms / 1000) or 0.0
                self._remember(key, max(one.ends_ms / 1000, known_until_s))
        if found:
            self._heard = found[0].number

    def _pieces(self, after: int, now_ms: int) -> Iterator[list[ToldPromise]]:
        """Promises with a number after this one that hold, the last ones first."""

        def read(record: Record, before: int) -> list[ToldPromise]:
            with record.reading() as connection:
                return promised_between(connection, after, before, now_ms, PIECE)

        piece = self._door.do(partial(read, before=NEVER_MS))
        yield piece
        while len(piece) == PIECE:
            piece = self._door.do(partial(read, before=piece[-1].number))
            yield piece

    def _remember(self, key: tuple[str, str], ends_s: float) -> None:
        """Until when a promise holds; of too many the one that was known first is forgotten."""
        if key not in self._known and len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[key] = _Known(ends_s, self._erased(key[1]))

    def _new_asking(self) -> str:
        """A name that no other asking for leases ever had: process numbers come again."""
        return f"{self._worker[:95]} {token_hex(16)}"
