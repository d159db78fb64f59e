"""From a file of purchases to a file of lists by a model of RecTools, in the environment that has RecTools.

    python -m tests.benchmarks.rectools_lists MODEL ASKED.npz LISTS.npz

MODEL is RecTools' own configuration of a model, as JSON. `quality_exchange` writes ASKED and reads LISTS.
None of nextbest's packages is there, so nothing of them may be imported.
"""

import json
import sys
from time import process_time
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import model_from_config
from threadpoolctl import threadpool_limits

from tests.benchmarks.quality_memory import peak, reset_peak_mb

type Arrays = dict[str, Any]


def main() -> None:
    model, asked, lists = sys.argv[1:]
    with np.load(asked, allow_pickle=False) as arrays:
        given = {name: arrays[name] for name in arrays.files}
    with threadpool_limits(1, "blas"), catch_warnings():  # implicit asks for the first
        simplefilter("ignore", UserWarning)  # that categories become a dense array
        answer = answered(json.loads(model), given)
    np.savez(lists, **answer)


def answered(model: dict[str, Any], given: Arrays) -> Arrays:
    """Both lists of all who are asked about, and what they took.

    Args:
        model: its configuration.
        given: customer_row, product_row, at_s and weight of each purchase; category_row of each product where
            the model is to know it; `asked`, the customer rows asked about, rising; `k`, the lists' length;
            `corrects_ease`, there or not.
    Returns:
        `every` and `new`, shape (n, k), product rows, -1 after the last; `fit_s`, `lists_s`; `peak_mb`, NaN
        where the system doesn't tell.
    """
    before_mb = reset_peak_mb()
    started = process_time()
    dataset = dataset_of(given)
    fitted = model_from_config(model).fit(dataset)
    if (
        "corrects_ease" in given
    ):  # RecTools 0.19 ranks by the rows of its weights, EASE's paper by the columns
        fitted.weight = fitted.weight.T
    fit_ended = process_time()
    every = lists_of(fitted, dataset, given, filter_viewed=False)
    new = lists_of(fitted, dataset, given, filter_viewed=True)
    ended = process_time()
    return {
        "every": every,
        "new": new,
        "fit_s": fit_ended - started,
        "lists_s": ended - fit_ended,
        "peak_mb": np.nan if before_mb is None else max(0.0, peak() - before_mb),
    }


def dataset_of(given: Arrays) -> Dataset:
    """RecTools' form of the purchases, and of the bought products' categories."""
    purchases = pd.DataFrame(
        {
            Columns.User: given["customer_row"],
            Columns.Item: given["product_row"],
            Columns.Weight: given["weight"],
            Columns.Datetime: pd.to_datetime(given["at_s"], unit="s"),
        }
    )
    if "category_row" not in given:
        return Dataset.construct(purchases)
    bought = np.unique(given["product_row"])
    category = given["category_row"][bought]
    features = pd.DataFrame({"id": bought, "feature": "category", "value": category})[category >= 0]
    return Dataset.construct(purchases, item_features_df=features, cat_item_features=["category"])


def lists_of(fitted: Any, dataset: Dataset, given: Arrays, *, filter_viewed: bool) -> Any:
    """Shape (n, k), int32; all -1 for whom RecTools gives no list, as a customer without a purchase here."""
    asked, k = given["asked"], int(given["k"])
    table = fitted.recommend(asked, dataset, k, filter_viewed, on_unsupported_targets="ignore")
    lists = np.full((len(asked), k), -1, np.int32)
    lists[np.searchsorted(asked, table[Columns.User]), table[Columns.Rank] - 1] = table[Columns.Item]
    return lists


if __name__ == "__main__":
    main()
