"""The handbook's own lines for backup and restore, run with sh on a store that is then lost."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

from service.access.routes import Scope
from storage.keyring import change_keyring, read_keyring
from storage.store import Store
from tests.data.credentials import Credentials, bearer
from tests.data.running_service import running_service
from tests.data.tiny_version import AS_OF, publish

OPERATIONS = (Path(__file__).parents[2] / "docs/operations.md").read_text()


def lines(title: str) -> str:
    found = re.search(rf"```sh\n# {title}.*?\n(.*?)```", OPERATIONS, re.DOTALL)
    assert found, title
    return found[1]


def test_a_store_that_is_lost_is_restored_by_the_handbooks_lines_and_answers(tmp_path: Path) -> None:
    store, shop = Store(tmp_path / "store"), Credentials()
    store.root.mkdir()
    key = shop.api_key(Scope.RECOMMEND)
    first = publish(store)
    second = publish(store, now=AS_OF + timedelta(days=1))
    change_keyring(store.root, lambda _: shop.keyring)
    (tmp_path / "backup").mkdir()
    env = {"PATH": "/usr/bin:/bin", "STORE": str(store.root), "BACKUP": str(tmp_path / "backup")}
    subprocess.run(["sh", "-euc", lines("back up STORE")], env=env, check=True)
    shutil.rmtree(store.root)
    subprocess.run(["sh", "-euc", lines("restore BACKUP")], env=env, check=True)
    assert (store.root / "access.json").stat().st_mode & 0o777 == 0o600
    assert read_keyring(store.root) == shop.keyring
    assert {path.stat().st_mode & 0o777 for path in store.versions.rglob("*.npy")} == {0o444}
    with running_service(store.root, tmp_path / "log") as running:
        answer = running.get("/recommend/anna", headers=bearer(key))
        assert answer.json()["version"] == second
        assert running.get("/recommend/anna").status_code == 401
    assert store.rollback(now=AS_OF).current.version_id == first
