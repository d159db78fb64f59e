"""The follower takes each new champion in one step, and never lets go of a good version for a bad one."""

import gc
import shutil
import weakref
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from models.errors import DamagedVersionError
from service.answering.first_level import FirstLevel
from service.recommender import Recommender
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower
from service.versions.served import ServedVersion
from service.web.parameters import Query
from storage.versions.store import CHAMPION, Store, write_atomic
from storage.versions.version import Version
from tests.data.running_service import until
from tests.data.tiny_version import AS_OF, VARIANT, TinyShop, publish

LATER = AS_OF + timedelta(days=1)


def follower_of(store: Store) -> ChampionFollower:
    return ChampionFollower(store, Metrics(None), poll_s=1)


def serves(follower: ChampionFollower) -> str | None:
    return follower.current.served.version_id if follower.current else None


def damage(store: Store, version_id: str) -> None:
    file = store.versions / version_id / "popular" / "order.npy"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    copy = file.with_suffix(".new")
    copy.write_bytes(content)
    copy.replace(file)


def test_the_first_champion_is_taken_when_it_comes_and_the_next_one_after_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    follower = follower_of(store)
    follower.look()
    assert serves(follower) is None
    first = publish(store)
    follower.look()
    assert serves(follower) == first
    second = publish(store, now=LATER)
    follower.look()
    assert serves(follower) == second
    store.rollback(now=LATER)
    follower.look()
    assert serves(follower) == first


def test_another_variant_of_the_same_version_is_a_new_champion(tmp_path: Path) -> None:
    store = Store(tmp_path)
    version_id = publish(store, variants=("blend", "als"))
    follower = follower_of(store)
    follower.look()
    champion = store.promote(version_id, now=LATER, why="a test")
    other = champion.model_copy(update={"current": champion.current.model_copy(update={"variant": "als"})})
    write_atomic(store.root / CHAMPION, other.model_dump_json())
    follower.look()
    assert follower.current is not None
    assert follower.current.served.variant == "als"


def test_a_damaged_version_is_refused_by_name_once_and_the_old_one_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = publish(store)
    follower = follower_of(store)
    follower.look()
    second = publish(store, now=LATER)
    damage(store, second)
    with capture_logs() as lines:
        for _ in range(3):
            follower._seen = None
            follower.look()
    assert serves(follower) == first
    refusals = [line for line in lines if line["log_level"] == "error"]
    assert len(refusals) == 1
    assert f"{second}/popular/order.npy" in refusals[0]["why"]


def test_what_was_repaired_and_breaks_again_is_said_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store)
    follower = follower_of(store)
    pointer = (tmp_path / CHAMPION).read_bytes()
    with capture_logs() as lines:
        for content in (pointer, b"{", pointer, b"{", b"{"):
            (tmp_path / CHAMPION).write_bytes(content)
            follower._seen = None
            follower.look()
    assert len([line for line in lines if line["log_level"] == "error"]) == 2


def test_a_service_started_on_a_damaged_champion_answers_from_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = publish(store)
    second = publish(store, now=LATER)
    damage(store, second)
    follower = follower_of(store)
    follower.look()
    assert serves(follower) == first


def test_a_champion_whose_folder_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    follower = follower_of(store)
    assert "no night" in follower.why_none
    only = publish(store)
    shutil.rmtree(store.versions / only)
    with capture_logs() as lines:
        follower.look()
    assert serves(follower) is None
    (refusal,) = lines
    assert f"the folder versions/{only} is missing" in refusal["why"]
    assert "nbo-train rollback" in refusal["why"]
    assert refusal["answering"] is None
    assert "no night" not in follower.why_none and only not in follower.why_none


def test_a_pointer_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = publish(store)
    follower = follower_of(store)
    follower.look()
    (tmp_path / "champion.json").write_text('{"sequence": ')
    follower.look()
    assert serves(follower) == first


def test_a_version_pruned_under_a_service_goes_on_answering(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = publish(store)
    follower = follower_of(store)
    follower.look()
    assert follower.current is not None
    shutil.rmtree(store.versions / first)
    assert follower.current.served.products[0]
    assert list(follower.current.served.candidates(0).entries())


def test_a_version_that_answers_no_more_is_let_go(tmp_path: Path) -> None:
    store = Store(tmp_path)
    publish(store)
    follower, gone = follower_of(store), list[weakref.ref[ServedVersion]]()
    recommender = Recommender(FirstLevel(10, 1), None)
    for day in range(1, 5):
        publish(store, now=AS_OF + timedelta(days=day))
        follower.look()
        assert follower.current is not None
        recommender.recommend(follower.current.served, "anna", Query())
        gone.append(weakref.ref(follower.current.served))
    gc.collect()
    assert [one() is not None for one in gone] == [False, False, False, True]


class LockedStore(Store):
    """A store whose files belong to somebody else until `is_locked` is taken back."""

    is_locked = True

    def open(self, version_id: str, *, verify: bool = True) -> Version:
        if self.is_locked:
            raise PermissionError(13, "Permission denied", "manifest.json")
        return super().open(version_id, verify=verify)


def test_a_fault_at_the_first_look_is_logged_and_the_follower_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.versions.champion.RETRY_S", 0.1)
    version_id = publish(Store(tmp_path))
    store = LockedStore(tmp_path)
    follower = ChampionFollower(store, Metrics(None), poll_s=0.05)
    with capture_logs() as lines:
        follower.start(lambda serving: None)
        assert (lines[0]["event"], lines[0]["of"]) == ("a step in the background failed", "champion")
        assert serves(follower) is None
        store.is_locked = False
        until(lambda: serves(follower) == version_id, 5)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("popular/buyers", np.zeros(3, np.int32)),
        ("popular/first_day", np.zeros(3, np.uint16)),
        ("history/times", np.zeros(2, np.float64)),
        (f"candidates/{VARIANT}/evidence", np.zeros((1, 200), np.int16)),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_by_name(
    tmp_path: Path, name: str, array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"
) -> None:
    store = Store(tmp_path)
    version = store.open(publish(store, replace(TinyShop())))
    (version.folder / f"{name}.npy").unlink()
    np.save(version.folder / f"{name}.npy", array)
    with pytest.raises(DamagedVersionError, match=name):
        ServedVersion(version, VARIANT)
