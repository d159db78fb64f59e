"""A night of a shop with coupons leaves offers in its version, and reads `[value]`."""

from datetime import timedelta
from pathlib import Path

import numpy as np

from storage.versions.offers import PublishedOffers
from tests.data.coupons import START, coupon_shop
from tests.data.nights import champion, ids, quick_config, run


def test_a_night_leaves_offers_for_each_customer(tmp_path: Path) -> None:
    shop, store = tmp_path / "shop", tmp_path / "store"
    shop.mkdir()
    coupon_shop(shop)
    config = quick_config(tmp_path, "[value]\nmargin_share = 0.5\noffers = 3\n")
    as_of = f"{START + timedelta(days=149):%Y-%m-%d}"
    ran = run("nightly", "--data", shop, "--store", store, "--config", config, "--as-of", as_of)
    assert ran.code == 0, ran.err
    version = champion(store)
    customers, products = ids(version, "customers"), ids(version, "products")
    offers = PublishedOffers(version, len(customers), len(products))
    assert [len(offers.listed(row)[0]) for row in range(3)] == [3, 3, 3]
    assert np.isnan(version.array("products/margin")[products.index("p9")])  # none was told
    assert float(version.array("products/worth")[products.index("p9")]) == 5.0
    assert version.array("value/margin_share").tolist() == [0.5]
