"""The figures of the coupons' benchmark by hand."""

import numpy as np
import pytest

from tests.benchmarks.offers_scores import Asked, auc_draws, bands, ndcg_of_each


def test_auc_counts_ties_half() -> None:
    """Redeemed: 3 and 1; not: 2 and 1. Of four comparisons 3>2, 3>1, 1<2, 1=1: 2.5 of 4."""
    scores = np.array([3.0, 2.0, 1.0, 1.0])
    redeemed = np.array([True, False, True, False])
    found = auc_draws(scores, redeemed, np.array([0, 1, 2, 3], np.int32))
    assert found[0] == pytest.approx(0.625)


def test_ndcg_is_over_households_with_a_redemption() -> None:
    """The first household's coupon stands second of two; the other redeemed none."""
    asked = Asked(
        campaign="1",
        customer_rows=np.array([4, 7], np.int32),
        is_redeemed=np.array([[False, True], [False, False]]),
        scores={"own": np.array([[2.0, 1.0], [0.0, 0.0]])},
        probability=np.zeros((2, 2), np.float32),
    )
    assert ndcg_of_each(asked, ["own"]).tolist() == [[pytest.approx(1 / np.log2(3))]]


def test_bands_share_out_the_expected_redemptions() -> None:
    probability = np.array([0.1] * 10 + [0.5] * 2)
    redeemed = np.array([True] + [False] * 9 + [True, False])
    found = bands(probability, redeemed, n=2)
    assert sum(n for _, _, _, n in found) == 12
    assert found[-1][0] == 0.5
