"""Where keys are trusted, only what one of them signed is opened; every forgery is refused by name."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from models.errors import DamagedVersionError
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from storage.versions.signing import SIGNATURE, Signer, Signers, UnusableSigningKeyError
from storage.versions.store import Store
from storage.versions.version import MANIFEST
from tests.data.tiny_version import publish
from tests.data.versions import small_version

NOW = datetime(2018, 1, 1, 2, 30, tzinfo=UTC)


@pytest.fixture
def pems(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public half, as files."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "night.pem", tmp_path / "night.pub.pem"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def store(tmp_path: Path, pems: tuple[Path, Path]) -> Store:
    """A store that signs what it writes and takes only that."""
    return Store(tmp_path / "store", signer=Signer.read(pems[0]), signers=Signers.read([pems[1]]))


def replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_what_was_signed_is_opened_and_another_stores_signature_is_not(store: Store) -> None:
    version_id = small_version(store, NOW)
    assert store.open(version_id).version_id == version_id
    stranger = Signers((Ed25519PrivateKey.generate().public_key(),))
    with pytest.raises(DamagedVersionError, match=r"manifest\.sig: not signed by a key"):
        Store(store.root, signers=stranger).open(version_id)


def test_either_of_two_keys_will_do_while_one_replaces_the_other(
    store: Store, pems: tuple[Path, Path]
) -> None:
    version_id = small_version(store, NOW)
    new = Ed25519PrivateKey.generate().public_key()
    both = Signers.read([pems[1]])
    assert both
    assert Store(store.root, signers=Signers((new, *both.keys))).open(version_id)


def test_where_no_key_is_trusted_everything_whole_is_opened(tmp_path: Path) -> None:
    plain = Store(tmp_path / "plain")
    version_id = small_version(plain, NOW)
    assert not (plain.versions / version_id / SIGNATURE).exists()
    assert plain.open(version_id)


def test_an_unsigned_version_is_refused_where_keys_are_trusted(store: Store) -> None:
    version_id = small_version(Store(store.root), NOW)
    with pytest.raises(DamagedVersionError, match="only signed versions"):
        store.promote(version_id, now=NOW, why="a test")


def test_a_signature_that_can_not_be_opened_says_why(store: Store) -> None:
    version_id = small_version(store, NOW)
    signature = store.versions / version_id / SIGNATURE
    signature.unlink()
    signature.mkdir()
    with pytest.raises(DamagedVersionError, match=r"manifest\.sig: can't be opened: Is a directory"):
        store.open(version_id)


def test_a_manifest_that_was_made_anew_has_no_signature_that_fits(store: Store) -> None:
    version_id = small_version(store, NOW)
    folder = store.versions / version_id
    forged = Store(store.root / "forger")
    forged_id = small_version(forged, NOW, seed=1)
    target = store.versions / forged_id
    shutil.copytree(forged.versions / forged_id, target)
    shutil.copyfile(folder / SIGNATURE, target / SIGNATURE)  # of another manifest
    with pytest.raises(DamagedVersionError, match="not signed by a key"):
        store.open(forged_id)


@pytest.mark.parametrize("content", [b"", b"short", b"\0" * 64, b"\0" * 65])
def test_what_is_no_signature_is_refused(store: Store, content: bytes) -> None:
    version_id = small_version(store, NOW)
    replace(store.versions / version_id / SIGNATURE, content)
    with pytest.raises(DamagedVersionError, match="not signed"):
        store.open(version_id)


def test_every_changed_byte_of_the_manifest_breaks_its_signature(store: Store) -> None:
    folder = store.versions / small_version(store, NOW)
    text = (folder / MANIFEST).read_bytes()
    for place in range(0, len(text), 97):
        replace(folder / MANIFEST, text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(DamagedVersionError, match="not signed"):
            store.open(folder.name)


def test_the_day_goes_on_with_the_signed_version_when_an_unsigned_one_is_promoted(store: Store) -> None:
    signed = publish(store)
    follower = ChampionFollower(store, Metrics(None), poll_s=1)
    follower.look()
    publish(Store(store.root), now=NOW + timedelta(days=1))
    follower.look()
    assert follower.current
    assert follower.current.served.version_id == signed


@pytest.mark.parametrize("reads", [Signer.read, lambda path: Signers.read([path])])
def test_a_file_without_such_a_key_is_named(tmp_path: Path, reads: Callable[[Path], object]) -> None:
    other = X25519PrivateKey.generate()
    private = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in [("no.pem", b"nothing"), ("kind.pem", private), ("kind.pub", public)]:
        (tmp_path / name).write_bytes(content)
    for name in ("no.pem", "kind.pem", "kind.pub", "absent.pem"):
        with pytest.raises(UnusableSigningKeyError, match=name):
            reads(tmp_path / name)
