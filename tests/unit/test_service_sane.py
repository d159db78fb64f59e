"""Values that no night should have written: such a version is refused by the name of its file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import DamagedVersionError
from service.versions.sane import check_values
from service.versions.served import ServedVersion
from storage.versions.evidence import ITSELF, NO_EVIDENCE
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import VARIANT, TinyShop


@pytest.fixture
def served(tmp_path: Path) -> ServedVersion:
    return tiny_served(
        tmp_path, TinyShop(alike={"milk": ["cream"]}, replaced={"old milk": "milk", "old bread": "bread"})
    )


def test_what_a_night_writes_is_sane(served: ServedVersion) -> None:
    check_values(served)


@pytest.mark.parametrize(
    ("attribute", "value", "named"),
    [
        ("similar_product", -2, "similar/product.npy: rows outside of -1 to"),
        ("alike", 10_000, "alike/product.npy: rows outside of -1 to"),
        ("history_product", -1, "history/product.npy: rows outside of 0 to"),
        ("history_product", 10_000, "history/product.npy: rows outside of 0 to"),
        ("candidate_rows", 10_000, f"candidates/{VARIANT}/product.npy: rows outside of -1 to"),
        ("category_row", 10_000, "products/category_row.npy: rows outside of -1 to"),
        ("similar_score", np.nan, "similar/score.npy: scores that are no numbers"),
        ("replaced_product", -1, "replaced/product.npy: rows outside of 0 to"),
        ("history_start", 10_000, "history/indptr.npy: places that do not grow"),
    ],
)
def test_a_row_that_leads_nowhere_and_a_score_that_is_none_are_refused(
    served: ServedVersion, attribute: str, value: Any, named: str
) -> None:
    changed = np.array(getattr(served, attribute))
    changed.flat[1] = value
    setattr(served, attribute, changed)
    with pytest.raises(DamagedVersionError, match=named):
        check_values(served)


def test_a_purchase_of_the_next_customer_explains_nothing_to_this_one(served: ServedVersion) -> None:
    file = f"candidates/{VARIANT}/evidence.npy"
    for customer_row in range(len(served.customers)):
        start, stop = served.history_of(customer_row)
        served.candidate_evidence = changed = np.array(served.candidate_evidence)
        for sane in (ITSELF, stop - start - 1 if stop > start else NO_EVIDENCE):
            changed[customer_row, 0] = sane
            check_values(served)
        changed[customer_row, 0] = stop - start
        with pytest.raises(DamagedVersionError, match=f"{file}: products explained"):
            check_values(served)
        changed[customer_row, 0] = ITSELF
