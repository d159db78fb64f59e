"""`nbo-train versions`, `promote` and `rollback`, as a person types them."""

import json
import shutil
import time
from pathlib import Path

import pytest

from tests.data.nights import champion, newest, quick_config, run, run_process, version_ids
from tests.data.webshop import habits, write_shop


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two versions; the newer one is champion."""
    folder = tmp_path_factory.mktemp("two")
    lines = habits(customers=100, products=40, days=60)
    shop = write_shop(folder / "shop", lines)
    for day in ("2011-01-15", "2011-01-25"):
        config = quick_config(folder)
        ran = run("nightly", "--data", shop, "--store", folder / "s", "--as-of", day, "--config", config)
        assert ran.code == 0, ran.err
        time.sleep(1)  # versions of one second are not in the order of their making
    return folder / "s"


@pytest.fixture
def store(two_nights: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two_nights, tmp_path / "store"))


def test_versions_are_listed_newest_first_whole_and_the_champion_is_marked(store: Path) -> None:
    older, newer = version_ids(store)
    ran = run_process("versions", "--store", store)
    assert ran.code == 0
    lines = ran.out.splitlines()
    ndcg = newest(store).gate.figures["challenger_ndcg"]
    assert lines[0] == f"* {newer}  as of 2011-01-25  repeat  NDCG@10 {ndcg:.4f}  published"
    assert lines[1] == f"    {newest(store).gate.why}"
    assert lines[2].startswith(f"  {older}  as of 2011-01-15  repeat  NDCG@10 0.")
    assert len(lines) == 4


def test_another_variant_than_the_version_s_own_is_told_with_why_it_answers(store: Path) -> None:
    path = store / "champion.json"
    told = json.loads(path.read_text())
    told["current"] |= {"variant": "popular", "why": "shipped by experiment one"}
    path.write_text(json.dumps(told))
    lines = run("versions", "--store", store).out.splitlines()
    assert lines[2] == "    popular answers: shipped by experiment one"
    assert len(lines) == 5


def test_the_environment_may_say_which_store_it_is(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTBEST_STORE", str(store))
    assert run("versions").out == run("versions", "--store", store).out != ""


def test_promote_and_rollback_move_the_champion(store: Path) -> None:
    older, newer = version_ids(store)
    assert champion(store).version_id == newer
    promoted = run_process("promote", "--store", store, older)
    assert (promoted.code, promoted.out) == (0, f"champion: {older}, variant repeat (promoted by hand)\n")
    assert champion(store).version_id == older
    assert f"* {older}" in run("versions", "--store", store).out
    back = run_process("rollback", "--store", store)
    assert (back.code, back.out) == (0, f"champion: {newer}, variant repeat (rolled back from {older})\n")
    assert champion(store).version_id == newer


def test_rolling_back_further_than_there_is_changes_nothing(store: Path) -> None:
    older, _ = version_ids(store)
    assert run("rollback", "--store", store).code == 0
    ran = run("rollback", "--store", store)
    assert ran.code == 1
    assert ran.message.endswith("no earlier champion is left to go back to")
    assert champion(store).version_id == older


def test_a_damaged_version_is_shown_and_can_be_neither_promoted_nor_rolled_back_to(store: Path) -> None:
    older, newer = version_ids(store)
    file = store / "versions" / older / "popular" / "order.npy"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    promoted = run("promote", "--store", store, older)
    assert promoted.code == 1
    assert promoted.message == f"refused {older}/popular/order.npy: content differs from its checksum"
    assert run("rollback", "--store", store).code == 1
    assert champion(store).version_id == newer
    manifest = store / "versions" / older / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text("{")
    shown = run("versions", "--store", store)
    assert shown.code == 0
    assert f"  {older}  damaged\n    manifest.json: not a readable manifest" in shown.out


def test_what_is_not_there_is_refused_by_its_name(store: Path) -> None:
    unknown = run("promote", "--store", store, "20200101T000000Z-00000000")
    assert (unknown.code, unknown.message) == (1, "no version 20200101T000000Z-00000000 in this store")
    for command in ("versions", "rollback"):
        ran = run(command, "--store", store / "nothing")
        assert ran.code == 2
        assert "does not exist" in ran.err


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    assert run("versions", "--store", tmp_path).out == "no versions yet: run `nbo-train nightly`\n"
    assert "no champion yet: run a night first" in run("rollback", "--store", tmp_path).message


def test_a_file_that_was_cut_off_is_shown_without_reading_it_whole(store: Path) -> None:
    older, newer = version_ids(store)
    file = store / "versions" / older / "similar" / "product.npy"
    size = file.stat().st_size
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-4])
    shown = run("versions", "--store", store).out
    assert f"  {older}  damaged\n    similar/product.npy: {size - 4} bytes instead of {size}\n" in shown
    assert f"* {newer}  as of 2011-01-25" in shown


def test_a_pointer_that_cannot_be_read_is_told_in_one_line_and_the_versions_are_listed(store: Path) -> None:
    (store / "champion.json").write_text("{")
    older, newer = version_ids(store)
    ran = run("versions", "--store", store)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].startswith("refused champion.json: not a readable pointer: none is marked; ")
    assert [line[:2] + line.split()[0] for line in lines[1::2]] == [f"  {newer}", f"  {older}"]
