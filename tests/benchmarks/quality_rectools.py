"""RecTools' models as peers, each with a small search; `quality_exchange` says where they run.

Left out: LightFM, of which the package that RecTools asks for has no wheel; the neural models, which want
torch; popular products of popular categories in turn, which find half of what popular products do.
"""

from collections.abc import Mapping
from typing import Any

from tests.benchmarks.quality_exchange import Elsewhere, Outsider

EASE_PRODUCTS = 8_000  # it holds several matrices of products x products


def _make(settings: Mapping[str, Any]) -> Elsewhere:
    return Elsewhere(**settings)


def _implicit(kind: str, **options: Any) -> dict[str, Any]:
    return {"cls": f"Implicit{kind}WrapperModel", "model": options}


def _als(**options: Any) -> dict[str, Any]:
    return _implicit("ALS", random_state=0, **options)


def _bpr(learning_rate: float) -> dict[str, Any]:
    # On one thread it draws the same pairs each time.
    options = {"factors": 64, "learning_rate": learning_rate, "iterations": 50}
    return _implicit("BPR", random_state=0, num_threads=1, **options)


def _ease(regularization: float, weights: str) -> dict[str, Any]:
    model = {"cls": "EASEModel", "regularization": regularization}
    return {"model": model, "weights": weights, "most_bought": EASE_PRODUCTS}


def _corrected_ease(regularization: float) -> dict[str, Any]:
    return {**_ease(regularization, "decayed"), "corrects_ease": True}


def _svd(factors: int) -> dict[str, Any]:
    return {"cls": "PureSVDModel", "factors": factors, "random_state": 0}


def _popular(days: int | None, popularity: str = "n_interactions") -> dict[str, Any]:
    period = {"period": {"days": days}} if days else {}
    return {"cls": "PopularModel", "popularity": popularity, **period}


CONTESTANTS = (
    Outsider(
        "rectools_als",
        "RecTools ALS",
        (
            {"model": _als()},
            {"model": _als(factors=64, regularization=10, iterations=4), "weights": "decayed"},
            {"model": _als(factors=128, regularization=30, iterations=4)},
            {"model": _als(factors=256, regularization=30, iterations=4)},
            {
                "model": _als(factors=64, regularization=10, iterations=4),
                "weights": "decayed",
                "knows_categories": True,
            },
        ),
        _make,
    ),
    Outsider(
        "rectools_knn",
        "RecTools item-item",
        [
            {"model": _implicit("ItemKNN", cls=f"{kind}Recommender", K=k)}
            for kind in ("Cosine", "TFIDF", "BM25")
            for k in (20, 5, 2)
        ],
        _make,
    ),
    Outsider("rectools_bpr", "RecTools BPR", [{"model": _bpr(rate)} for rate in (0.005, 0.02)], _make),
    Outsider(
        "rectools_ease",
        "RecTools EASE",
        (_ease(500, "counts"), _ease(500, "binary"), _ease(500, "decayed"), _ease(5000, "decayed")),
        _make,
    ),
    Outsider(
        "rectools_ease_corrected",
        "RecTools EASE, corrected",
        [_corrected_ease(regularization) for regularization in (20, 5, 1, 0.2)],
        _make,
    ),
    Outsider(
        "rectools_svd",
        "RecTools PureSVD",
        (
            {"model": _svd(10)},
            {"model": _svd(200)},
            {"model": _svd(400)},
            {"model": _svd(400), "weights": "decayed"},
        ),
        _make,
    ),
    Outsider(
        "rectools_popular",
        "RecTools popular",
        [{"model": _popular(None, "n_users")}, *({"model": _popular(days)} for days in (None, 14, 56))],
        _make,
    ),
)
