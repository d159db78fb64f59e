"""The record as a worker uses it: opened when it is first needed, never waited for longer than was set.

And as the parent prepares it for all of them, as often as it takes.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from models.errors import NextbestError
from service.errors import RefusedError
from service.settings import Settings
from storage.bounded import Bounded
from storage.record.erasure_key import load_erasure_key
from storage.record.errors import BadRecordUrlError, ErasureKeyError, RecordUnavailableError
from storage.record.record import Record, expect_no_other_record, open_record, record_url
from storage.record.schema import prepare
from storage.record.service_default import note_service_default

RETRY_S = 5.0
LOG_GAP_S = 1.0  # between lines of different reasons
NOTE_MS = 2000
SAME_GAP_S = 60.0  # of one reason: several threads of each worker ask each second
ASK_AGAIN_S = 1
NOT_READ = "no answer: ask again"
SEND_AGAIN = "no answer; what was sent may have been kept all the same: send it again"
ERASE_AGAIN = "no answer; it may have been done all the same: ask again, twice does no harm"
LOOK_FIRST = "no answer; it may have been done, and twice would go back one more: see GET /rules first"
log = structlog.get_logger()


class RecordCounters(Protocol):
    """Who counts what the record didn't do."""

    def record_failed(self) -> None: ...


class Door(Protocol):
    """The way to the record; RefusedError where it can't be used, with `if_away` as its reason."""

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T: ...


@dataclass(frozen=True, slots=True)
class AtHand:
    """The way to a record that a command opened by itself."""

    record: Record

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        return work(self.record)


class RecordDoor:
    """The one way of a worker to the record."""

    def __init__(
        self, settings: Settings, counters: RecordCounters, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._counters, self._clock = settings, counters, clock
        self._wait_s = settings.record_timeout_ms / 1000
        self._bounded = Bounded(self._wait_s, "record")
        self._record: Record | None = None
        self._said, self._said_s = "", -SAME_GAP_S

    def connect_soon(self) -> None:
        """Connect now, so that whoever comes first needn't wait for it."""
        self._bounded.begin(self._connect)

    def _connect(self) -> None:
        with self._opened().reading():
            pass

    def do[T](self, work: Callable[[Record], T], if_away: str = NOT_READ) -> T:
        """What the work returns.

        Args:
            if_away: what a caller is told to do where the record can't be used: after a read another thing
                than after what may have been done.
        Raises:
            RefusedError: the record can't be used now; the work may have been done or not.
        """
        try:
            done = self._bounded.do(lambda: work(self._opened()))
        except NextbestError as err:
            self._counters.record_failed()
            self._say(err)
            if isinstance(err, RecordUnavailableError) and err.is_full:
                raise RefusedError("no_room", None, "there is no room to keep it") from err
            raise RefusedError("record_unavailable", None, if_away, ASK_AGAIN_S) from err
        self._said = ""
        return done

    def _opened(self) -> Record:
        if self._record is None:
            wait_ms = self._settings.record_timeout_ms
            self._record = _open(self._settings, lock_ms=wait_ms * 3 // 4, statement_ms=wait_ms)
        return self._record

    def _say(self, err: NextbestError) -> None:
        why, now_s = str(err), self._clock()
        if now_s >= self._said_s + (SAME_GAP_S if why == self._said else LOG_GAP_S):
            self._said, self._said_s = why, now_s
            log.error("the record can't be used", why=why)


def prepare_record(settings: Settings) -> None:
    """Make the record's tables and key before the workers start; if that can't be done yet, keep trying.

    Answers need no record: a database that is down must not keep the service from starting.

    Raises:
        NextbestError: the record is newer than this release, or its URL can't be used.
    """
    try:
        _expect_no_other(settings)
    except BadRecordUrlError as err:  # nobody who said no or was erased is known to a new one
        log.warning("a new record is begun", why=str(err))
    try:
        _prepare_and_note(settings)
    except (RecordUnavailableError, ErasureKeyError) as err:
        log.error("the record can't be prepared, events are refused until it can", why=str(err))
        threading.Thread(target=_keep_trying, args=(settings,), name="record", daemon=True).start()


def prepare_now(settings: Settings) -> None:
    """The same, or fail at once. Raises also where the record can't be reached, or is elsewhere."""
    _expect_no_other(settings)
    _prepare(settings)


def _expect_no_other(settings: Settings) -> None:
    if url_of(settings) is None:
        expect_no_other_record(settings.store)


def _prepare(settings: Settings) -> None:
    url = record_url(settings.store, url_of(settings))
    load_erasure_key(settings.store, secret_of(settings))
    before = prepare(url)
    log.info("record ready", record=url.render_as_string(hide_password=True), schema_before=before)


def _prepare_and_note(settings: Settings) -> None:
    _prepare(settings)
    record = _open(settings, lock_ms=NOTE_MS, statement_ms=NOTE_MS)
    try:
        note_service_default(record, settings.consent_default)
    finally:
        record.close()


def _open(settings: Settings, *, lock_ms: int, statement_ms: int) -> Record:
    url, secret = url_of(settings), secret_of(settings)
    return open_record(settings.store, url, secret, lock_ms=lock_ms, statement_ms=statement_ms)


def _keep_trying(settings: Settings) -> None:
    while True:
        time.sleep(RETRY_S)
        try:
            _prepare_and_note(settings)
            return
        except (RecordUnavailableError, ErasureKeyError):
            continue  # it was said once, and workers say it whenever they need the record
        except NextbestError as err:
            log.error("the record can't be used by this release", why=str(err))
            return


def url_of(settings: Settings) -> str | None:
    """Where the shop wants the record; None: in the store."""
    return settings.record_url.get_secret_value() if settings.record_url else None


def secret_of(settings: Settings) -> str | None:
    """The shop's own key for erased ids; None: the store's."""
    return settings.erasure_key.get_secret_value() if settings.erasure_key else None
