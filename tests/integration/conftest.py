"""A shop and a real night on it for the integration tests, each made once for all workers of a run."""

import pickle
from collections.abc import Callable
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.data.nights import Ran, ranker_config, run_process
from tests.data.webshop import habits, write_shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 customers with habits, 80 products of which two are sold out, 100 days."""
    return write_shop(tmp_path_factory.mktemp("shop"), habits(), sold_out=(0, 3))


@pytest.fixture(scope="session")
def published(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """A store after the first night on the shop, and what the night said. Copy it to change it."""

    def first_night(folder: Path) -> tuple[Path, Ran]:
        store, config = folder / "store", ranker_config(folder)
        return store, run_process("nightly", "--data", shop, "--store", store, "--config", config)

    return made_once(tmp_path_factory, "published", first_night)


def made_once[Made](
    tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Made]
) -> Made:
    """What `make` makes in a folder that is given, by the first worker of pytest-xdist that wants it."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / name  # each worker has a part of it
    folder.mkdir(exist_ok=True)
    kept = folder / "made.pickle"
    with (folder / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not kept.exists():
            kept.write_bytes(pickle.dumps(make(folder)))
        return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return]  # noqa: S301  # our own
