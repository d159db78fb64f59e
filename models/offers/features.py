"""What speaks for a customer's redeeming an offer, as of one moment: own purchases, habit, the offer."""

from functools import cached_property

import numpy as np
from scipy import sparse

from models.arrays import DAY_S, DoubleArray, FloatArray, IntArray, LongArray
from models.history.interactions import Interactions
from models.numerics.decay import decay
from models.numerics.one_hot import one_hot
from models.offers.campaigns import Offers, Redemptions

NAMES = (
    *("own", "own_ever", "own_week", "own_share", "own_products"),
    *("category", "category_lift", "brand_lift", "line_lift", "line"),
    *("redeemed_like_it", "redeemed_rate", "redeemed_days", "orders", "orders_lately", "purchases"),
    *("popularity", "redeemed_by_others", "breadth", "few_beside"),
)
RISING = np.array([name != "breadth" for name in NAMES])  # more of it never speaks against redeeming
HALF_LIFE_DAYS = 90.0
RECENT_DAYS = 84
PRIOR_DAYS = 14.0
PRIOR_PURCHASES = 10.0  # made as everybody makes them, beside the customer's own


class OfferFeatures:
    """All that can be asked about (customer, offer) pairs at one moment.

    Customers are asked about a block at a time: what is of all of them is worked out once, or the cost would
    grow with their square.
    """

    def __init__(self, history: Interactions, offers: Offers, redemptions: Redemptions) -> None:
        """Purchases and redemptions before the moment, which is the history's `as_of_s`."""
        self.history, self.offers = history, offers
        self.past = redemptions.before(history.as_of_s)
        self.started = offers.started_before(history.as_of_s)
        catalogue = history.catalogue
        category, brand = catalogue.category_row.astype(np.int64), catalogue.brand_row.astype(np.int64)
        width = int(brand.max(initial=-1)) + 2
        line = np.unique((category + 1) * width + brand + 1, return_inverse=True)[1]
        self._matrices: dict[float | None, sparse.csr_array] = {}
        self._order_counts: dict[float, DoubleArray] = {}
        self._told_of_offers: dict[bytes, dict[str, DoubleArray]] = {}
        self._parts = {"category": one_hot(category), "brand": one_hot(brand), "line": one_hot(line)}

    def of(self, customer_rows: IntArray, offer_rows: IntArray) -> FloatArray:
        """Shape (n_customers, n_offers, len(NAMES)), float32, all finite.

        Amounts are logs of decayed purchases, with a little added so that none has one too.
        """
        own = self._own(customer_rows, offer_rows)
        own |= self._liking(customer_rows, offer_rows)
        own |= self._habit(customer_rows, offer_rows)
        own |= self._of_offers(offer_rows)
        shape = (len(customer_rows), len(offer_rows))
        return np.stack([np.broadcast_to(own[name], shape) for name in NAMES], axis=-1).astype(np.float32)

    def anyway(self, customer_rows: IntArray, offer_rows: IntArray, days: DoubleArray) -> FloatArray:
        """The chance that a customer buys one of an offer's products within some days, as they always did.

        Args:
            days: shape (n_offers,), of each offer.
        Returns:
            shape (n_customers, n_offers), float32: 1 - exp(-rate x days). The rate is that of the customer's
            decayed purchases of the products, drawn to everybody's as if PRIOR_DAYS more were known of them.
        """
        wanted = self.offers.products[offer_rows].T
        purchases, known_days = self._matrix(HALF_LIFE_DAYS), self._known_days
        usual = (self._everybody @ wanted) / max(known_days.sum(), 1e-9)
        own = (purchases[customer_rows] @ wanted).toarray() + PRIOR_DAYS * usual
        rate = own / (known_days[customer_rows] + PRIOR_DAYS)[:, None]
        return np.asarray(-np.expm1(-rate * days), np.float32)

    @cached_property
    def _known_days(self) -> DoubleArray:
        """Days since each customer's first purchase, decayed as purchases are; 0 for those without."""
        first = np.full(self.history.n_customers, self.history.as_of_s, np.int64)
        np.minimum.at(first, self.history.customer_row, self.history.at_s)
        days = (self.history.as_of_s - first) / DAY_S
        return np.asarray((1 - np.exp2(-days / HALF_LIFE_DAYS)) * HALF_LIFE_DAYS / np.log(2))

    def _own(self, rows: IntArray, offer_rows: IntArray) -> dict[str, DoubleArray]:
        wanted = self.offers.products[offer_rows].T
        amount = (self._matrix(HALF_LIFE_DAYS)[rows] @ wanted).toarray()
        orders = self._orders(HALF_LIFE_DAYS)[rows, None]
        bought = self._matrix(None)[rows]
        distinct = sparse.csr_array((np.ones_like(bought.data), bought.indices, bought.indptr), bought.shape)
        return {
            "own": np.log(amount + 0.01),
            "own_ever": np.log((bought @ wanted).toarray() + 0.01),
            "own_week": np.log((self._matrix(7.0)[rows] @ wanted).toarray() + 1e-6),
            "own_share": np.log((amount + 0.001) / (orders + 3)),
            "own_products": np.log((distinct @ wanted).toarray() + 0.1),
        }

    def _liking(self, rows: IntArray, offer_rows: IntArray) -> dict[str, DoubleArray]:
        """Own purchases in the groups that the offer's products come from, and against everybody's."""
        purchases = self._matrix(HALF_LIFE_DAYS)
        total = purchases[rows].sum(axis=1)[:, None]
        found = {"purchases": np.log1p(total)}
        for name, part in self._parts.items():
            mix = self._mix(part, offer_rows)
            share = self._everybody @ part
            expected = (mix @ (share / max(share.sum(), 1e-9)))[None, :]
            held = ((purchases[rows] @ part) @ mix.T).toarray()
            lifted = (held + PRIOR_PURCHASES * expected) / (total + PRIOR_PURCHASES)
            found[name] = np.log(held + 0.01)
            found[f"{name}_lift"] = np.log(lifted + 1e-6) - np.log(expected + 1e-6)
        return found

    def _mix(self, part: sparse.csr_array, offer_rows: IntArray) -> sparse.csr_array:
        """The share of each group among an offer's products, by recent purchases; n_offers x n_groups."""
        mix = (self.offers.products[offer_rows] * self._recent_purchases[None, :]).tocsr() @ part
        total = np.maximum(mix.sum(axis=1), 1e-9)
        return (sparse.diags_array(1 / total) @ mix).tocsr()

    def _habit(self, rows: IntArray, offer_rows: IntArray) -> dict[str, DoubleArray]:
        redeemed, received = self._redeemed, self._received
        like = self._category_profiles[offer_rows] @ self._category_profiles.T  # of each to all, 0 to 1
        return {
            "redeemed_like_it": np.log((self._redemptions[rows] @ like.T).toarray() + 0.05),
            "redeemed_rate": np.log((redeemed[rows] + 2 * self._usual_rate) / (received[rows] + 2))[:, None],
            "redeemed_days": np.log1p(self._days_redeemed[rows])[:, None],
            "orders": np.log1p(self._orders(HALF_LIFE_DAYS)[rows])[:, None],
            "orders_lately": np.log1p(self._orders(30.0)[rows])[:, None],
        }

    @cached_property
    def _redeemed(self) -> LongArray:
        """How many offers each customer redeemed."""
        return np.bincount(self.past.customer_row, minlength=self.history.n_customers)

    @cached_property
    def _days_redeemed(self) -> LongArray:
        """On how many days each customer redeemed something."""
        days = np.unique(np.stack([self.past.customer_row, self.past.at_s // DAY_S]), axis=1)
        return np.bincount(days[0], minlength=self.history.n_customers)

    @cached_property
    def _received(self) -> DoubleArray:
        """How many campaigns each customer got."""
        received = np.zeros(self.history.n_customers)
        for campaign in self.started:
            received[campaign.customer_rows] += 1
        return received

    @cached_property
    def _usual_rate(self) -> float:
        """Redemptions for each campaign that a customer got."""
        return float((self._redeemed.sum() + 1) / (self._received.sum() + 1))

    @cached_property
    def _redemptions(self) -> sparse.csr_array:
        """How often each customer redeemed each offer; n_customers x n_offers."""
        cells = (np.ones(len(self.past), np.float32), (self.past.customer_row, self.past.offer_row))
        return sparse.csr_array(cells, shape=(self.history.n_customers, len(self.offers)))

    def _of_offers(self, offer_rows: IntArray) -> dict[str, DoubleArray]:
        """What is the same for all customers, kept for the next block of them."""
        asked = offer_rows.tobytes()
        if asked not in self._told_of_offers:
            self._told_of_offers[asked] = self._told_by_offers(offer_rows)
        return self._told_of_offers[asked]

    def _told_by_offers(self, offer_rows: IntArray) -> dict[str, DoubleArray]:
        wanted = self.offers.products[offer_rows]
        buyers = self._recent.matrix()
        reached = (buyers @ wanted.T).tocsc()
        active = max(1, int((np.diff(buyers.indptr) > 0).sum()))
        return {
            "popularity": np.log(np.diff(reached.indptr) / active + 1e-4)[None, :],
            "redeemed_by_others": np.log(self._rate_of_similar(offer_rows))[None, :],
            "breadth": np.log1p(wanted.sum(axis=1))[None, :],
            "few_beside": -np.log(self._beside[offer_rows])[None, :],
        }

    def _rate_of_similar(self, offer_rows: IntArray) -> DoubleArray:
        """Redemptions for each customer who got an offer with such products (Jaccard), drawn to the usual."""
        received = np.zeros(len(self.offers))
        for campaign in self.started:
            received[campaign.offer_rows] = len(campaign.customer_rows)
        redeemed = np.bincount(self.past.offer_row, minlength=len(self.offers))
        usual = (redeemed.sum() + 0.5) / (received.sum() + 1000)
        shared = (self.offers.products[offer_rows] @ self.offers.products.T).tocoo()
        size = self.offers.products.sum(axis=1)
        jaccard = shared.data / (size[offer_rows][shared.row] + size[shared.col] - shared.data)
        n = len(offer_rows)
        events = np.bincount(shared.row, jaccard * redeemed[shared.col], n)
        chances = np.bincount(shared.row, jaccard * received[shared.col], n)
        return np.asarray((events + 3 * usual) / (chances + 3))

    @cached_property
    def _beside(self) -> DoubleArray:
        """How many offers are in the campaign of each; they share what a customer redeems."""
        found = np.ones(len(self.offers))
        for campaign in self.offers.campaigns:
            found[campaign.offer_rows] = len(campaign.offer_rows)
        return found

    @cached_property
    def _category_profiles(self) -> sparse.csr_array:
        """Each offer's products by category, of length 1; n_offers x n_categories."""
        profile = (self.offers.products @ self._parts["category"]).tocsr()
        length = np.maximum(np.sqrt(profile.power(2).sum(axis=1)), 1e-9)
        return (sparse.diags_array(1 / length) @ profile).tocsr()

    @cached_property
    def _recent(self) -> Interactions:
        return self.history.only(self.history.age_days <= RECENT_DAYS)

    @cached_property
    def _recent_purchases(self) -> DoubleArray:
        """How often each product was bought lately, and a little more, so that each was."""
        counts = np.bincount(self._recent.product_row, minlength=self.history.n_products)
        return np.asarray(counts + 0.1, np.float64)

    @cached_property
    def _everybody(self) -> DoubleArray:
        """Decayed purchases of each product."""
        return column_sums(self._matrix(HALF_LIFE_DAYS))

    def _matrix(self, half_life_days: float | None) -> sparse.csr_array:
        """Purchases by customer and product, decayed; None: as they are."""
        if half_life_days not in self._matrices:
            age = self.history.age_days
            weights = None if half_life_days is None else decay(age, half_life_days)
            self._matrices[half_life_days] = self.history.matrix(weights)
        return self._matrices[half_life_days]

    def _orders(self, half_life_days: float) -> DoubleArray:
        """Decayed orders of each customer."""
        if half_life_days not in self._order_counts:
            first = self.history.first_of_order
            weights = decay(self.history.age_days[first], half_life_days)
            counts = np.bincount(self.history.customer_row[first], weights, self.history.n_customers)
            self._order_counts[half_life_days] = counts
        return self._order_counts[half_life_days]


def column_sums(table: sparse.csr_array) -> DoubleArray:
    """The sum of each column; scipy's are of single precision, which adds no 1 to 2^24."""
    return np.bincount(table.indices, table.data, table.shape[1])
