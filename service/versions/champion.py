"""The version that answers: opened and checked in the background, taken in one step on a new champion."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from models.arrays import NONE
from models.errors import NextbestError, UnknownVersionError
from service.answering.answers import AnswerWriter
from service.live.products import LiveProducts
from service.processes.background import now_and_every
from service.processes.file_stamp import Stamp, stamp_of
from service.telemetry.metrics import Metrics
from service.versions.opened import opened
from service.versions.served import ServedVersion
from storage.versions.store import CHAMPION, Champion, Pointer, Store

RETRY_S = 15.0  # what was refused, or failed, may have been repaired
LET_GO_S = 1.0  # until no request uses the version before
EARLIER = 5  # earlier champions to try when nothing answers yet
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Serving:
    """A version and its writer, always changed together."""

    served: ServedVersion
    writer: AnswerWriter


class ChampionFollower:
    """Follows a store's champion pointer. `current` is None until there is something to answer from."""

    def __init__(
        self, store: Store, metrics: Metrics, poll_s: float, live: LiveProducts | None = None
    ) -> None:
        self._store, self._metrics, self._poll_s = store, metrics, poll_s
        self._live = live or LiveProducts()
        self._warm_up: Callable[[Serving], object] = lambda serving: None
        self.current: Serving | None = None
        self._seen: Stamp | None = None
        self._retry_at = self._let_go_at = float("inf")
        self._last_refusal = ""

    def served(self) -> ServedVersion | None:
        """The version that answers."""
        return self.current.served if self.current else None

    def has_product(self, product_id: str) -> bool:
        """Whether the version has such a product. Before the first night nobody can tell: then every one."""
        serving = self.current
        return serving is None or serving.served.products.find(product_id) != NONE

    def knows_product(self, product_id: str) -> bool:
        """The same, also of a product that was replaced by one that the version has."""
        serving = self.current
        return serving is None or serving.served.product_row(product_id) != NONE

    def knows_offer(self, offer_id: str) -> bool:
        """Whether the version has such an offer, over or not; before the first night every one."""
        serving = self.current
        return serving is None or serving.served.offers.find(offer_id) != NONE

    @property
    def why_none(self) -> str:
        """Why there is nothing to answer from, for callers; what exactly is wrong stands in the log alone."""
        if self._last_refusal:
            return "the version that this store names can't be opened: the log of the service says why"
        return "no night has published a version to this store yet"

    def start(self, warm_up: Callable[[Serving], object]) -> None:
        """Take the champion that is there, then follow.

        Args:
            warm_up: called with what was opened before anybody is answered from it.
        """
        self._warm_up = warm_up
        now_and_every(self._poll_s, self._look_and_let_go, "champion")

    def look(self) -> None:
        """Take the champion if the pointer changed since the last look."""
        try:
            stamp = stamp_of(self._store.root / CHAMPION)
        except OSError:
            return  # none yet, or out of reach: what answers goes on
        if stamp == self._seen and time.monotonic() < self._retry_at:
            return
        self._seen, self._retry_at = stamp, time.monotonic() + RETRY_S
        try:
            champion = self._store.champion()
        except NextbestError as err:
            self._refuse(str(err))
            return
        if champion:
            self._take(champion)
            if self._answers_from(champion.current):
                self._retry_at, self._last_refusal = float("inf"), ""

    def _take(self, champion: Champion) -> None:
        serving = self._open(champion.current)
        if serving is None and self.current is None:
            earlier = map(self._open, champion.previous[:EARLIER])
            serving = next((found for found in earlier if found), None)
        if serving is None:
            return
        before, self.current = self.current, serving
        self._metrics.swapped(serving.served)
        self._let_go_at = min(self._let_go_at, time.monotonic() + LET_GO_S)
        log.info(
            "champion taken",
            version=serving.served.version_id,
            variant=serving.served.variant,
            sequence=champion.sequence,
            before=before.served.version_id if before else None,
        )

    def _open(self, pointer: Pointer) -> Serving | None:
        if self._answers_from(pointer):
            return None
        try:
            served = opened(self._store, pointer, self._live)
        except UnknownVersionError as err:
            self._refuse(
                f"the folder {self._store.versions.name}/{err.version_id} is missing that {CHAMPION} names: "
                "put it back, run `nbo-train rollback`, or run a night"
            )
            return None
        except NextbestError as err:
            self._refuse(str(err))
            return None
        serving = Serving(served, AnswerWriter(served))
        self._warm_up(serving)
        return serving

    def _answers_from(self, pointer: Pointer) -> bool:
        now = self.current.served if self.current else None
        return now is not None and (now.version_id, now.variant) == (pointer.version_id, pointer.variant)

    def _refuse(self, why: str) -> None:
        if why != self._last_refusal:
            self._last_refusal = why
            self._metrics.refused()
            answering = self.current.served.version_id if self.current else None
            log.error("version refused", why=why, answering=answering)

    def _look_and_let_go(self) -> None:
        self.look()
        self._let_go()

    def _let_go(self) -> None:
        """Free the version before: its caches hold it in cycles, with 27 open files and all that it maps."""
        if time.monotonic() >= self._let_go_at:
            self._let_go_at = float("inf")
            gc.collect()
