"""What the day derives from a version: dates in the shop's own time, windows as the night counted them."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from models.arrays import NONE
from models.errors import DamagedVersionError
from models.session import SessionFigures
from service.answering.explaining import Explainer
from service.answering.languages import ENGLISH
from service.versions.served import EPOCH, ServedVersion
from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, TinyShop, write_version


def served_from(shop: TinyShop, as_of: datetime, root: Path) -> ServedVersion:
    store = Store(root)
    return ServedVersion(store.open(write_version(store, shop, now=as_of, as_of=as_of)), VARIANT)


@pytest.mark.parametrize(
    ("timezone", "as_of", "last_day"),
    [
        # the last purchase was at 21:30 on 31 October in New York, as_of is a second later
        ("America/New_York", datetime(2019, 11, 1, 1, 30, 1, tzinfo=UTC), date(2019, 10, 31)),
        ("America/New_York", datetime(2019, 11, 1, 4, 0, 0, tzinfo=UTC), date(2019, 10, 31)),
        ("America/New_York", datetime(2019, 11, 1, 4, 0, 1, tzinfo=UTC), date(2019, 11, 1)),
        ("Asia/Tokyo", datetime(2019, 10, 31, 15, 0, 1, tzinfo=UTC), date(2019, 11, 1)),
        ("UTC", datetime(2019, 11, 1, tzinfo=UTC), date(2019, 10, 31)),
    ],
)
def test_the_last_day_is_the_shops_own_date(
    timezone: str, as_of: datetime, last_day: date, tmp_path: Path
) -> None:
    served = served_from(replace(TinyShop(), timezone=timezone), as_of, tmp_path)
    assert served.last_day == (last_day - EPOCH).days


def test_popular_names_the_window_that_the_night_counted(tmp_path: Path) -> None:
    as_of = datetime(2019, 11, 1, 1, 30, 1, tzinfo=UTC)
    served = served_from(replace(TinyShop(), timezone="America/New_York", recent_days=14), as_of, tmp_path)
    reason = Explainer(served, ENGLISH).of_all(served.products.find("milk"))
    assert "Popular in dairy: bought by 412 customers in the 14 days to 31 October 2019" in reason
    assert '"days": 14, "until": "2019-10-31"' in reason


def test_a_time_zone_that_this_machine_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DamagedVersionError, match="no time zone 'Mars/Olympus'"):
        served_from(replace(TinyShop(), timezone="Mars/Olympus"), datetime(2019, 11, 1, tzinfo=UTC), tmp_path)


def test_a_version_of_a_night_without_due_is_served_without_due_days(tmp_path: Path) -> None:
    served = served_from(replace(TinyShop(), has_due=False), AS_OF, tmp_path)
    assert served.histories.due_day[milk_of(served)] == 0
    assert "due_on" not in Explainer(served, ENGLISH).why(served.products.find("milk"), milk_of(served))


def test_a_due_day_stands_in_the_reason_of_the_entry_that_it_belongs_to(tmp_path: Path) -> None:
    served = served_from(TinyShop(), AS_OF, tmp_path)
    explain, place = Explainer(served, ENGLISH), milk_of(served)
    assert '"due_on": "2018-01-03"' in explain.why(served.products.find("milk"), place)
    assert "due_on" not in explain.why(served.products.find("bread"), place + 1)  # unknown of bread


def milk_of(served: ServedVersion) -> int:
    """The place of anna's milk in the histories."""
    return served.history_of(served.customers.find("anna"))[0]


def test_probabilities_of_another_shape_than_the_lists_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    shop = TinyShop(probability={("anna", "milk"): 0.5})
    version = store.open(write_version(store, shop, now=AS_OF))
    file = version.folder / f"candidates/{VARIANT}/probability.npy"
    file.chmod(0o644)
    np.save(file, np.zeros((6, 100), np.float16))
    with pytest.raises(DamagedVersionError, match="does not fit the others"):
        ServedVersion(version, VARIANT)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_a_version_whose_lift_can_not_be_used_is_refused(tmp_path: Path, bad: float) -> None:
    store = Store(tmp_path)
    spoilt = TinyShop(follow_up_lift={"milk": bad})
    version = store.open(write_version(store, spoilt, now=AS_OF))
    with pytest.raises(DamagedVersionError, match="follow_up/lift"):
        ServedVersion(version, VARIANT)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_a_count_of_what_is_similar_that_can_t_be_is_refused(tmp_path: Path, bad: float) -> None:
    with pytest.raises(DamagedVersionError, match="session/figures"):
        served_from(TinyShop(session=SessionFigures(similar=bad)), AS_OF, tmp_path)


def test_a_customer_is_found_by_each_night_where_that_one_has_them(tmp_path: Path) -> None:
    without_anna = {name: bought for name, bought in TinyShop().history.items() if name != "anna"}
    first = served_from(TinyShop(history=without_anna, candidates={}), AS_OF, tmp_path / "first")
    second = served_from(TinyShop(), AS_OF, tmp_path / "second")
    for served in (first, second, first, second):
        for name in ("anna", "ben", "nobody"):
            assert served.customer_row(name) == served.customers.find(name)
    assert first.customer_row("anna") == NONE != second.customer_row("anna")
