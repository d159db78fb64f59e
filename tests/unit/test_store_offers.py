"""What the night wrote of offers is what the day reads: who may have which, when, and what it is worth."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from models.arrays import NONE
from models.errors import DamagedVersionError
from storage.history.history import History
from storage.versions.offers import ListedOffer, PublishedOffers
from storage.versions.store import Store
from storage.versions.version import Version, open_version
from storage.versions.writer import VersionWriter
from tests.data.coupons import CAMPAIGN_DAYS, START, coupon_shop, history_of
from tests.data.versions import finish
from training.publishing.offer_lists import ValueOptions, _by_value, product_margin, write_value

ON = START + timedelta(days=CAMPAIGN_DAYS[-1], hours=1)  # the last campaign's first day
PURCHASES = "customer_id,product_id,purchased_at,unit_price\nann,tea,2026-01-01,4\nbob,milk,2026-01-02,1\n"
OFFERS = """offer_id,product_ids,discount,starts_at,ends_at,segment,budget
fans,tea,0.5,2026-01-05,2026-02-01,fans,10
all,milk,,,,,
over,milk,,2026-01-01,2026-01-02,,
used,milk,,2026-01-01,2026-03-01,,
"""
REDEMPTIONS = "offer_id,customer_id,redeemed_at\nused,bob,2026-01-02\n"
AS_OF = datetime(2026, 1, 3, tzinfo=UTC)


def written(
    history: History,
    store: Path,
    options: ValueOptions | None = None,
    change: Callable[[VersionWriter], None] = lambda writer: None,
) -> Version:
    """A version of what `write_value` writes, opened."""
    with Store(store).night_lock(ON):
        writer = Store(store).writer()
        write_value(writer, history, history.interactions(), options or ValueOptions())
        change(writer)
        manifest = finish(writer, Store(store).versions, now=ON)
    return open_version(Store(store).versions / manifest.version_id)


def read(history: History, version: Version) -> PublishedOffers:
    return PublishedOffers(version, len(history.customer_ids), history.products.height)


@pytest.fixture
def small(tmp_path: Path) -> History:
    folder = tmp_path / "shop"
    folder.mkdir()
    audiences = "segment,customer_id\nfans,ann\n"
    return history_of(
        folder, as_of=AS_OF, purchases=PURCHASES, offers=OFFERS, redemptions=REDEMPTIONS, audiences=audiences
    )


def listed(offers: PublishedOffers, customer_row: int) -> list[ListedOffer]:
    rows, first = offers.listed(customer_row)
    return [offers.at(place, row) for place, row in enumerate(rows, first) if row != NONE]


def offered(offers: PublishedOffers, row: int) -> list[str]:
    return [offers.offer(offer_row).offer_id for offer_row, _, _ in listed(offers, row)]


def test_each_gets_what_is_theirs_is_not_over_and_was_not_redeemed(small: History, tmp_path: Path) -> None:
    offers = read(small, written(small, tmp_path / "store"))
    ann, bob = (small.customer_ids.index(name) for name in ("ann", "bob"))
    assert sorted(offered(offers, ann)) == ["all", "fans", "used"]
    assert offered(offers, bob) == ["all"]
    assert sorted(offered(offers, NONE)) == ["all", "used"]


def test_an_offer_says_what_the_shop_said(small: History, tmp_path: Path) -> None:
    """Tea was sold at 4; a quarter of it is margin."""
    offers = read(small, written(small, tmp_path / "store"))
    fans = offers.offer(offers.find("fans"))
    tea = small.products["product_id"].to_list().index("tea")
    assert (fans.discount, fans.segment, fans.budget, fans.margin) == (0.5, "fans", 10, 1.0)
    assert (fans.starts_at, fans.ends_at) == (
        datetime(2026, 1, 5, tzinfo=UTC),
        datetime(2026, 2, 2, tzinfo=UTC),
    )
    assert fans.product_rows.tolist() == [tea]
    every = offers.offer(offers.find("all"))
    assert (every.discount, every.segment, every.budget) == (None, None, None)
    assert (every.starts_at, every.ends_at) == (None, None)
    assert offers.find("nothing") == NONE


def test_the_likeliest_are_listed_by_what_they_add_and_no_more_than_asked(tmp_path: Path) -> None:
    history = coupon_shop(tmp_path)
    few = read(history, written(history, tmp_path / "few", ValueOptions(offers=4)))
    offers = read(history, written(history, tmp_path / "all", ValueOptions(offers=1000)))
    assert len(offers) == 50
    for row in range(len(history.customer_ids)):
        best, every = listed(few, row), listed(offers, row)
        assert len(best) == (0 if history.customer_ids[row] == "c59" else 4)
        assert best == [one for one in every if one in best]
        left_out = [chance or 0 for _, chance, _ in every if all(one[1] != chance for one in best)]
        assert max(left_out, default=0) <= min((chance or 0 for _, chance, _ in best), default=1)
        values = [value for _, _, value in every if value is not None]
        assert values == sorted(values, reverse=True)
        assert all(value > 0 for value in values)
        assert every[len(values) :] == [one for one in every if one[2] is None]
    assert listed(offers, NONE) == []


def test_a_shop_where_nobody_redeemed_has_an_order_and_no_probability(tmp_path: Path) -> None:
    history = history_of(tmp_path, purchases=PURCHASES, offers=OFFERS, as_of=AS_OF)
    offers = read(history, written(history, tmp_path / "store"))
    found = listed(offers, history.customer_ids.index("bob"))
    assert {(chance, value) for _, chance, value in found} == {(None, None)}
    assert len(found) == 2


def test_the_order_by_value_by_hand() -> None:
    """The second is worth most; the values of two aren't known; the last is no offer."""
    nan = float("nan")
    order = np.array([[3.0, 2.0, 1.0, 0.5, -np.inf]])
    value = np.array([[0.1, 0.4, nan, nan, 9.0]])
    added = np.array([[0.5, 0.5, 0.1, 0.2, 0.9]])
    assert _by_value(np.array([[0, 1, 2, 3, 4]]), order, value, added).tolist() == [[1, 0, 3, 2, 4]]


def test_what_costs_more_than_it_brings_is_not_listed(tmp_path: Path) -> None:
    """Each offer takes .5 off. The margin of p0 is told, 2; that of the others would be at most .1."""
    history = coupon_shop(tmp_path)
    offers = read(history, written(history, tmp_path / "store", ValueOptions(margin_share=0.01)))
    rows = {one for row in range(len(history.customer_ids)) for one, _, _ in listed(offers, row)}
    assert {offers.offer(row).offer_id.partition("-")[2] for row in rows} == {"0"}


def test_a_margin_told_goes_before_the_share_of_the_price(tmp_path: Path) -> None:
    history = coupon_shop(tmp_path)
    margin = product_margin(history, ValueOptions(margin_share=0.5))
    by_id = dict(zip(history.products["product_id"].to_list(), margin.tolist(), strict=True))
    assert (by_id["p0"], by_id["p3"]) == (2.0, 2.0)


def test_a_version_without_offers_has_none(tmp_path: Path) -> None:
    history = history_of(tmp_path, purchases=PURCHASES)
    version = written(history, tmp_path / "store")
    offers = read(history, version)
    assert (len(offers), listed(offers, 0), offers.find("all")) == (0, [], NONE)
    assert np.isnan(version.array("products/margin")).all()  # none was told
    assert version.array("products/worth").tolist() == pytest.approx(
        [{"tea": 1.0, "milk": 0.25}[name] for name in history.products["product_id"]]
    )


def test_offers_that_are_all_over_leave_empty_lists(tmp_path: Path) -> None:
    over = "offer_id,product_ids,ends_at\nold,tea,2026-01-01\n"
    history = history_of(tmp_path, purchases=PURCHASES, offers=over, as_of=AS_OF)
    offers = read(history, written(history, tmp_path / "store"))
    assert (len(offers), listed(offers, 0), listed(offers, NONE)) == (1, [], [])


def test_the_same_history_gives_the_same_bytes(tmp_path: Path) -> None:
    history = coupon_shop(tmp_path)
    one, other = (written(history, tmp_path / name).manifest.files for name in ("one", "other"))
    assert one == other


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("list_offer", np.zeros((1, 1), np.int32)),
        ("list_probability", np.zeros((3, 3), np.float32)),
        ("product", np.array([99, 0, 0, 0], np.int32)),
        ("segment", np.array([7, 0, 0, 0], np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(
    small: History, tmp_path: Path, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    version = written(small, tmp_path / "store", change=lambda writer: writer.add(f"offers/{name}", array))
    with pytest.raises(DamagedVersionError, match=f"offers/{name}.npy"):
        read(small, version)
