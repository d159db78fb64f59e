"""What one night was asked to do."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.versions.store import Store
from training.config import NightConfig
from training.fitting import recipe_of, with_horizon


@dataclass(frozen=True)
class Job:
    """What one night was asked to do.

    Attributes:
        data: folder or database URL.
        as_of: aware; None for just after the last purchase.
        now: aware; the night's own time, which names its run and its version.
        force: publish whatever the gate says.
    """

    data: str
    store: Store
    config: NightConfig
    as_of: datetime | None
    now: datetime
    force: bool = False

    @property
    def default_variant(self) -> str:
        return self.config.night.default_variant

    @property
    def run_id(self) -> str:
        return f"{self.now:%Y%m%dT%H%M%SZ}"

    @property
    def folder(self) -> Path:
        """Where this night's report and rejects go."""
        return self.store.runs / self.run_id

    def options_of(self, variant: str) -> dict[str, Any]:
        """A variant's options as configured, with the horizon."""
        configured = self.config.variant_options()[variant]
        return with_horizon(variant, configured, self.config.night.horizon_days)

    def recipe_of(self, variant: str) -> str:
        """What the gate compares."""
        return recipe_of(variant, self.options_of(variant))
