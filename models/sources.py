"""Where a ranker's candidates come from: own products, and the first places of each source among new ones."""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from models.affinity import Affinity
from models.als import Als
from models.arrays import BoolArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.content import Content
from models.due import Due
from models.ease import Ease
from models.interactions import Interactions
from models.item_item import ItemItem
from models.neighbours import Neighbours
from models.popular import Popular
from models.repeat import Repeat
from models.season import Season
from models.top_k import top_k
from models.trend import Trend

SOURCES: tuple[type[Model[Any]], ...] = (
    *(Popular, Trend, Season),
    *(Repeat, Due),
    *(ItemItem, Als, Ease, Neighbours, Affinity, Content),
)
SAME_FOR_ALL = (Popular, Trend, Season)
OWN = (Repeat, Due)  # they have an opinion on what the customer bought alone
BLOCK_CELLS = 4_000_000  # scores of one source that are held at a time: 16 MB
BLOCKS_AT_ONCE = 2  # numpy and scipy hold no lock while they work


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of customers and products, sorted by both, with what each source says of them.

    Attributes:
        customer_row, product_row: shape (n,), int32.
        is_own: shape (n,), bool, whether the customer bought the product before.
        scores: shape (n, n_sources), float32, NaN where a source has no opinion.
        places: shape (n, n_sources), float32, from 0, in the source's list; NaN where it isn't there.
    """

    customer_row: IntArray
    product_row: IntArray
    is_own: BoolArray
    scores: FloatArray
    places: FloatArray

    def __len__(self) -> int:
        return len(self.customer_row)

    def at(self, kept: LongArray) -> "Candidates":
        """The pairs at these places."""
        return Candidates(
            self.customer_row[kept],
            self.product_row[kept],
            self.is_own[kept],
            self.scores[kept],
            self.places[kept],
        )


@dataclass(frozen=True)
class Limits:
    """How many candidates each source may list for one customer.

    Attributes:
        own: products that the customer bought before.
        new: products that are new to the customer.
    """

    own: int
    new: int


def candidates(
    sources: Mapping[str, Model[Any]], owned: sparse.csr_array, rows: IntArray, limits: Limits
) -> Iterator[Candidates]:
    """The candidates of some customers, in blocks of them, in the order of `rows`.

    Args:
        sources: name to fitted model.
        owned: customers x products with an entry for what each bought.
        rows: customer rows, rising.
        limits: see there.
    """
    size = max(1, min(256, BLOCK_CELLS // max(1, owned.shape[1])))
    orders = {name: _order(model) for name, model in sources.items() if isinstance(model, SAME_FOR_ALL)}
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    with ThreadPoolExecutor(BLOCKS_AT_ONCE) as pool:
        waiting = deque[Future[Candidates]]()
        for block in blocks:
            waiting.append(pool.submit(_block, sources, orders, owned, block, limits))
            if len(waiting) > BLOCKS_AT_ONCE:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _block(
    sources: Mapping[str, Model[Any]],
    orders: Mapping[str, IntArray],
    owned: sparse.csr_array,
    rows: IntArray,
    limits: Limits,
) -> Candidates:
    n_products = owned.shape[1]
    mine = owned[rows]
    own = np.repeat(np.arange(len(rows)), np.diff(mine.indptr)), mine.indices
    is_own = np.zeros((len(rows), n_products), np.bool_)
    is_own[own] = True
    is_listed = np.zeros_like(is_own)
    scores: list[FloatArray] = []
    listed: list[tuple[LongArray, LongArray, IntArray]] = []  # customer, place, product of each source
    for name, model in sources.items():
        best: IntArray
        if name in orders:
            scores.append(model.score(rows[:1]))  # one line stands for all
            best = _first_not_owned(orders[name], is_own, limits.new)
        else:
            dense = model.score(rows)
            scores.append(dense)
            if isinstance(model, OWN):
                best = top_k(dense, limits.own)
            else:
                of_own = dense[own]
                dense[own] = np.nan
                best = top_k(dense, limits.new)
                dense[own] = of_own
        customer, place = np.nonzero(best >= 0)
        is_listed[customer, best[customer, place]] = True
        listed.append((customer, place, best[customer, place]))
    customer, product = np.nonzero(is_listed)
    key = customer * n_products + product
    places = np.full((len(key), len(sources)), np.nan, np.float32)
    for column, (customer_of, place_of, product_of) in enumerate(listed):
        places[np.searchsorted(key, customer_of * n_products + product_of), column] = place_of
    found = [dense[customer if len(dense) == len(rows) else 0, product] for dense in scores]
    return Candidates(
        rows[customer],
        product.astype(np.int32),
        is_own[customer, product],
        np.stack(found, axis=1) if found else np.empty((len(key), 0), np.float32),
        places,
    )


def _order(model: Model[Any]) -> IntArray:
    """The products of a model that scores the same for everyone, best first."""
    line = model.score(np.zeros(1, np.int32))[0]
    order = np.argsort(-line, kind="stable").astype(np.int32)  # NaN come last
    able: IntArray = order[~np.isnan(line[order])]
    return able


def _first_not_owned(order: IntArray, is_own: BoolArray, n: int) -> IntArray:
    """The first n of `order` that each customer does not own; shape (n_customers, n), -1 for no more."""
    best = np.full((len(is_own), n), -1, np.int32)
    for place, own in enumerate(is_own):
        able = order[: n + int(own.sum())]
        able = able[~own[able]][:n]
        best[place, : len(able)] = able
    return best


def fit_source(model: Model[Any], interactions: Interactions, rows: IntArray | None) -> Model[Any]:
    """A source fitted for these customers alone where that is cheaper; None stands for all."""
    if isinstance(model, Neighbours) and rows is not None:
        return model.fit_for(interactions, rows)
    return model.fit(interactions)
