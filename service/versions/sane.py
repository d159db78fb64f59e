"""Looks at a version's values before it answers: checksums show no damage, not that a night wrote sense."""

import numpy as np
from numpy.typing import NDArray

from models.arrays import NONE
from models.errors import DamagedVersionError
from models.taste import Taste
from service.versions.served import ServedVersion

BLOCK = 4096  # customers whose evidence is looked at in one go


def check_values(served: ServedVersion) -> None:
    """Refuse a version whose rows lead nowhere or whose scores are no numbers.

    Raises:
        DamagedVersionError: with the name of the file.
    """
    n_products = len(served.products)
    rows = {
        "similar/product": (served.similar_product, NONE),
        "alike/product": (served.alike, NONE),
        "history/product": (served.history_product, 0),
        "replaced/product": (served.replaced_product, 0),
        f"candidates/{served.variant}/product": (served.candidate_rows, NONE),
        "products/category_row": (np.asarray(served.category_row), NONE),
        "products/brand_row": (np.asarray(served.brand_row), NONE),
    }
    limits = {"products/category_row": len(served.categories), "products/brand_row": len(served.brands)}
    for name, (array, least) in rows.items():
        limit = limits.get(name, n_products)
        if array.size and not (least <= array.min() and array.max() < limit):
            raise _refused(served, name, f"rows outside of {least} to {limit - 1}")
    if not np.isfinite(served.similar_score).all():
        raise _refused(served, "similar/score", "scores that are no numbers")
    if not _grows(served.history_start, len(served.history_product)):
        raise _refused(served, "history/indptr", "places that do not grow up to the end")
    if served.taste is not None:
        _check_taste(served, served.taste)
    if not _explained_by_own(served):
        name = f"candidates/{served.variant}/evidence"
        raise _refused(served, name, "products explained by purchases of another customer")


def _check_taste(served: ServedVersion, taste: Taste) -> None:
    product = taste.product
    if product.size and not 0 <= product.min() <= product.max() < len(served.products):
        raise _refused(served, "taste/product", "rows of no product")
    for name, factors in {"factors": taste.factors, "matrix": taste.matrix}.items():
        if not np.isfinite(factors).all():
            raise _refused(served, f"taste/{name}", "factors that are no numbers")


def _grows(start: NDArray[np.int64], end: int) -> bool:
    return bool(start[0] == 0 and start[-1] == end and (np.diff(start) >= 0).all())


def _explained_by_own(served: ServedVersion) -> bool:
    """Whether each place of evidence lies within its customer's history; behind it the next one's begins."""
    bought = np.diff(served.history_start)
    for start in range(0, len(bought), BLOCK):
        part = slice(start, start + BLOCK)
        # two more than the place; ITSELF and NO_EVIDENCE become 0 and 1
        places = served.candidate_evidence[part] + np.uint8(2)
        if (places.max(axis=1, initial=0) > bought[part] + 1).any():
            return False
    return True


def _refused(served: ServedVersion, name: str, why: str) -> DamagedVersionError:
    return DamagedVersionError(f"{served.version_id}/{name}.npy", why)
