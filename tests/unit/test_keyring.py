"""The file of keys: one step at a time, for its owner's eyes only, whole or not changed at all."""

import json
import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.access.new_keys import Labels, new_api_key, new_token_key
from service.access.routes import Scope
from storage.keyring import (
    KEYRING,
    ApiKey,
    DamagedKeyringError,
    Keyring,
    UnusableKeyError,
    change_keyring,
    marked,
    read_keyring,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def made(name: str = "shop") -> ApiKey:
    return new_api_key(Labels(name, "active", NOW, None), frozenset({Scope.BROWSE}), os.urandom)[0]


def add(root: Path, key: ApiKey) -> None:
    change_keyring(root, lambda ring: ring.model_copy(update={"api_keys": (*ring.api_keys, key)}))


def test_a_store_without_the_file_has_no_keys(tmp_path: Path) -> None:
    assert read_keyring(tmp_path).is_empty


def test_what_was_written_is_read_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    key = made()
    add(tmp_path, key)
    assert read_keyring(tmp_path).api_keys == (key,)
    assert [path.name for path in tmp_path.iterdir()] == [KEYRING]
    assert (tmp_path / KEYRING).stat().st_mode & 0o777 == 0o600


def test_of_an_api_key_and_of_a_private_key_nothing_is_kept_that_could_be_used(tmp_path: Path) -> None:
    labels = Labels("shop", "active", NOW, None)
    key, text = new_api_key(labels, frozenset({Scope.BROWSE}), os.urandom)
    token_key, private = new_token_key(labels, "EdDSA", os.urandom)
    change_keyring(tmp_path, lambda _: Keyring(api_keys=(key,), token_keys=(token_key,)))
    kept = (tmp_path / KEYRING).read_text()
    assert text.split("_", 2)[2] not in kept
    assert private.splitlines()[1] not in kept


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"format": 2}', '{"format": 1, "more": 1}', '{"api_keys": [{"key_id": "x"}]}', "\xff"],
)
def test_a_damaged_file_is_refused_and_left_as_it_is(damage: str, tmp_path: Path) -> None:
    (tmp_path / KEYRING).write_text(damage, encoding="latin-1")
    with pytest.raises(DamagedKeyringError):
        read_keyring(tmp_path)
    with pytest.raises(DamagedKeyringError):
        add(tmp_path, made())
    assert (tmp_path / KEYRING).read_text(encoding="latin-1") == damage


def test_what_is_said_of_a_damaged_file_shows_none_of_it(tmp_path: Path) -> None:
    (tmp_path / KEYRING).write_text(json.dumps({"token_keys": [{"check": "s3cret" * 9, "key_id": "a b"}]}))
    with pytest.raises(DamagedKeyringError) as caught:
        read_keyring(tmp_path)
    assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"


def test_two_keys_of_one_id_are_refused(tmp_path: Path) -> None:
    key = made()
    add(tmp_path, key)
    with pytest.raises(ValueError, match="same id"):
        add(tmp_path, key)
    assert read_keyring(tmp_path).api_keys == (key,)


def test_a_key_goes_through_its_states_and_revoked_is_the_last() -> None:
    keys = (made("a"), made("b"))
    first = keys[0].key_id
    retiring = marked(keys, first, "retiring", NOW + timedelta(days=7))
    assert retiring[0].state == "retiring"
    assert retiring[0].expires_at == NOW + timedelta(days=7)
    assert retiring[1] == keys[1]
    # A key that ends earlier isn't given more time.
    assert marked(retiring, first, "active", NOW + timedelta(days=30))[0].expires_at == NOW + timedelta(
        days=7
    )
    revoked = marked(retiring, first, "revoked")
    assert not revoked[0].is_usable(NOW)
    with pytest.raises(UnusableKeyError, match="for good"):
        marked(revoked, first, "active")
    with pytest.raises(UnusableKeyError, match="none of this id"):
        marked(keys, "nope", "revoked")


def test_a_key_ends_at_its_second() -> None:
    key = made().model_copy(update={"expires_at": NOW})
    assert key.is_usable(NOW - timedelta(seconds=1))
    assert not key.is_usable(NOW)


def _add_many(root: Path, count: int) -> None:
    for _ in range(count):
        add(root, made())


def test_commands_at_the_same_time_lose_no_key(tmp_path: Path) -> None:
    processes = [multiprocessing.Process(target=_add_many, args=(tmp_path, 10)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(read_keyring(tmp_path).api_keys) == 40


def test_a_command_that_is_killed_leaves_a_whole_file_and_nothing_beside_it(tmp_path: Path) -> None:
    add(tmp_path, made())
    for _ in range(5):
        process = multiprocessing.Process(target=_add_many, args=(tmp_path, 10_000))
        process.start()
        before = len(read_keyring(tmp_path).api_keys)
        while len(read_keyring(tmp_path).api_keys) < before + 3:
            time.sleep(0.002)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        read_keyring(tmp_path)
    (tmp_path / f".{KEYRING}.left").write_text("a secret")
    add(tmp_path, made())
    assert [path.name for path in tmp_path.iterdir()] == [KEYRING]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_whom_the_store_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    add(tmp_path, made())
    facts = (tmp_path / KEYRING).stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o777) == (12345, 12345, 0o600)
