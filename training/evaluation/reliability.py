"""How far probabilities are from what happened: bins, calibration error, Brier, observed over expected."""

from dataclasses import dataclass

import numpy as np

from models.arrays import AnyArray, AnyIntArray, BoolArray, DoubleArray

N_BINS = 10
MIN_TOP = 200  # pairs in a bin at the top, where the largest probabilities are told apart
N_BARS = 20  # of the histogram, equally wide from 0 to 1
_Z = 1.959964  # 97.5 % of the normal distribution
_Z_ONE_SIDED = 1.644854  # 95 %


@dataclass(frozen=True)
class Bin:
    """Pairs of similar probability: `low` and `high` are the smallest and largest p in it.

    `observed` is the share that was bought, `observed_low` and `observed_high` its Wilson 95 % interval.
    """

    low: float
    high: float
    count: int
    mean_p: float
    observed: float
    observed_low: float
    observed_high: float


@dataclass(frozen=True)
class Reliability:
    """How far probabilities are from what was bought.

    Attributes:
        count: how many probabilities.
        expected, observed: sum of p; how many were bought.
        ece: expected calibration error: mean of |mean p - observed share| over the bins, weighted by count.
        ece_by_chance: the ECE that perfect probabilities would be expected to show on as many pairs, were
            the pairs independent. An ECE not above it is no evidence of a fault.
        ece_chance_limit: what perfect probabilities would show more than in 1 of 20 cases.
        brier: mean of (p - bought)^2, lower is better.
        brier_base: the same of one probability for all, the share that was bought.
        bins: by rising p.
        bars: counts of p in N_BARS equal parts of 0 to 1; each but the last without its upper end.
    """

    count: int
    expected: float
    observed: int
    ece: float
    ece_by_chance: float
    ece_chance_limit: float
    brier: float
    brier_base: float
    bins: list[Bin]
    bars: list[int]


@dataclass(frozen=True)
class Ratio:
    """Purchases observed over purchases expected, with a 95 % interval.

    The interval is normal, from how far each customer's purchases lay from the sum of their p: what one
    customer buys in one week hangs together, so that customers are the independent pieces, not pairs.
    """

    mean: float
    low: float
    high: float


def reliability(p: AnyArray, is_bought: BoolArray) -> Reliability | None:
    """Bins, ECE and Brier of probabilities, shape (n,); None for n = 0.

    The bins are tenths of the pairs by p; the top tenth is halved again and again as long as a half holds
    MIN_TOP pairs, since most pairs have tiny probabilities and the large ones are what promises are made of.
    Equal probabilities are never torn apart, so there may be fewer bins.

    Source: Naeini, Cooper, Hauskrecht 2015 (ECE); Nixon et al. 2019 (bins of equal count); Brier 1950.
    """
    n = len(p)
    if not n:
        return None
    p = p.astype(np.float64)
    which = np.searchsorted(_edges(p), p, side="right")
    count = np.bincount(which)
    mean_p, observed = np.bincount(which, p) / count, np.bincount(which, is_bought) / count
    low, high = wilson(np.bincount(which, is_bought), count)
    rising = np.sort(p)
    ends = np.cumsum(count)
    by_chance, limit = _chance(np.bincount(which, p * (1 - p)), n)
    share = float(is_bought.mean())
    return Reliability(
        count=n,
        expected=float(p.sum()),
        observed=int(is_bought.sum()),
        ece=float((count * np.abs(mean_p - observed)).sum() / n),
        ece_by_chance=by_chance,
        ece_chance_limit=limit,
        brier=float(((p - is_bought) ** 2).mean()),
        brier_base=share * (1 - share),
        bins=[
            Bin(
                low=float(rising[end - n_in]),
                high=float(rising[end - 1]),
                count=int(n_in),
                mean_p=float(mean_p[place]),
                observed=float(observed[place]),
                observed_low=float(low[place]),
                observed_high=float(high[place]),
            )
            for place, (n_in, end) in enumerate(zip(count, ends, strict=True))
        ],
        bars=[int(bar) for bar in np.histogram(p, N_BARS, (0, 1))[0]],
    )


def observed_over_expected(p: AnyArray, is_bought: BoolArray, customer: AnyIntArray) -> Ratio | None:
    """Purchases over the sum of p, all of shape (n,); None where nothing was expected."""
    expected = float(p.sum(dtype=np.float64))
    if expected <= 0:
        return None
    _, of = np.unique(customer, return_inverse=True)
    missed = np.bincount(of, is_bought) - np.bincount(of, p)
    by_chance = float((p * (1 - p)).sum(dtype=np.float64))
    reach = _Z * float(np.sqrt(max((missed**2).sum(), by_chance))) / expected
    mean = float(is_bought.sum()) / expected
    return Ratio(mean, max(0.0, mean - reach), mean + reach)


def wilson(bought: AnyArray, count: AnyArray) -> tuple[DoubleArray, DoubleArray]:
    """95 % interval of shares `bought / count`, each count at least 1 (Wilson 1927)."""
    share = bought / count
    middle = share + _Z**2 / (2 * count)
    reach = _Z * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return np.maximum(0, (middle - reach) / scale), np.minimum(1, (middle + reach) / scale)


def _chance(variances: DoubleArray, n: int) -> tuple[float, float]:
    """Mean and 95th percentile of the ECE of perfect probabilities; `variances` of the purchases in each bin.

    The distance in a bin is about that of a normal from its mean: mean sqrt(2 / pi), variance 1 - 2 / pi.
    """
    mean = float(np.sqrt(2 / np.pi) * np.sqrt(variances).sum() / n)
    return mean, mean + _Z_ONE_SIDED * float(np.sqrt((1 - 2 / np.pi) * variances.sum())) / n


def _edges(p: DoubleArray) -> DoubleArray:
    """The smallest p of each bin but the first, rising and distinct."""
    cuts = [place / N_BINS for place in range(1, N_BINS)]
    left = 1 / N_BINS
    while len(p) * left / 2 >= MIN_TOP:
        left /= 2
        cuts.append(1 - left)
    edges = np.unique(np.quantile(p, cuts, method="higher"))
    return edges[edges > p.min()]
