"""Follows the keyring of a store, so that a new or revoked key counts within seconds, without a restart."""

import time
from pathlib import Path
from typing import Protocol

import structlog

from service.access.callers import Callers
from service.access.tokens import Issued
from service.processes.background import now_and_every
from service.processes.file_stamp import Stamp, stamp_of
from storage.keyring import KEYRING, DamagedKeyringError, Keyring, read_keyring

RETRY_S = 5.0  # a file that couldn't be read may be readable now
log = structlog.get_logger()


class KeyringCounters(Protocol):
    """Who shows that a keyring can't be read."""

    def keyring_unreadable(self, is_unreadable: bool) -> None: ...


class CallersFollower:
    """Holds the callers that are known now in `current`; nobody at all before the first look.

    While the file can't be read those known before go on: it is replaced in one step, so this is a fault of
    disk or rights, and a shop's answers outlive it. Once keys were seen, a missing file lets nobody in.

    Args:
        root: of the store.
        issued: by whom and for whom tokens must be.
        may_be_open: without any key everybody may call.
        poll_s: how often to look, in seconds.
    """

    def __init__(
        self, root: Path, issued: Issued, counters: KeyringCounters, *, may_be_open: bool, poll_s: float
    ) -> None:
        self._root, self._issued, self._counters, self._poll_s = root, issued, counters, poll_s
        self._may_be_open, self._retry_at = may_be_open, float("inf")
        self._seen: Stamp | None = None
        self._is_first = True
        self.current = Callers(Keyring(), issued, is_open=False)

    def start(self) -> None:
        """Look now, then go on looking."""
        now_and_every(self._poll_s, self.look, "keyring")

    def look(self) -> None:
        """Read the keyring if it changed since the last look."""
        try:
            stamp = stamp_of(self._root / KEYRING)
        except OSError:
            stamp = None  # it isn't there, or is out of reach
        if stamp == self._seen and not self._is_first and time.monotonic() < self._retry_at:
            return
        self._is_first, self._seen, self._retry_at = False, stamp, time.monotonic() + RETRY_S
        try:
            keyring = read_keyring(self._root)
        except DamagedKeyringError as err:
            self._counters.keyring_unreadable(True)
            log.error("keys can't be read, those known before go on", why=str(err))
            return
        self._counters.keyring_unreadable(False)
        self._take(keyring)
        self._retry_at = float("inf")

    def _take(self, keyring: Keyring) -> None:
        self._may_be_open = self._may_be_open and keyring.is_empty
        self.current = Callers(keyring, self._issued, is_open=self._may_be_open)
        usable = [key for key in (*keyring.api_keys, *keyring.token_keys) if key.state != "revoked"]
        log.info("keys taken", usable=len(usable), open=self._may_be_open)
