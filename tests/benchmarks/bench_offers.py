"""Which coupons a household redeems: learned from earlier campaigns, asked at the start of later ones.

    make bench-offers

rewrites its own part of docs/benchmarks.md; --validation asks the campaigns that choices were made on.
"""

import argparse
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from models.history.interactions import Interactions
from models.offers.campaigns import Campaign
from models.offers.features import NAMES, OfferFeatures
from models.offers.redemption import Redemption
from storage.history.read import read_history
from storage.local_days import midnight_s
from tests.benchmarks.offers_page import page
from tests.benchmarks.offers_scores import Asked, summary
from tests.benchmarks.page_marks import put_between
from training.commands.complete_journey import source_folder, write_demo
from training.config import load_config
from training.history.offers import ShopOffers

PAGE = Path("docs/benchmarks.md")
VALIDATION = (date(2017, 5, 1), date(2017, 10, 1))  # campaigns that start from the one to before the other
TEST = (date(2017, 10, 1), date(2018, 1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--validation", action="store_true", help="the campaigns before; writes nothing")
    parser.add_argument("--folder", type=Path, default=Path(".nextbest/bench/complete-journey-data"))
    given = parser.parse_args()
    year, shop = read(given.folder, datetime.now(UTC))
    asked = ask(year, shop, VALIDATION if given.validation else TEST)
    text = page(summary(asked))
    if given.validation:
        print(text)
    else:
        PAGE.write_text(put_between(PAGE.read_text(), "offers", text))
        print(text)


def read(folder: Path, now: datetime) -> tuple[Interactions, ShopOffers]:
    """The whole year, from the installed package by way of `folder`."""
    if not (folder / "nextbest.toml").exists():
        write_demo(source_folder(), folder)
    options = load_config(folder / "nextbest.toml").history
    history = read_history(str(folder), options, as_of=None, rejects=folder / "rejects.csv", now=now)
    shop = ShopOffers.of(history)
    assert shop is not None
    return history.interactions(), shop


def ask(year: Interactions, shop: ShopOffers, period: tuple[date, date]) -> list[Asked]:
    """Every campaign that starts in the period: all its coupons for everyone whom it was sent to."""
    first, end = (midnight_s(day, "UTC") for day in period)
    return [
        asked
        for campaign in shop.offers.campaigns
        if first <= campaign.starts_s < end
        for asked in [_ask(year, shop, campaign)]
    ]


def _ask(year: Interactions, shop: ShopOffers, campaign: Campaign) -> Asked:
    """As the night before its start would: it knows nothing later."""
    before = year.before(campaign.starts_s)
    features = OfferFeatures(before, shop.offers, shop.redemptions).of(
        campaign.customer_rows, campaign.offer_rows
    )
    named = dict(zip(NAMES, np.moveaxis(features, -1, 0), strict=True))
    model = Redemption().fit(before, shop.offers, shop.redemptions)
    rng = np.random.default_rng(0)
    name = shop.table["segment"][int(campaign.offer_rows[0])]
    print(f"campaign {name}: learned from {model.n_redemptions} redemptions", flush=True)
    return Asked(
        campaign=name,
        customer_rows=campaign.customer_rows,
        is_redeemed=shop.redemptions.grid(campaign).toarray(),
        scores={
            "random": rng.random(features.shape[:2]),
            "popularity": named["popularity"],
            "own": named["own"],
            "own_and_habit": named["own_share"] + named["redeemed_rate"],
            "redemption": model.log_odds(features),
        },
        probability=model.probability(features),
    )


if __name__ == "__main__":
    main()
