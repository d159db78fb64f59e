"""What holds for all tests: no time limit for a single example, and logs that end with the test."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("nextbest", deadline=None)  # machines are busy at times
settings.load_profile("nextbest")


@pytest.fixture(autouse=True)
def fresh_logs() -> Iterator[None]:
    """A command that ran in this process wrote its logs to what pytest captured, which is closed now."""
    yield
    structlog.reset_defaults()
