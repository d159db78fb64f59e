"""A shop and a real night on it for the integration tests, each made once."""

from pathlib import Path

import pytest

from tests.data.nights import Ran, ranker_config, run_process
from tests.data.webshop import habits, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 customers with habits, 120 products of which two are sold out, 120 days."""
    return write_shop(tmp_path_factory.mktemp("shop"), habits(), sold_out=(0, 3))


@pytest.fixture(scope="session")
def published(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A store after the first night on the shop, and what the night said. Copy it to change it."""
    folder = tmp_path_factory.mktemp("published")
    store, config = folder / "store", ranker_config(folder)
    return store, run_process("nightly", "--data", shop, "--store", store, "--config", config)
