"""Joins what the record knows to a shop's own history: no purchase twice, and nobody who doesn't allow it.

The shop's history holds up to its last line; one of dates without times, up to the end of its last day. A
recorded purchase with an order id counts unless the history has this customer, order and product, by its old
id or its new one; one without counts after that.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from storage.history.clean import CANCELLATION, EXCLUDED, UNSEEN
from storage.history.options import PurchasesOptions
from storage.local_days import are_dates, ends_s, local_day
from storage.record.learning import NEVER_S, Recorded, Wishes

KNOWN = "recorded, in the shop's history already"
REPEATED = "recorded, the same line of an order again"
RETURNED = "returned"
LINE_OF_ORDER = ("customer_id", "order_id", "product_id")
PAIR = ("customer_id", "product_id")
_NOTHING_LEFT = 1e-6  # of a quantity in float32


@dataclass(frozen=True)
class Joined:
    """Purchases of both.

    Attributes:
        lines: clean purchases, as of the shop's history.
        read: recorded purchases that were looked at.
        counted: those of them that are among the lines.
        left_out: how many lines of either are not, by reason.
    """

    lines: pl.DataFrame
    read: int
    counted: int
    left_out: dict[str, int]


def join_recorded(
    lines: pl.DataFrame,
    recorded: Recorded,
    options: PurchasesOptions,
    as_of_s: int | None,
    timezone: str = "UTC",
    new_ids: Mapping[str, str] = MappingProxyType({}),
) -> Joined:
    """The purchases of the shop's history and of its record.

    Args:
        lines: clean purchases of the history; purchased_at in Unix seconds.
        as_of_s: recorded purchases and returns at or after it are not seen; None: all are.
        timezone: IANA name of the shop's own.
        new_ids: under which each replaced product is sold now.
    """
    left_out: dict[str, int] = {}
    until_s = _holds_until_s(lines["purchased_at"], timezone) if lines.height else -1
    new = recorded.purchases
    for reason, keep in _filters(options, as_of_s):
        new = _kept(new, new.filter(keep), left_out, reason)
    new = _once(new, left_out)
    new = _kept(new, _not_known(new, lines, until_s, new_ids), left_out, KNOWN)
    returns = (
        recorded.returns if as_of_s is None else recorded.returns.filter(pl.col("purchased_at") < as_of_s)
    )
    parts = [lines.with_columns(recorded=pl.lit(False)), new.with_columns(recorded=pl.lit(True))]
    both = pl.concat(parts, how="diagonal")
    both = _kept(both, _without_returned(both, returns, until_s), left_out, RETURNED)
    both = _wanted(both, recorded.wishes, left_out)
    counted = int(both["recorded"].sum())
    return Joined(both.drop("recorded"), recorded.purchases.height, counted, left_out)


def join_redemptions(lines: pl.DataFrame, recorded: Recorded, as_of_s: int) -> pl.DataFrame:
    """The shop's own redemptions, and those before `as_of_s` by which the record has more of an offer and a
    customer: the latest."""
    pair = ["offer_id", "customer_id"]
    new = recorded.redemptions.filter(pl.col("redeemed_at") < as_of_s)
    new = new.with_columns(nth=pl.int_range(pl.len()).over(pair))
    named = lines.group_by(pair).agg(n=pl.len())
    new = new.join(named, on=pair, how="left", maintain_order="left")
    new = new.filter(pl.col("nth") >= pl.col("n").fill_null(0)).drop("nth", "n")
    return pl.concat([lines, new], how="diagonal")


def wanted_ids(table: pl.DataFrame, wishes: Wishes) -> pl.DataFrame:
    """The lines of a table that name nobody whom the night may not learn from."""
    wanted = _since(table, wishes).filter(pl.col("since_s") < NEVER_S)
    return table.join(wanted, on="customer_id", how="semi")


def _holds_until_s(at_s: pl.Series, timezone: str) -> int:
    """Up to when a history holds: where each line is the first second of a day, these are dates."""
    last_s = int(at_s.max())  # type: ignore[arg-type]  # a number
    return ends_s(local_day(last_s, timezone), timezone) if are_dates(at_s, timezone).all() else last_s


def _filters(options: PurchasesOptions, as_of_s: int | None) -> Iterator[tuple[str, pl.Expr]]:
    """What holds for lines of the history too, and for which reason a line is left out."""
    if options.cancellation is not None:
        yield CANCELLATION, ~pl.col("order_id").str.contains(options.cancellation).fill_null(False)
    if options.excluded is not None:
        yield EXCLUDED, ~pl.col("product_id").str.contains(options.excluded)
    if as_of_s is not None:
        yield UNSEEN, pl.col("purchased_at") < as_of_s


def _once(new: pl.DataFrame, left_out: dict[str, int]) -> pl.DataFrame:
    """Of lines with one order and product the first."""
    has_order = pl.col("order_id").is_not_null()
    ordered = new.filter(has_order)
    once = ordered.unique(LINE_OF_ORDER, keep="first", maintain_order=True)
    _kept(ordered, once, left_out, REPEATED)
    return pl.concat([once, new.filter(~has_order)])


def _not_known(
    new: pl.DataFrame, lines: pl.DataFrame, until_s: int, new_ids: Mapping[str, str]
) -> pl.DataFrame:
    """Recorded lines that the history can't have, or has not."""
    after = new.filter(pl.col("purchased_at") > until_s)
    has_orders = "order_id" in lines.columns and lines["order_id"].is_not_null().any()
    if not has_orders:
        return after
    line = "customer_id", "order_id", pl.col("product_id").replace(dict(new_ids))
    ordered = new.filter(pl.col("order_id").is_not_null()).join(lines, on=line, how="anti")
    return pl.concat([ordered, after.filter(pl.col("order_id").is_null())])


def _without_returned(both: pl.DataFrame, returns: pl.DataFrame, until_s: int) -> pl.DataFrame:
    """Purchases less what came back. Returns up to the history's end touch recorded purchases only.

    A return with an order id is of that order, whatever time a clock said, and goes first; of one without it
    is the latest purchase of the product before that came back.
    """
    if not returns.height:
        return both
    both = both.with_row_index("row")
    bought = _bought(both, returns)
    by_order_first = returns.sort(pl.col("order_id").is_null(), maintain_order=True)
    for customer_id, product_id, order_id, at_s, quantity in by_order_first.select(
        *PAIR, "order_id", "purchased_at", "quantity"
    ).iter_rows():
        candidates = (
            line
            for line in reversed(bought.get((customer_id, product_id), []))
            if (line.at_s <= at_s if order_id is None else line.order_id == order_id)
            and (line.is_recorded or at_s > until_s)
        )
        _take_back(candidates, quantity)
    changed = [line for of_both in bought.values() for line in of_both]
    left = pl.DataFrame(
        {"row": [line.row for line in changed], "left": [line.quantity for line in changed]},
        schema={"row": both.schema["row"], "left": pl.Float32()},
    )
    both = both.join(left, on="row", how="left", maintain_order="left")
    both = both.filter(pl.col("left").is_null() | (pl.col("left") > _NOTHING_LEFT))
    return both.with_columns(quantity=pl.coalesce("left", "quantity")).drop("row", "left")


@dataclass(slots=True)
class _Bought:
    """A purchase line, and what of it wasn't returned."""

    row: int
    at_s: int
    is_recorded: bool
    order_id: str | None
    quantity: float


def _take_back(lines: Iterable[_Bought], quantity: float) -> None:
    """Take a quantity from the first of these lines, what it lacks from the next, and so on."""
    left = quantity
    for line in lines:
        back = min(left, line.quantity)
        line.quantity -= back
        left -= back


def _bought(both: pl.DataFrame, returns: pl.DataFrame) -> dict[tuple[str, str], list[_Bought]]:
    """The purchases that a return may be of, in the order of time, by customer and product."""
    touched = both.join(returns, on=PAIR, how="semi").sort("purchased_at", "row")
    found: dict[tuple[str, str], list[_Bought]] = {}
    columns = (*PAIR, "row", "purchased_at", "recorded", "order_id", "quantity")
    for customer_id, product_id, row, at_s, is_recorded, order_id, quantity in touched.select(
        columns
    ).iter_rows():
        line = _Bought(row, at_s, is_recorded, order_id, 1.0 if quantity is None else quantity)
        found.setdefault((customer_id, product_id), []).append(line)
    return found


def _wanted(both: pl.DataFrame, wishes: Wishes, left_out: dict[str, int]) -> pl.DataFrame:
    """The lines of customers whom the night may learn from, since it may."""
    both = both.join(_since(both, wishes), on="customer_id", how="left", maintain_order="left")
    is_wanted = pl.col("purchased_at") >= pl.col("since_s")
    for reason, n in both.filter(~is_wanted).group_by("why").len().iter_rows():
        left_out[reason] = left_out.get(reason, 0) + n
    return both.filter(is_wanted).drop("since_s", "why")


def _since(table: pl.DataFrame, wishes: Wishes) -> pl.DataFrame:
    """Since when each customer of a table may be learned from, and why not before."""
    ids = table["customer_id"].unique().to_list()
    verdicts = [wishes.since(customer_id) for customer_id in ids]
    columns = {"customer_id": ids, "since_s": [s for s, _ in verdicts], "why": [why for _, why in verdicts]}
    return pl.DataFrame(
        columns, schema={"customer_id": pl.String(), "since_s": pl.Int64(), "why": pl.String()}
    )


def _kept(before: pl.DataFrame, after: pl.DataFrame, left_out: dict[str, int], reason: str) -> pl.DataFrame:
    if gone := before.height - after.height:
        left_out[reason] = left_out.get(reason, 0) + gone
    return after
