"""Two variants that score by chance, measured on a made-up shop of forty customers and products."""

import numpy as np

from models.history.interactions import Interactions
from tests.data.scores import DAY_S, Fixed, history_of
from training.evaluation.comparison import Evaluation, summarise
from training.evaluation.folds import Fold
from training.evaluation.one_fold import FoldResult, evaluate_fold


def shop() -> Interactions:
    rng = np.random.default_rng(1)
    lines = [
        (int(c), int(p), float(d), int(c) * 20 + int(d))
        for c, p, d in zip(
            rng.integers(0, 40, 900), rng.integers(0, 40, 900), rng.integers(0, 20, 900), strict=True
        )
    ]
    return history_of(lines, n_customers=40, n_products=40, as_of_day=20)


def result_at(day: int) -> FoldResult:
    rng = np.random.default_rng(2)
    whole = shop()
    models = {
        "popular": Fixed(rng.random((40, 40), np.float32)),
        "blend": Fixed(rng.random((40, 40), np.float32)),
    }
    return evaluate_fold(whole, Fold(day * DAY_S, 5), models, fill=np.arange(40, dtype=np.int32))


def two_folds() -> Evaluation:
    return summarise([result_at(10), result_at(15)], default="blend", resamples=100)
