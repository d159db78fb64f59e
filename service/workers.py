"""Granian's server with our rule for workers that die: another takes their place, unless none gets to work.

Granian ends the service when the same worker dies again within 5.5 s, as if it couldn't start. A worker that
was killed did start: only several in a row that end right after their birth are a reason to give up, and then
whoever supervises the service sees it end.
"""

import time
from typing import Any

import structlog
from granian.server.mp import MPServer

EARLY_S = 2.0  # a worker that ended sooner than this never answered
GIVE_UP = 5
PAUSE_S = 0.5
log = structlog.get_logger()


class Workers(MPServer):
    """The parent of the workers, and their server."""

    early_deaths = 0

    def _respawn_workers(
        self, workers: list[int], spawn_target: Any, target_loader: Any, delay: float = 0
    ) -> None:
        """Called by Granian with the places of those that ended."""
        youngest_s = min(time.monotonic() - self.wrks[place].birth for place in workers)
        self.early_deaths = self.early_deaths + 1 if youngest_s < EARLY_S else 0
        log.warning("a worker ended, starting another", workers=len(workers), age_s=round(youngest_s, 1))
        if self.early_deaths:
            time.sleep(PAUSE_S)
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        if self.early_deaths < GIVE_UP:
            self.respawned_wrks.clear()  # what Granian judges by
