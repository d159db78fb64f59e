"""The keyring as a worker follows it: new and revoked keys count, and faults let nobody in who wasn't."""

import json
import time
from pathlib import Path

import pytest

from service.access.callers import Callers
from service.access.follower import CallersFollower
from storage.keyring import KEYRING, Keyring, change_keyring
from tests.data.credentials import Credentials
from tests.data.tiny_service import ISSUED


class Counters:
    def __init__(self) -> None:
        self.is_unreadable = False

    def keyring_unreadable(self, is_unreadable: bool) -> None:
        self.is_unreadable = is_unreadable


def follower(root: Path, *, may_be_open: bool = True, counters: Counters | None = None) -> CallersFollower:
    found = CallersFollower(root, ISSUED, counters or Counters(), may_be_open=may_be_open, poll_s=1)
    found.look()
    return found


def write(root: Path, keyring: Keyring) -> None:
    change_keyring(root, lambda _: keyring)


def knows(followed: CallersFollower, key: str) -> bool:
    return followed.current.by_key(f"Bearer {key}", b"digest") is not None


def test_it_is_open_until_the_first_key_is_made_and_never_again(tmp_path: Path) -> None:
    followed = follower(tmp_path)
    assert followed.current.is_open
    write(tmp_path, Credentials().keyring)
    followed.look()
    assert not followed.current.is_open
    (tmp_path / KEYRING).unlink()
    followed.look()
    assert not followed.current.is_open


def test_a_service_that_may_not_be_open_is_closed_without_keys(tmp_path: Path) -> None:
    assert not follower(tmp_path, may_be_open=False).current.is_open


def test_nobody_is_in_before_the_first_look(tmp_path: Path) -> None:
    assert not CallersFollower(tmp_path, ISSUED, Counters(), may_be_open=True, poll_s=1).current.is_open


def test_a_revoked_key_is_nobodys_and_what_was_remembered_of_it_is_gone(tmp_path: Path) -> None:
    shop = Credentials()
    write(tmp_path, shop.keyring)
    followed = follower(tmp_path)
    assert knows(followed, shop.shop)
    assert followed.current.known
    ring = shop.keyring
    revoked = tuple(key.model_copy(update={"state": "revoked"}) for key in ring.api_keys)
    write(tmp_path, ring.model_copy(update={"api_keys": revoked}))
    followed.look()
    assert not knows(followed, shop.shop)
    assert not followed.current.known


def test_without_the_file_nobody_is_known_any_more(tmp_path: Path) -> None:
    shop = Credentials()
    write(tmp_path, shop.keyring)
    followed = follower(tmp_path)
    (tmp_path / KEYRING).unlink()
    followed.look()
    assert not knows(followed, shop.shop)


def test_a_file_that_cannot_be_read_changes_nothing_and_is_shown(tmp_path: Path) -> None:
    shop, counters = Credentials(), Counters()
    write(tmp_path, shop.keyring)
    followed = follower(tmp_path, counters=counters)
    (tmp_path / KEYRING).write_text("{")
    followed.look()
    assert knows(followed, shop.shop)
    assert counters.is_unreadable
    write_again = json.loads(shop.keyring.model_dump_json())
    (tmp_path / KEYRING).write_text(json.dumps(write_again))
    followed.look()
    assert not counters.is_unreadable


def test_a_worker_that_starts_with_a_file_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / KEYRING).write_text("{")
    followed = follower(tmp_path)
    assert not followed.current.is_open
    assert not knows(followed, Credentials().shop)


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, Credentials().keyring)
    followed = follower(tmp_path)
    before = followed.current
    followed.look()
    assert followed.current is before


def test_one_token_key_that_is_none_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    shop = Credentials()
    broken = shop.ed25519.model_copy(update={"key_id": "broken", "check": "x" * 40})
    ring = shop.keyring
    write(tmp_path, ring.model_copy(update={"token_keys": (broken, *ring.token_keys)}))
    followed = follower(tmp_path)
    caller = followed.current.by_token(f"Bearer {shop.token('anna')}", b"digest", now_s=time.time())
    assert caller.customer_id == "anna"


def test_a_worker_remembers_no_more_credentials_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.access.callers.KNOWN_MAX", 10)
    shop = Credentials()
    callers = Callers(shop.keyring, ISSUED, is_open=False)
    for number in range(50):
        header = f"Bearer {shop.token(str(number), shop.hs256)}"
        callers.by_token(header, str(number).encode(), time.time())
        assert len(callers.known) <= 10
    assert callers.known[b"49"].customer_id == "49"
