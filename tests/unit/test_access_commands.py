"""`nbo-serve keys`, `token-keys` and `token`: what they print, keep, and refuse in a line."""

import re
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.access.callers import Callers
from service.access.tokens import private_key
from service.cli import main
from storage.keyring import KEYRING, read_keyring
from tests.data.tiny_service import ISSUED


@pytest.fixture
def run(tmp_path: Path) -> "Runner":
    return Runner(tmp_path)


class Runner:
    """Runs commands on one store."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def __call__(self, *words: str, code: int = 0, stdin: str | None = None) -> Result:
        ended = CliRunner().invoke(main, words, env={"NEXTBEST_STORE": str(self.store)}, input=stdin)
        assert ended.exit_code == code, ended.output
        return ended

    def printed(self, *words: str) -> str:
        return self(*words).stdout.strip()

    @property
    def callers(self) -> Callers:
        return Callers(read_keyring(self.store), ISSUED, is_open=False)


def test_a_new_key_is_printed_once_and_is_taken(run: Runner) -> None:
    text = run.printed(
        "keys", "create", "--name", "shop back end", "--scope", "recommend", "--scope", "browse"
    )
    assert re.fullmatch(r"nbk_[0-9a-f]{8}_[\w-]{43}", text)
    caller = run.callers.by_key(f"Bearer {text}", b"digest")
    assert caller is not None
    assert caller.may == {"recommend", "recommend_many", "offers", "reorder", "basket", "popular", "similar"}
    assert text not in (run.store / KEYRING).read_text()


def test_the_list_shows_all_but_the_secrets(run: Runner) -> None:
    key = run.printed("keys", "create", "--name", "shop", "--scope", "browse", "--days", "30")
    secret = run.printed("token-keys", "create", "--name", "pages", "--algorithm", "HS256", "--state", "next")
    pem = run.printed("token-keys", "create", "--name", "new pages")
    listed = run.printed("keys", "list")
    assert re.fullmatch(rf"{key.split('_')[1]}  active    browse +made \S+  ends 20\S+ \S+ +shop", listed)
    tokens = run.printed("token-keys", "list")
    assert re.search(r"^[0-9a-f]{8}  next      HS256 +made \S+  ends never +pages$", tokens, re.M)
    for told in (key.split("_", 2)[2], secret, pem.splitlines()[1]):
        assert told not in listed + tokens


def test_an_empty_list_says_how_to_begin(run: Runner) -> None:
    assert "nbo-serve keys create" in run("keys", "list").stderr
    assert "nbo-serve token-keys create" in run("token-keys", "list").stderr


def test_a_key_is_marked_and_revoked_for_good(run: Runner) -> None:
    text = run.printed("keys", "create", "--name", "shop", "--scope", "browse")
    key_id = text.split("_")[1]
    assert run.printed("keys", "mark", key_id, "retiring", "--days", "7") == f"{key_id}: retiring"
    caller = run.callers.by_key(f"Bearer {text}", b"digest")
    assert caller is not None
    assert caller.is_retiring
    assert 6.9 < (caller.expires_s - time.time()) / 86_400 < 7.1
    assert run.printed("keys", "revoke", key_id) == f"{key_id}: revoked"
    assert run.callers.by_key(f"Bearer {text}", b"digest") is None
    assert "it is revoked, for good" in run("keys", "mark", key_id, "active", code=1).stderr


def test_a_key_of_the_other_kind_or_of_none_is_not_found(run: Runner) -> None:
    key_id = run.printed("keys", "create", "--name", "shop", "--scope", "browse").split("_")[1]
    assert run("token-keys", "revoke", key_id, code=1).stderr.startswith(
        f"nbo-serve: key {key_id}: there is none"
    )
    assert run("keys", "revoke", "nope", code=1).stderr == (
        "nbo-serve: key nope: there is none of this id and kind\n"
    )


def test_an_operators_key_is_for_nothing_else(run: Runner) -> None:
    ended = run("keys", "create", "--name", "x", "--scope", "operate", "--scope", "browse", code=1)
    assert ended.stderr == "nbo-serve: a key with the scope operate has no other: make two keys\n"
    assert read_keyring(run.store).is_empty


@pytest.mark.parametrize("name", ["", "a\nb", "<script>", "x" * 65])
def test_a_name_that_could_spoil_a_list_is_refused_in_a_line(run: Runner, name: str) -> None:
    ended = run("keys", "create", "--name", name, "--scope", "browse", code=1)
    assert ended.stderr.startswith("nbo-serve: name: ")
    assert ended.stderr.count("\n") == 1


def test_a_store_that_is_not_there_is_not_made(run: Runner) -> None:
    ended = run("keys", "create", "--store", f"{run.store}/typo", "--name", "x", "--scope", "browse", code=2)
    assert "does not exist" in ended.stderr
    assert not (run.store / "typo").exists()


def test_a_token_by_a_private_key_is_taken(run: Runner) -> None:
    pem = run.printed("token-keys", "create", "--name", "pages")
    (run.store / "private.pem").write_text(pem)
    token = run.printed("token", "--private-key", f"{run.store}/private.pem", "anna")
    assert run.callers.by_token(f"Bearer {token}", b"digest", time.time()).customer_id == "anna"
    assert "--private-key FILE" in run("token", "anna", code=1).stderr


def test_a_token_by_a_shared_secret_is_taken_and_lives_as_long_as_asked(run: Runner) -> None:
    run("token-keys", "create", "--name", "pages", "--algorithm", "HS256")
    token = run.printed("token", "--life-s", "60", "anna")
    caller = run.callers.by_token(f"Bearer {token}", b"digest", time.time())
    assert 50 < caller.expires_s - time.time() <= 60
    run("token", "--life-s", "901", "anna", code=2)


def test_tokens_are_signed_with_an_active_key_or_the_one_that_is_named(run: Runner) -> None:
    assert "there is none" in run("token", "anna", code=1).stderr
    coming = run("token-keys", "create", "--name", "a", "--algorithm", "HS256", "--state", "next")
    key_id = coming.stderr.removeprefix("key id: ").strip()
    assert "there is none" in run("token", "anna", code=1).stderr
    assert run.printed("token", "--key-id", key_id, "anna").count(".") == 2


def test_of_several_keys_the_one_of_the_private_key_is_named_in_the_token(run: Runner) -> None:
    for name in ("old", "new"):
        (run.store / f"{name}.pem").write_text(run.printed("token-keys", "create", "--name", name))
    shared = run("token-keys", "create", "--name", "z", "--algorithm", "HS256").stderr
    for name in ("old", "new"):
        token = run.printed("token", "--private-key", f"{run.store}/{name}.pem", "anna")
        assert run.callers.by_token(f"Bearer {token}", b"digest", time.time()).customer_id == "anna"
    words = ("--private-key", f"{run.store}/old.pem", "--key-id", shared.removeprefix("key id: ").strip())
    assert "there is none of this private key" in run("token", *words, "anna", code=1).stderr
    run("token-keys", "revoke", read_keyring(run.store).token_keys[0].key_id)
    assert "there is none of this private key" in run("token", *words[:2], "anna", code=1).stderr


def test_a_public_key_of_the_shops_own_is_imported_under_its_own_id(run: Runner) -> None:
    other = Runner(run.store / "elsewhere")
    other.store.mkdir()
    pem = other.printed("token-keys", "create", "--name", "x")
    public = private_key(pem.encode()).public_key()
    text = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    told = run("token-keys", "import", "--name", "shop", "--key-id", "2026-11", "-", stdin=text)
    assert told.stderr == "key id: 2026-11\n"
    (run.store / "private.pem").write_text(pem)
    token = run.printed("token", "--private-key", f"{run.store}/private.pem", "anna")
    assert run.callers.by_token(f"Bearer {token}", b"digest", time.time()).key_id == "2026-11"
    for words, wrong in (
        (("--key-id", "2026-11"), "two keys have the same id"),
        (("--key-id", "a b"), "key_id: "),
    ):
        refused = run("token-keys", "import", "--name", "x", *words, "-", stdin=text, code=1)
        assert wrong in refused.stderr
    refused = run("token-keys", "import", "--name", "x", "-", stdin=pem, code=1)
    assert refused.stderr == "nbo-serve: not a public key in PEM\n"


def test_a_damaged_keyring_is_told_in_a_line(run: Runner) -> None:
    (run.store / KEYRING).write_text("{")
    assert "not a file of keys" in run("keys", "list", code=1).stderr
