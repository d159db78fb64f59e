"""Sessions that a worker keeps: the same one as long as nothing changed, none of a version that was left."""

import gc
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from models.arrays import NONE
from service.live import session
from service.live.session import Session, Sessions
from service.live.told import Told, told_of
from service.versions.served import ServedVersion
from storage.record.live import Trade
from tests.data.tiny_service import tiny_served

MORNING = datetime(2018, 1, 2, 8, tzinfo=UTC)
NOW_S = MORNING.timestamp()


@pytest.fixture
def tiny(tmp_path: Path) -> ServedVersion:
    return tiny_served(tmp_path)


def bought(product: str) -> Told:
    return told_of(1, [Trade(product, False, int(NOW_S * 1000), "o1", 1.0)])


def test_a_session_is_made_once_until_something_is_told_or_the_day_ends(tiny: ServedVersion) -> None:
    told, sessions = bought("milk"), Sessions()
    once = sessions.of(tiny, "anna", 0, told, NOW_S)
    sessions.of(tiny, "ben", 1, told, NOW_S)
    assert once is not None
    assert sessions.of(tiny, "anna", 0, told, NOW_S + 60) is once
    more = sessions.of(tiny, "anna", 0, bought("bread"), NOW_S)
    assert more is not None
    assert [tiny.products[one.product_row] for one in more.bought] == ["bread"]
    tomorrow = sessions.of(tiny, "anna", 0, bought("bread"), (MORNING + timedelta(days=1)).timestamp())
    assert tomorrow is not None
    assert tomorrow.today == once.today + 1


def test_sessions_beyond_the_most_give_way(tiny: ServedVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KEPT_SESSIONS", 2)
    told, sessions = bought("milk"), Sessions()
    kept = [weakref.ref(sessions.of(tiny, name, NONE, told, NOW_S)) for name in "abc"]  # type: ignore[arg-type]  # there is one
    gc.collect()
    assert [one() is not None for one in kept] == [False, False, True]


def test_no_session_of_a_version_that_was_left_is_held(tiny: ServedVersion) -> None:
    """It would hold the files of its version open."""
    told, sessions = bought("milk"), Sessions()
    left = weakref.ref(sessions.of(tiny, "anna", 0, told, NOW_S))  # type: ignore[arg-type]  # there is one
    sessions.of(tiny.named("next"), "ben", 1, told, NOW_S)
    gc.collect()
    assert left() is None


def test_a_session_of_a_version_that_is_left_meanwhile_is_not_taken_for_one_of_the_next(
    tiny: ServedVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request makes one while the thread that follows the champion warms up with the next version."""
    following, told, sessions = tiny.named("next"), bought("milk"), Sessions()
    make = session.session_of

    def interrupted(served: ServedVersion, row: int, of: Told, at_s: float) -> Session | None:
        made = make(served, row, of, at_s)
        if served is tiny:
            sessions.of(following, "ben", 1, told, NOW_S)
        return made

    monkeypatch.setattr(session, "session_of", interrupted)
    sessions.of(tiny, "anna", 0, told, NOW_S)
    found = sessions.of(following, "anna", 0, told, NOW_S)
    assert found is not None
    assert found.served is following
