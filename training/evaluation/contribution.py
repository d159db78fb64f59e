"""What each source of candidates contributes: what it finds of what was bought, alone and on top."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, IntArray, LongArray
from models.history.pair_keys import are_among, pair_keys
from training.evaluation.folds import TargetTruth

type Kind = Literal["all", "repeats", "new"]

KINDS: dict[Kind, tuple[int, ...]] = {"all": (0, 1), "repeats": (0,), "new": (1,)}  # columns of the counts
MAX_SOURCES = 62  # one bit each of an int64
_BLOCK_CELLS = 4_000_000  # candidates looked at together: about 200 MB


@dataclass(frozen=True, eq=False)
class SourceCounts:
    """The candidates of some customers in one fold, counted by which sources gave them.

    Attributes:
        sources: names, in the order given; source i is bit i of `pattern`.
        customers: how many were asked.
        pattern: shape (m,), int64, rising: the sets of sources that gave the same candidates.
        candidates: shape (m, 2), int64: distinct (customer, product) pairs given by exactly those sources;
            column 0 counts products that the customer had bought before, column 1 those that are new to them.
        hits: shape (m, 2): how many of these were bought in the window.
        bought: shape (2,): all pairs that the customers bought, found or not.
    """

    sources: tuple[str, ...]
    customers: int
    pattern: LongArray
    candidates: LongArray
    hits: LongArray
    bought: LongArray


@dataclass(frozen=True)
class SourceFigures:
    """One source and one kind of products.

    Attributes:
        alone: share of the bought pairs that it finds.
        on_top: share of the bought pairs that no other source finds: what leaving it out would lose.
        candidates: distinct products that it gives, mean per customer.
    """

    alone: float
    on_top: float
    candidates: float


@dataclass(frozen=True)
class Step:
    """What `source` and all steps before it find together, and how many candidates that takes."""

    source: str
    found: float
    candidates: float


@dataclass(frozen=True)
class KindFigures:
    """All sources on one kind of products.

    Attributes:
        bought: (customer, product) pairs that were bought in the windows.
        found: share of them among the candidates of all sources together.
        candidates: distinct products of all sources together, mean per customer.
        sources: each by itself, in the order given.
        steps: the sources in the order of what they add most, ties in the order given; ends at `found`.
    """

    bought: int
    found: float
    candidates: float
    sources: dict[str, SourceFigures]
    steps: list[Step]

    def of_those_that_list_any(self) -> "KindFigures":
        """The same without sources that list no such products, such as new ones by `repeat`."""
        listing = {name: source for name, source in self.sources.items() if source.candidates}
        if not listing:
            return self
        return replace(self, sources=listing, steps=[step for step in self.steps if step.source in listing])


@dataclass(frozen=True)
class Contribution:
    """What the candidates hold of what was bought. A kind of which nothing was bought is missing.

    Attributes:
        customers: how many were asked, counted once in each fold.
        kinds: everything, what the customer had bought before, and what was new to them.
    """

    customers: int
    kinds: dict[Kind, KindFigures]


def count_sources(
    truth: TargetTruth, owned: sparse.csr_array, customer_row: IntArray, candidates: Mapping[str, IntArray]
) -> SourceCounts:
    """What the sources found on one fold, for some customers; counts of several calls are pooled below.

    Args:
        truth: everything bought in the window, i.e. `Truth.targets["all"]`.
        owned: customers x products, what each customer had bought before the fold.
        customer_row: shape (n,), distinct, whose candidates they are. Only what these customers bought
            counts; those who bought nothing count as customers.
        candidates: source to shape (n, k) of its own k: product rows, -1 where it has fewer. Order plays no
            part, and a product named twice counts once.
    Raises:
        ValueError: lists of other length than `customer_row`, unknown products, no or too many sources.
    """
    n_products = owned.shape[1]
    if not 0 < len(candidates) <= MAX_SOURCES:
        raise ValueError(f"{len(candidates)} sources of candidates, want 1 to {MAX_SOURCES}")
    for name, lists in candidates.items():
        if len(lists) != len(customer_row):
            raise ValueError(f"{name} gave {len(lists)} lists for {len(customer_row)} customers")
        if lists.size and lists.max() >= n_products:
            raise ValueError(f"{name} gave product row {lists.max()} of {n_products} products")
    size = max(1, _BLOCK_CELLS // max(1, sum(lists.shape[1] for lists in candidates.values())))
    starts = range(0, max(1, len(customer_row)), size)
    blocks = [slice(start, start + size) for start in starts]
    return _merged(
        [
            _count_block(
                truth, owned, customer_row[block], {name: lists[block] for name, lists in candidates.items()}
            )
            for block in blocks
        ]
    )


def pool_sources(parts: Sequence[SourceCounts]) -> Contribution:
    """The figures over all folds, each bought pair weighing the same.

    Args:
        parts: at least one; all of the same sources in the same order.
    Raises:
        ValueError: sources differ.
    """
    counts = _merged(parts)
    return Contribution(
        customers=counts.customers,
        kinds={
            kind: _figures(counts, columns)
            for kind, columns in KINDS.items()
            if counts.bought[list(columns)].sum() > 0
        },
    )


def _figures(counts: SourceCounts, columns: tuple[int, ...]) -> KindFigures:
    chosen = list(columns)
    hits, given = counts.hits[:, chosen].sum(axis=1), counts.candidates[:, chosen].sum(axis=1)
    bought, customers = int(counts.bought[chosen].sum()), max(1, counts.customers)
    bits = {name: 1 << place for place, name in enumerate(counts.sources)}

    def found(mask: BoolArray) -> float:
        return float(hits[mask].sum() / bought)

    def per_customer(mask: BoolArray) -> float:
        return float(given[mask].sum() / customers)

    steps: list[Step] = []
    has, left = np.zeros(len(hits), np.bool_), dict(bits)
    while left:
        adds = {name: int(hits[~has & (counts.pattern & bit > 0)].sum()) for name, bit in left.items()}
        best = max(adds, key=adds.__getitem__)  # the first of equals
        has |= counts.pattern & left.pop(best) > 0
        steps.append(Step(best, found(has), per_customer(has)))
    return KindFigures(
        bought=bought,
        found=found(has),
        candidates=per_customer(has),
        sources={
            name: SourceFigures(
                alone=found(counts.pattern & bit > 0),
                on_top=found(counts.pattern == bit),
                candidates=per_customer(counts.pattern & bit > 0),
            )
            for name, bit in bits.items()
        },
        steps=steps,
    )


def _count_block(
    truth: TargetTruth, owned: sparse.csr_array, customer_row: IntArray, candidates: Mapping[str, IntArray]
) -> SourceCounts:
    n_products = owned.shape[1]
    before = _keys(np.arange(len(customer_row)), owned[customer_row])
    is_judged = np.isin(customer_row, truth.customer_row)
    judged = np.searchsorted(truth.customer_row, customer_row[is_judged])
    bought = _keys(np.flatnonzero(is_judged), truth.products[judged])

    given, pattern = _patterns(candidates, n_products)
    is_new, is_hit = ~are_among(given, before), are_among(given, bought)
    distinct, of = np.unique(pattern, return_inverse=True)
    return SourceCounts(
        sources=tuple(candidates),
        customers=len(customer_row),
        pattern=distinct,
        candidates=_table(of, is_new, len(distinct)),
        hits=_table(of[is_hit], is_new[is_hit], len(distinct)),
        bought=np.bincount(~are_among(bought, before), minlength=2).astype(np.int64),
    )


def _patterns(candidates: Mapping[str, IntArray], n_products: int) -> tuple[LongArray, LongArray]:
    """The distinct candidates as keys, rising, and for each the sources that gave it, as bits."""
    keys, bits = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for place, lists in enumerate(candidates.values()):
        position, column = np.nonzero(lists >= 0)
        keys.append(pair_keys(position, lists[position, column], n_products))
        bits.append(np.full(len(position), 1 << place, np.int64))
    every, source = np.concatenate(keys), np.concatenate(bits)
    order = np.argsort(every)
    given, first = np.unique(every[order], return_index=True)
    if not len(given):
        return given, given
    return given, np.bitwise_or.reduceat(source[order], first)


def _keys(position: LongArray, cells: sparse.csr_array) -> LongArray:
    """One number for each stored cell, rising: its customer's position and its product."""
    of_row = np.repeat(position, np.diff(cells.indptr))
    return np.sort(pair_keys(of_row, cells.indices, cells.shape[1]))


def _table(of: LongArray, is_new: BoolArray, n_patterns: int) -> LongArray:
    """How often each (pattern, new or not) occurs, shape (n_patterns, 2)."""
    return np.bincount(of * 2 + is_new, minlength=n_patterns * 2).reshape(n_patterns, 2).astype(np.int64)


def _merged(parts: Sequence[SourceCounts]) -> SourceCounts:
    if len({part.sources for part in parts}) != 1:
        raise ValueError("the folds have candidates of different sources")
    pattern, of = np.unique(np.concatenate([part.pattern for part in parts]), return_inverse=True)
    candidates, hits = np.zeros((len(pattern), 2), np.int64), np.zeros((len(pattern), 2), np.int64)
    np.add.at(candidates, of, np.concatenate([part.candidates for part in parts]))
    np.add.at(hits, of, np.concatenate([part.hits for part in parts]))
    return SourceCounts(
        sources=parts[0].sources,
        customers=sum(part.customers for part in parts),
        pattern=pattern,
        candidates=candidates,
        hits=hits,
        bought=np.sum([part.bought for part in parts], axis=0, dtype=np.int64),
    )
