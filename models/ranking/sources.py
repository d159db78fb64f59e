"""Where a ranker's candidates come from: own products, and the first places of each source among new ones."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from models.affinity import Affinity
from models.als import Als
from models.arrays import AnyIntArray, BoolArray, FloatArray, IntArray, LongArray
from models.base import Model
from models.content import Content, content_features, content_vectors, rarity
from models.due import Due
from models.ease import Ease
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from models.item_item import ItemItem
from models.neighbours import Neighbours
from models.numerics.columns import picked
from models.numerics.top_k import top_k
from models.popular import Popular
from models.repeat import Repeat
from models.season import Season
from models.sequel import Sequel
from models.trend import Trend
from models.validation.first_purchases import first_purchases, take_up

SOURCES: tuple[type[Model[Any]], ...] = (
    *(Popular, Trend, Season),
    *(Repeat, Due),
    *(ItemItem, Sequel, Als, Ease, Neighbours, Affinity, Content),
)
SAME_FOR_ALL = (Popular, Trend, Season)
OWN = (Repeat, Due)  # they have an opinion on what the customer bought alone
POOL_HORIZONS = 4  # half-life of what is taken up, where not all products can be candidates
UNSOLD_HORIZONS = 4  # that tell how much of what is new to customers nobody had bought before
LEAST_UNSOLD = 1 / 8
LEAST_ROWS, MOST_ROWS = 16, 128  # customers whose scores are held at a time
CELLS = 1_000_000  # of scores that are held at a time in any case, where there are few products


def personal(sources: Mapping[str, Model[Any]]) -> list[str]:
    """The names of those that tell one customer's new products apart otherwise than another's."""
    return [name for name, model in sources.items() if not isinstance(model, (*SAME_FOR_ALL, *OWN))]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of customers and products, sorted by both, with what each source says of them.

    Attributes:
        rows: the customers who were asked about, rising; some may have no pair.
        customer_row, product_row: shape (n,), int32.
        is_own: shape (n,), bool, whether the customer bought the product before.
        scores: shape (n, n_sources), float32, NaN where a source has no opinion.
        places: shape (n, n_sources), float32, from 0, in the source's list; NaN where it isn't there.
        nearness: shape (n, len(personal(sources))), float32: the score over the customer's highest one among
            products new to them; NaN for own products, and where none is above 0.
    """

    rows: IntArray
    customer_row: IntArray
    product_row: IntArray
    is_own: BoolArray
    scores: FloatArray
    places: FloatArray
    nearness: FloatArray

    def __len__(self) -> int:
        return len(self.customer_row)

    @classmethod
    def joined(cls, blocks: Sequence["Candidates"]) -> "Candidates":
        """Those of all blocks, at least one, of other customers each."""
        return cls(*(np.concatenate([getattr(each, part.name) for each in blocks]) for part in fields(cls)))

    def at(self, kept: LongArray) -> "Candidates":
        """The pairs at these places."""
        return Candidates(
            self.rows,
            self.customer_row[kept],
            self.product_row[kept],
            self.is_own[kept],
            self.scores[kept],
            self.places[kept],
            self.nearness[kept],
        )


@dataclass(frozen=True)
class Limits:
    """How many candidates each source may list for one customer, and among how many.

    Attributes:
        own: products that the customer bought before.
        new: products that are new to the customer.
        pool: this many products may be listed as new to somebody.
    """

    own: int
    new: int
    pool: int


@dataclass(frozen=True, eq=False)
class Owned:
    """What customers bought. It is counted once: for each few customers anew it would outgrow all else.

    Attributes:
        table: customers x products, with an entry for what each bought.
        is_unsold: shape (n_products,), bool, what nobody bought yet.
        mean: how many products a customer has who bought any.
    """

    table: sparse.csr_array
    is_unsold: BoolArray
    mean: float

    @classmethod
    def of(cls, table: sparse.csr_array) -> "Owned":
        is_unsold = np.bincount(table.indices, minlength=table.shape[1]) == 0
        return cls(table, is_unsold, table.nnz / max(1, np.count_nonzero(np.diff(table.indptr))))


def unsold_share(history: Interactions, horizon_days: float) -> float:
    """Of what customers lately bought first, the share that nobody had bought when its horizon began."""
    firsts = first_purchases(history)
    ago = (firsts.age_days / np.float32(horizon_days)).astype(np.int32)
    first_ago = np.zeros(history.n_products, np.int32)
    np.maximum.at(first_ago, firsts.product_row, ago)
    lately = ago < UNSOLD_HORIZONS
    was_unsold = ago[lately] == first_ago[firsts.product_row[lately]]
    return float(was_unsold.mean()) if len(was_unsold) else 0.0


def pool_of(
    history: Interactions,
    horizon_days: float,
    limit: int,
    unsold_part: float,
    hidden: BoolArray | None = None,
) -> IntArray:
    """The products that may be listed as new to somebody: at most `limit`, rising; all where there are fewer.
    What is `hidden`, shape (n_products,), isn't among them.

    They are those most taken up in the last horizons; up to `unsold_part`, LEAST_UNSOLD if that is more,
    are products that nobody bought yet, those whose words, category and brand are most like what is
    taken up. So the cost of a customer doesn't grow with the catalogue.
    """
    is_able = np.ones(history.n_products, np.bool_) if hidden is None else ~hidden
    if np.count_nonzero(is_able) <= limit:
        return np.flatnonzero(is_able).astype(np.int32)
    chance = take_up(first_purchases(history), POOL_HORIZONS * horizon_days)
    room = max(int(limit * max(unsold_part, LEAST_UNSOLD)), limit - np.count_nonzero(chance[is_able] > 0))
    unsold, sold = _most_alike(history.catalogue, chance), np.argsort(-chance, kind="stable")
    unsold = unsold[is_able[unsold]][:room]
    sold = sold[is_able[sold]][: limit - len(unsold)]
    return np.unique(np.concatenate([sold, unsold])).astype(np.int32)


def _most_alike(catalogue: Catalogue, chance: FloatArray) -> LongArray:
    """The products without a chance, first those that are most like the ones with; ties by product row."""
    features = content_features(catalogue)
    vectors = content_vectors(features, rarity(features))
    liking = vectors @ (vectors.T @ chance)
    unsold = np.flatnonzero(chance <= 0)
    return unsold[np.argsort(-liking[unsold], kind="stable")]


def candidates(
    sources: Mapping[str, Model[Any]],
    owned: Owned,
    rows: IntArray,
    limits: Limits,
    pool: IntArray,
    unsold_part: float,
) -> list[Callable[[], Candidates]]:
    """What finds the candidates of some customers, a block of them each, in the order of `rows`.

    Args:
        sources: name to fitted model.
        owned: what each bought.
        rows: customer rows, rising.
        limits: see there.
        pool: products that may be listed as new, rising.
        unsold_part: as of `unsold_share`: beside its first places, where what sells leaves hardly one to such
            products, each source lists so many times `limits.new` of what nobody bought yet.
    """
    n_unsold = math.ceil(limits.new * unsold_part)
    # own columns: about a pool's
    fitting = max(len(pool) / max(owned.mean, 1), CELLS / owned.table.shape[1])
    size = int(min(MOST_ROWS, max(LEAST_ROWS, fitting)))
    orders = {name: _order(model, pool) for name, model in sources.items() if isinstance(model, SAME_FOR_ALL)}
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    ask = partial(_block, sources, orders, owned, limits=limits, pool=pool, n_unsold=n_unsold)
    return [partial(ask, block) for block in blocks]


def _block(
    sources: Mapping[str, Model[Any]],
    orders: Mapping[str, IntArray],
    owned: Owned,
    rows: IntArray,
    *,
    limits: Limits,
    pool: IntArray,
    n_unsold: int,
) -> Candidates:
    mine = owned.table[rows]
    owning = {name: model for name, model in sources.items() if isinstance(model, OWN)}
    listed = {name: _own(model, mine, rows, limits.own) for name, model in owning.items()}
    columns = _distinct(mine.shape[1], pool, *(best[best >= 0] for best in listed.values()))
    unsold = np.flatnonzero(owned.is_unsold[columns])
    mine.data = np.ones(mine.nnz, np.float32)
    is_own = picked(mine, columns) > 0
    is_able = ~is_own
    is_able[:, np.delete(np.arange(len(columns)), np.searchsorted(columns, pool))] = False
    scores: list[FloatArray] = []
    for name, model in sources.items():
        scores.append(model.score(rows[:1] if name in orders else rows, columns))  # one line stands for all
        if name in orders:
            listed[name] = _first_not_owned(orders[name], columns, is_own, limits.new)
        elif name not in listed:
            able = np.where(is_able, scores[-1], np.float32(np.nan))
            best = _first(able, limits.new, unsold, n_unsold)
            listed[name] = np.where(best >= 0, columns[best], -1)
    telling = [number for number, name in enumerate(sources) if name in personal(sources)]
    return _listed(rows, columns, is_own, scores, [listed[name] for name in sources], telling)


def _first(scores: FloatArray, n: int, unsold: LongArray, n_unsold: int) -> IntArray:
    """The n best columns of each row, and the n_unsold best others of those in `unsold`; -1 for no more."""
    best = top_k(scores, n)
    if not n_unsold or np.isnan(scores[:, unsold]).all():
        return best
    row, place = np.nonzero(best >= 0)
    scores[row, best[row, place]] = np.nan
    more = top_k(scores[:, unsold], n_unsold)
    return np.concatenate([best, np.where(more >= 0, unsold[more], -1)], axis=1).astype(np.int32)


def _listed(
    rows: IntArray,
    columns: AnyIntArray,
    is_own: BoolArray,
    scores: list[FloatArray],
    lists: list[IntArray],
    telling: list[int],
) -> Candidates:
    """All that is in some list, with what every source says of it.

    Args:
        rows: the block's customers.
        columns: products, rising, of `is_own` and `scores`.
        scores: of each source, a line for each customer, or one for all.
        lists: of each source, products of each customer, best first, -1 for none.
        telling: numbers of the sources that have a nearness.
    """
    is_listed = np.zeros_like(is_own)
    entries = []
    for best in lists:
        customer, place = np.nonzero(best >= 0)
        column = np.searchsorted(columns, best[customer, place])
        is_listed[customer, column] = True
        entries.append((customer * len(columns) + column, place))
    customer, column = np.nonzero(is_listed)
    key = customer * len(columns) + column
    places = np.full((len(key), len(lists)), np.nan, np.float32)
    for number, (listed, place) in enumerate(entries):
        places[np.searchsorted(key, listed), number] = place
    found = [dense[customer if len(dense) == len(rows) else 0, column] for dense in scores]
    said = np.stack(found, axis=1) if found else np.empty((len(key), 0), np.float32)
    mine = is_own[customer, column]
    new_alone = np.where(mine[:, None], np.float32(np.nan), said[:, telling])
    return Candidates(
        rows,
        rows[customer],
        columns[column].astype(np.int32),
        mine,
        said,
        places,
        _over_best(new_alone, customer),
    )


def _over_best(scores: FloatArray, customer: LongArray) -> FloatArray:
    """Each column over its highest of the same customer, NaN unless that is above 0; customers rise."""
    if not len(customer):
        return scores
    starts = np.flatnonzero(np.diff(customer, prepend=-1))
    best = np.fmax.reduceat(scores, starts, axis=0)
    best[~(best > 0)] = np.nan
    over: FloatArray = scores / np.repeat(best, np.diff(starts, append=len(customer)), axis=0)
    return over


def _own(model: Model[Any], mine: sparse.csr_array, rows: IntArray, n: int) -> IntArray:
    """The model's n best of each customer's own products, -1 for no more."""
    columns = _distinct(mine.shape[1], mine.indices)
    best = top_k(model.score(rows, columns), n)
    return np.where(best >= 0, columns[best], -1) if len(columns) else best


def _order(model: Model[Any], pool: IntArray) -> IntArray:
    """The products of the pool by a model that scores the same for everyone, best first."""
    line = model.score(np.zeros(1, np.int32), pool)[0]
    order = np.argsort(-line, kind="stable")  # NaN come last
    able: IntArray = pool[order[~np.isnan(line[order])]]
    return able


def _first_not_owned(order: IntArray, columns: AnyIntArray, is_own: BoolArray, n: int) -> IntArray:
    """The first n of `order` that each customer does not own; shape (n_customers, n), -1 for no more."""
    best = np.full((len(is_own), n), -1, np.int32)
    first = order[: n + int(is_own.sum(axis=1).max(initial=0))]
    is_able = ~is_own[:, np.searchsorted(columns, first)]
    place = np.cumsum(is_able, axis=1) - 1
    customer, at = np.nonzero(is_able & (place < n))
    best[customer, place[customer, at]] = first[at]
    return best


def _distinct(n_products: int, *rows: AnyIntArray) -> LongArray:
    """All these product rows, each once, rising."""
    is_there = np.zeros(n_products, np.bool_)
    for some in rows:
        is_there[some] = True
    return np.flatnonzero(is_there)
