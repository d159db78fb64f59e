"""How good lists are: per-customer figures from ranked lists and what was bought, over the full catalogue."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from models.arrays import BoolArray, DoubleArray, IntArray
from models.history.pair_keys import are_in
from models.validation.metrics import ndcg

KS = (1, 5, 10, 20)
METRICS = ("precision", "recall", "ndcg", "hit", "map")


def find_hits(lists: IntArray, truth: sparse.csr_array) -> BoolArray:
    """Which places of the lists were bought.

    Args:
        lists: shape (n, k), int32, product rows best first, -1 where a list is shorter.
        truth: shape (n, n_products); a stored cell is a product that counts.
    Returns:
        shape (n, k), bool; False at -1.
    Raises:
        ValueError: a list names a product twice, which would count one purchase as two.
    """
    ordered = np.sort(lists, axis=1)
    if bool(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any()):
        raise ValueError("a list names a product twice")
    return are_in(truth, np.arange(len(lists))[:, None], lists) & (lists >= 0)


def per_customer(lists: IntArray, truth: sparse.csr_array, ks: Sequence[int] = KS) -> dict[str, DoubleArray]:
    """Precision, recall, NDCG, hit and MAP of each customer's list.

    With h_i = 1 if place i was bought and t = number of products that count:
        precision@k = sum(h_1..h_k) / k, also where the list is shorter
        recall@k    = sum(h_1..h_k) / t
        ndcg@k      = sum(h_i / log2(i + 1)) / sum(1 / log2(i + 1) for i up to min(k, t))
        hit@k       = 1 if any of h_1..h_k
        map@k       = sum(h_i * precision@i) / min(k, t)

    Args:
        lists: as for `find_hits`.
        truth: as for `find_hits`.
        ks: lengths at which the lists are cut, each at most the width of `lists`.
    Returns:
        `"ndcg@10"` and so on to shape (n,), float64, 0 to 1; NaN for customers without truth.
    Source: Järvelin, Kekäläinen 2002 (NDCG, binary gain); Manning, Raghavan, Schütze 2008, ch. 8 (others).
    """
    hits = find_hits(lists, truth).astype(np.float64)
    n_true = np.diff(truth.indptr)
    place = np.arange(1, lists.shape[1] + 1)
    found = np.cumsum(hits, axis=1)
    precision_at_hits = np.cumsum(hits * found / place, axis=1)

    figures: dict[str, DoubleArray] = {}
    for k in ks:
        reachable = np.clip(n_true, 1, k)
        figures[f"precision@{k}"] = found[:, k - 1] / k
        figures[f"recall@{k}"] = found[:, k - 1] / np.maximum(n_true, 1)
        figures[f"ndcg@{k}"] = ndcg(hits > 0, np.maximum(n_true, 1), k)
        figures[f"hit@{k}"] = (found[:, k - 1] > 0).astype(np.float64)
        figures[f"map@{k}"] = precision_at_hits[:, k - 1] / reachable
    for figure in figures.values():
        figure[n_true == 0] = np.nan
    return figures


@dataclass(frozen=True)
class ListFigures:
    """What the lists are made of, whoever bought it.

    Attributes:
        coverage: distinct products in the lists / products with a purchase before the fold.
        novelty: mean over places of -log2(share of the customers that bought the product); 10 means that one
            customer in 1,024 did.
        popularity: mean percentile of popularity of the products in the lists; 1 is the most bought one.
        truth_popularity: the same of what was really bought; lists far above it push what everybody buys.
    """

    coverage: float
    novelty: float
    popularity: float
    truth_popularity: float


def list_figures(lists: IntArray, truth: sparse.csr_array, buyers: IntArray, n_buyers: int) -> ListFigures:
    """Coverage, novelty and popularity bias of lists.

    Args:
        lists: shape (n, k), int32, -1 where a list is shorter.
        truth: shape (n, n_products), what was bought.
        buyers: shape (n_products,), int32, distinct customers who bought each product before the fold.
        n_buyers: customers with a purchase before the fold, at least 1.
    Source: Vargas, Castells 2011 (novelty as -log2 of the probability that the product is known).
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - a second to load, for those only who judge lists

    listed = lists[lists >= 0]
    share = np.maximum(buyers, 1) / n_buyers  # a product nobody bought counts as bought once
    percentile = np.zeros(len(buyers))
    sold = np.flatnonzero(buyers > 0)
    percentile[sold] = rankdata(buyers[sold], method="average") / max(len(sold), 1)
    return ListFigures(
        coverage=len(np.unique(listed)) / max(len(sold), 1),
        novelty=_mean(-np.log2(share[listed])),
        popularity=_mean(percentile[listed]),
        truth_popularity=_mean(percentile[truth.indices]),
    )


def _mean(values: DoubleArray) -> float:
    return float(values.mean()) if len(values) else 0.0
