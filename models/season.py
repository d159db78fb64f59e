"""What was bought in the same weeks of last year, where the history reaches back so far."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from models.arrays import DAY_S, AnyIntArray, DoubleArray, FloatArray, IntArray
from models.base import Model
from models.bounds import HORIZON_DAYS, above_zero, within
from models.history.interactions import Interactions
from models.history.pairs import Pairs
from models.numerics.columns import line_for_all
from models.numerics.shrinkage import shrunk_rates

YEAR_DAYS = 365.0
THEN = 9.0  # horizons before and after this day a year ago, whose buyers a rise is told by
TRIED = 8  # last horizons, in which is looked how far rises of a year before came true
POWERS = np.linspace(1, 0, 11)


@dataclass(frozen=True, kw_only=True)
class SeasonOptions:
    """Options of `season`.

    Attributes:
        horizon_days: length of the window, that is of what is predicted.
        spread: how far the days around the window count, as the standard deviation of a normal curve, in
            horizons: feasts move, and a small shop sells too little in one week to tell.
    """

    horizon_days: float = 7.0
    spread: float = 0.5

    def __post_init__(self) -> None:
        within("horizon_days", self.horizon_days, *HORIZON_DAYS)
        above_zero("spread", self.spread)


class Season(Model[SeasonOptions]):
    """The same order for everyone: the share of customers of these days last year who bought a product."""

    name: ClassVar[str] = "season"
    revision: ClassVar[int] = 6
    options_type: ClassVar[type] = SeasonOptions
    learnt: ClassVar[tuple[str, ...]] = ("share_", "rise_")

    share_: FloatArray  # shape (n_products,), 0 where the product was not bought then

    def fit(self, interactions: Interactions) -> Self:
        self.options_, self.n_products_ = self.options, interactions.n_products
        self.share_ = season_share(interactions, self.options)
        self._history = interactions
        self.__dict__.pop("rise_", None)
        return self

    @cached_property
    def rise_(self) -> FloatArray:
        """`season_rise` times the learned power, shape (n_products,); made when it is first asked for, since
        of a past window nobody asks. The power is no option: what was learned for the gate, a horizon
        before, may know nothing of the feast that comes."""
        rise = season_rise(self._history, self.options)
        return rise * np.float32(learned_power(self._history, rise, self.options))

    def score(self, rows: IntArray, products: AnyIntArray | None = None) -> FloatArray:
        """See Model; NaN for what was not bought then, and for everything if the history is no year long."""
        self.check_fitted()
        return line_for_all(self.share_, len(rows), products)


def season_share(interactions: Interactions, options: SeasonOptions) -> FloatArray:
    """The share of those who bought around the window a year ago who bought each product, by nearness to it.

    Each counts for a product by the weights of their orders with it, and by 1 at most.

    Returns:
        shape (n_products,), float32; all 0 if the history begins after the window did.
    """
    if interactions.span_days < YEAR_DAYS:
        return np.zeros(interactions.n_products, np.float32)
    weights = _around(interactions.age_days, YEAR_DAYS - options.horizon_days, options)
    then = interactions.only(weights > 0)
    held = Pairs.of(then).buyers(weights[weights > 0])
    return (held / max(then.n_buyers, 1)).astype(np.float32)


def season_rise(interactions: Interactions, options: SeasonOptions) -> FloatArray:
    """How much more of each product is to be expected in the coming horizon than in the last one, as a log.

    It is what happened a year ago: of the customers who bought the product in the months around then, the
    share who did in the horizon after this day, over that in the horizon before it, each against that of all
    products. (Of those who ever bought it the share says how much more it was liked then than since; where
    that differs by more than chance, so would the two, and their ratio be mostly chance.) Days around either
    count as in `season_share`: so they overlap, which leaves the sudden; what comes slowly is seen in what
    sells now. What few bought says little: each of the two is drawn to that of the product's category,
    and that to 1, as far as products differ by no more than chance. A product that was not sold by then has
    its category's.

    Returns:
        shape (n_products,), float32; all 0 if the history doesn't hold both horizons.
    Source: Poisson-gamma rates, as `shrunk_rates`.
    """
    horizon_days = options.horizon_days
    flat = np.zeros(interactions.n_products, np.float32)
    if interactions.span_days < YEAR_DAYS + horizon_days:
        return flat
    first_age_days = np.zeros(interactions.n_products, np.float32)
    np.maximum.at(first_age_days, interactions.product_row, interactions.age_days)
    was_sold = first_age_days > YEAR_DAYS + horizon_days
    then_days = max(THEN, 1 + 4 * options.spread) * horizon_days  # all that counts below is within
    around = interactions.only(np.abs(interactions.age_days - YEAR_DAYS) <= then_days)
    pairs, group = Pairs.of(around), interactions.catalogue.category_group
    then = np.bincount(pairs.product_row, minlength=interactions.n_products) * was_sold
    rates = []
    for newest_days in (YEAR_DAYS - horizon_days, YEAR_DAYS):
        bought = pairs.buyers(_around(around.age_days, newest_days, options)) * was_sold
        if not bought.any():
            return flat
        rates.append(shrunk_rates(bought, then * (bought.sum() / then.sum()), [group]))
    return np.log(rates[0] / rates[1]).astype(np.float32)


def learned_power(interactions: Interactions, rise: FloatArray, options: SeasonOptions) -> float:
    """The power of rises of the year before under which the sales of the last horizons are likeliest.

    Each horizon's are a multinomial: by what each product sold before it, times its rise then. What feasts
    do comes true; last year's menu, promotions and fashions don't come again. 1 is believed beforehand, as
    firmly as one such horizon with the rises that are expected now would say it: where nothing rose lately
    nothing speaks against a feast.

    Args:
        rise: of the coming horizon, by `season_rise`.
    Returns:
        one of POWERS; 1 if the history doesn't hold a horizon and its last year.
    """
    step_s, tried = int(options.horizon_days * DAY_S), range(1, TRIED + 1)
    said, bought = np.zeros(len(POWERS)), []
    for start_s in [interactions.as_of_s - number * step_s for number in tried]:
        past = interactions.before(start_s)
        if past.span_days < YEAR_DAYS + options.horizon_days:
            break
        expected = _expected(past, options)
        pairs = Pairs.of(interactions.between(start_s, start_s + step_s))
        sold = np.bincount(pairs.product_row, expected[pairs.product_row] > 0, interactions.n_products)
        if not sold.any():
            continue
        raised = POWERS[:, None] * season_rise(past, options)
        said += raised @ sold - sold.sum() * np.log(np.exp(raised) @ expected)
        bought.append(sold.sum())
    if not bought:
        return 1.0
    expected = _expected(interactions, options)
    differing = expected @ rise**2 - (expected @ rise) ** 2
    best = int(np.argmax(said - np.mean(bought) * differing * (1 - POWERS) ** 2 / 2))
    return round(float(POWERS[best]), 1)


def _expected(interactions: Interactions, options: SeasonOptions) -> DoubleArray:
    """Each product's share of the coming sales by those of the last horizon and months, 1 together."""
    pairs = Pairs.of(interactions.only(interactions.age_days <= THEN * options.horizon_days))
    lately = np.bincount(pairs.product_row, minlength=interactions.n_products).astype(np.float64)
    is_last = pairs.last_age_days <= options.horizon_days
    last = np.bincount(pairs.product_row, is_last, interactions.n_products)
    share: DoubleArray = lately * shrunk_rates(last, lately, [interactions.catalogue.category_group])
    return share / max(float(share.sum()), 1e-9)


def _around(age_days: FloatArray, newest_days: float, options: SeasonOptions) -> FloatArray:
    """What each purchase counts: 1 in the horizon that ends at this age, less and less beside it."""
    away_days = np.maximum(age_days - newest_days - options.horizon_days, newest_days - age_days)
    spread_days = options.spread * options.horizon_days
    weights: FloatArray = np.exp(-0.5 * (np.maximum(away_days, 0) / spread_days) ** 2)
    weights[weights < 0.01] = 0
    return weights
