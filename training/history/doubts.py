"""What in a history is probably not as the shop meant it: said in the report, while the night goes on."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np
import polars as pl

from models.arrays import DAY_S, DoubleArray, LongArray
from storage.history.history import History
from storage.local_days import local_day, local_days
from training.history.strange_values import strange_values

KNOWN_SHARE = 0.5  # of the lines; with fewer of products in the table its ids are hardly the same ones
QUIET_SHARE = 0.3  # of what a horizon usually holds
USUAL_HORIZONS, LEAST_HORIZONS = 8, 4  # before the last one, that say what is usual
ONE_CUSTOMERS_SHARE = 0.1
LEAST_CUSTOMERS = 100  # among fewer somebody may well have a tenth
TOGETHER_SHARE = 0.3  # of lines beside another of the same customer and second
STALE_HORIZONS = 2
HOLE_HORIZONS = 2  # days without any line; and HOLE_STEPS times as many as from one day of sale to the next
HOLE_STEPS = 3
LEAST_MISSED = 100  # lines that were to be expected in a hole: fewer may well fail to come
RENAMED_SHARE = 0.5  # of the last horizon's lines, of products first sold within RENAMED_HORIZONS
RENAMED_HORIZONS = 2
RENAMED_TIMES = 1.5  # as large as the least of the horizons before: some shops always sell what is new
KNOWN_AGAIN = 0.2  # of the lines of what was known that a horizon usually holds: fewer are hardly chance
AGAIN_SHARE = 0.1  # of the orders of two products or more, of which each line is there twice


def doubts(history: History, horizon_days: int, now: datetime | None) -> list[str]:
    """Sentences on what looks wrong, each with what to look at; no sentence names a customer.

    Args:
        history: as the night learns from it.
        horizon_days: of the night.
        now: the night's time, aware; None if it was asked to stand at another moment.
    """
    found = [
        _stale(history, horizon_days, now),
        _one_moment(history),
        _quiet_end(history, horizon_days),
        _hole(history, horizon_days),
        _renamed_products(history, horizon_days),
        _all_renamed(history, horizon_days, "customer"),
        _unknown_products(history),
        _one_customer(history),
        _nobody_again(history, horizon_days),
        _orders_of_one_line(history),
        _offers_for_nobody(history),
        _unknown_offers(history),
        _orders_again(history),
        *_nearly_ours(history),
        *strange_values(history),
    ]
    return [doubt for doubt in found if doubt]


def _stale(history: History, horizon_days: int, now: datetime | None) -> str | None:
    if now is None or now - history.as_of <= timedelta(days=STALE_HORIZONS * horizon_days):
        return None
    last_s: int = history.purchases["at_s"].max()  # type: ignore[assignment]  # a number
    last = local_day(last_s, history.timezone)
    return (
        f"The last purchase is of {last}, {(now - history.as_of).days:,} days ago, "
        "and lists are for the days after it: is the export still made?"
    )


def _one_moment(history: History) -> str | None:
    first_s: int = history.purchases["at_s"].min()  # type: ignore[assignment]  # a number
    last_s: int = history.purchases["at_s"].max()  # type: ignore[assignment]  # as above
    day = local_day(last_s, history.timezone)
    if history.purchases.height < 2 or local_day(first_s, history.timezone) != day:
        return None
    when = "have the same time" if first_s == last_s else f"are of one day, {day}"
    return (
        f"All purchases {when}: is purchased_at the time of the export? Without times nothing can be learned "
        "of who comes again when."
    )


def _age_s(history: History) -> LongArray:
    at_s, end_s = history.placed
    return end_s - 1 - at_s.to_numpy()


def _quiet_end(history: History, horizon_days: int) -> str | None:
    age_s = _age_s(history)
    ago = np.bincount(age_s // (horizon_days * DAY_S))
    usual = ago[1 : 1 + USUAL_HORIZONS]
    if len(ago) - 2 < LEAST_HORIZONS:  # the oldest is not a whole one
        return None
    median = float(np.median(usual))
    if ago[0] >= QUIET_SHARE * median:
        return None
    return (
        f"The last {horizon_days} days hold {ago[0]:,} purchase lines, where {median:,.0f} are usual: is the "
        "export complete?"
    )


def _hole(history: History, horizon_days: int) -> str | None:
    """The longest stretch of days without a line, where the shop's other days hold many."""
    days = local_days(history.purchases["at_s"], history.timezone)
    sold = days.unique().sort()
    steps = sold.to_physical().diff().drop_nulls().to_numpy()  # days from one with a line to the next
    if not len(steps):
        return None
    place = int(steps.argmax())
    empty, usual = int(steps[place]) - 1, float(np.quantile(steps, 0.9))
    others = int(steps.sum()) + 1 - empty
    missed = days.len() / others * empty
    if empty <= HOLE_HORIZONS * horizon_days or empty <= HOLE_STEPS * usual or missed < LEAST_MISSED:
        return None
    begin, end = sold[place] + timedelta(days=1), sold[place + 1] - timedelta(days=1)
    return (
        f"No purchase is of {begin} to {end}, {empty:,} days in which about {missed:,.0f} lines were to be "
        "expected: is a file of the export missing, or was the shop closed?"
    )


def _renamed_products(history: History, horizon_days: int) -> str | None:
    """Whether hardly any product of before sold since a day; else whether most of what sold lately is new,
    and was not before, as it is where pieces are sold once or all that is sold changes now and then."""
    told = _all_renamed(history, horizon_days, "product", within_days=RENAMED_HORIZONS * horizon_days)
    return told or _mostly_new(history, horizon_days)


def _mostly_new(history: History, horizon_days: int) -> str | None:
    horizon_s = horizon_days * DAY_S
    age_s = _age_s(history)
    ago, reach = age_s // horizon_s, int(age_s.max() // horizon_s)
    if reach < RENAMED_HORIZONS + LEAST_HORIZONS:
        return None  # in a young shop everything is new
    row = history.purchases["product_row"].to_numpy()
    first_ago = np.zeros(history.products.height, np.int64)
    np.maximum.at(first_ago, row, ago)
    is_new = first_ago[row] < ago + RENAMED_HORIZONS
    compared = min(USUAL_HORIZONS, reach - RENAMED_HORIZONS)
    numbers = [number for number in range(compared + 1) if (ago == number).any()]
    shares = {number: float(is_new[ago == number].mean()) for number in numbers}
    share = shares.pop(0, 0.0)
    told = range(RENAMED_HORIZONS, reach - 2 * RENAMED_HORIZONS + 1)  # in the first ones everything is new
    times = sum(share <= shares.get(number, 0.0) for number in told)
    if times > 1 or share < max(RENAMED_SHARE, RENAMED_TIMES * min(shares.values(), default=0.0)):
        return None
    return (
        f"{share:.0%} of the purchase lines of the last {horizon_days} days are of products that were first "
        f"sold within {RENAMED_HORIZONS * horizon_days} days: were products given new ids? What is known of "
        "the old ones doesn't count for the new."
    )


class _Horizons(NamedTuple):
    """Of the horizon that begins on each day of a history: its lines, and those of what was known by then.

    Attributes:
        opened: the first day.
        end: the day after each.
        share, by_day: lines of what was known, of all and for each of its days.
    """

    opened: date
    end: LongArray
    lines: LongArray
    share: DoubleArray
    by_day: DoubleArray

    @classmethod
    def of(cls, history: History, horizon_days: int, what: str) -> "_Horizons":
        days = local_days(history.purchases["at_s"], history.timezone)
        opened = days.min()
        assert isinstance(opened, date)
        row, day = history.purchases[f"{what}_row"].to_numpy(), (days - opened).dt.total_days().to_numpy()
        reach = int(day.max()) + 1
        first = np.full(int(row.max()) + 1, reach)
        np.minimum.at(first, row, day)
        begin = np.arange(reach)
        end = np.minimum(begin + horizon_days, reach)
        sold = np.concatenate([[0], np.bincount(day).cumsum()])
        lines = sold[end] - sold[begin]
        after = np.maximum(first[row], day - horizon_days) + 1  # to its own day, a line is of what is known
        known = (np.bincount(after, minlength=reach + 1) - np.bincount(day + 1)).cumsum()[:reach]
        return cls(opened, end, lines, known / np.maximum(lines, 1), known / (end - begin))

    def few(self, begins: LongArray, usual: float, usual_by_day: float) -> LongArray:
        """On which of these days hardly anything known came: by share, since a shop may have been closed, and
        by number, since many others may have come once."""
        is_few = self.share[begins] < KNOWN_AGAIN * usual
        is_few &= self.by_day[begins] < KNOWN_AGAIN * usual_by_day
        return begins[is_few & (usual * self.lines[begins] >= LEAST_MISSED)]


def _all_renamed(
    history: History, horizon_days: int, what: str, *, within_days: int | None = None
) -> str | None:
    """The day from which on hardly any customer, or product, of before came, and before which there were no
    two such days: some shops always change all they sell.

    Args:
        within_days: of the end, if that day must be.
    """
    of = _Horizons.of(history, horizon_days, what)
    reach, back = len(of.end), horizon_days * np.arange(1, 1 + USUAL_HORIZONS)
    turns: dict[int, float] = {}  # what was usual before each
    for turn in range(max((LEAST_HORIZONS + 1) * horizon_days, reach - (within_days or reach)), reach):
        before = np.maximum(turn - back[: reach // horizon_days], 0)  # on day 0 nobody is known
        usual, usual_by_day = float(np.median(of.share[before])), float(np.median(of.by_day[before]))
        if not len(of.few(np.array([turn]), usual, usual_by_day)):
            continue
        since = max(RENAMED_HORIZONS * horizon_days, turn - int(back[-1]))  # before that all is new
        earlier = of.few(np.arange(since, turn - horizon_days + 1), usual, usual_by_day)
        if not len(earlier) or earlier[-1] - earlier[0] < horizon_days:
            turns[turn] = usual
    if not turns:
        return None
    turn = min(turns, key=lambda day: float(of.share[day]))
    first, last = (of.opened + timedelta(days=int(number)) for number in (turn, of.end[turn] - 1))
    return (
        f"Of the purchase lines of {first} to {last} only {of.share[turn]:.0%} are of {what}s known before, "
        f"where {turns[turn]:.0%} are usual: were {what}s given new ids? What is known of the old ones "
        "doesn't count for the new."
    )


def _unknown_products(history: History) -> str | None:
    is_told = history.is_told.any(axis=1)
    row = history.purchases["product_row"].to_numpy()
    share = float(is_told[row].mean())
    if not is_told.any() or share >= KNOWN_SHARE:
        return None
    ids = history.products["product_id"]
    said = f"The table of products describes those of only {share:.0%} of the purchase lines"
    unsold = np.setdiff1d(np.flatnonzero(is_told), row)
    if len(unsold):
        unknown = np.unique(row[~is_told[row]])
        said += f". The purchases say {ids[int(unknown[0])]!r}, the table {ids[int(unsold[0])]!r}"
    return f"{said}: are the ids written the same way?"


def _one_customer(history: History) -> str | None:
    lines = np.bincount(history.purchases["customer_row"].to_numpy())
    share = float(lines.max() / lines.sum())
    if len(history.customer_ids) < LEAST_CUSTOMERS or share < ONE_CUSTOMERS_SHARE:
        return None
    return (
        f"One of {len(history.customer_ids):,} customers has {share:.0%} of all purchase lines: if that is "
        "the till, or all guests under one id, leave these lines out, since they are nobody's habits."
    )


def _nobody_again(history: History, horizon_days: int) -> str | None:
    n_customers = len(history.customer_ids)
    if n_customers < LEAST_CUSTOMERS or _age_s(history).max() < LEAST_HORIZONS * horizon_days * DAY_S:
        return None  # in so short a time maybe nobody comes twice
    if history.purchases["order_row"].n_unique() > n_customers:
        return None
    return (
        f"None of {n_customers:,} customers has a second order: is customer_id the number of the order, or "
        "of a visit? Nothing can be learned so of who comes again, nor for whom."
    )


def _orders_of_one_line(history: History) -> str | None:
    lines = history.purchases
    moments = lines.select(pl.struct("customer_row", "at_s").n_unique()).item()
    share = 1 - moments / lines.height
    if lines["order_row"].n_unique() < lines.height or share < TOGETHER_SHARE:
        return None
    return (
        f"Every purchase line is an order of its own, and yet {share:.0%} have the customer and the second "
        "of another: is order_id the number of the line? What is bought together can't be seen so."
    )


def _orders_again(history: History) -> str | None:
    """Whole orders that repeat: lines alone may, where a till writes one for each piece."""
    line = ["order_row", "product_row", "at_s", "quantity", "unit_price"]
    times = history.purchases.group_by(line).agg(n=pl.len())
    orders = times.group_by("order_row").agg(pl.col("product_row").n_unique(), pl.col("n").min())
    orders = orders.filter(pl.col("product_row") > 1)
    again = int((orders["n"] > 1).sum())
    if not again or again < AGAIN_SHARE * orders.height:
        return None
    return (
        f"{again:,} of {orders.height:,} orders of two products or more are there again, line by line: do "
        "files of the export overlap? Give each purchase once, or set drop_duplicates in [history]."
    )


def _nearly_ours(history: History) -> list[str]:
    return [
        f"A column {theirs!r} of {table} isn't read as {ours}: name it so, or map it in "
        f"[history.{table}.columns]."
        for table, counts in history.counts.items()
        for theirs, ours in counts.nearly_ours
    ]


def _offers_for_nobody(history: History) -> str | None:
    if history.offers is None:
        return None
    still = history.offers.filter(pl.col("ends_at").is_null() | (pl.col("ends_at") > history.as_of))
    turned = history.offers.filter(
        pl.col("ends_at") <= pl.col("starts_at"), pl.col("starts_at") > history.as_of
    )
    sold = history.products["product_id"].implode()
    strange = still.filter(~pl.col("product_ids").list.eval(pl.element().is_in(sold)).list.any())
    segments = history.audiences["segment"] if history.audiences is not None else pl.Series(dtype=pl.String)
    unheard = still.filter(pl.col("segment").is_not_null(), ~pl.col("segment").is_in(segments.implode()))
    said = [
        f"{why} ({_named(found['offer_id'])})"
        for found, why in (
            (turned, "ends before it starts"),
            (strange, "has no product that is known: are the ids joined by semicolons?"),
            (unheard, "is for a segment that no audience has"),
        )
        if found.height
    ]
    return f"Some offers can't be shown to anybody. One {'; one '.join(said)}." if said else None


def _unknown_offers(history: History) -> str | None:
    if history.offers is None or history.redemptions is None or not history.redemptions.height:
        return None
    offers = history.offers["offer_id"].implode()
    strange = history.redemptions.filter(~pl.col("offer_id").is_in(offers))["offer_id"]
    share = strange.len() / history.redemptions.height
    if share <= 1 - KNOWN_SHARE:
        return None
    return (
        f"Of the redemptions {share:.0%} are of offers that the table of offers lacks "
        f"({_named(strange.unique().sort())}), and nothing is learned from them: keep offers that are over "
        "in the table, and write their ids the same way."
    )


def _named(ids: pl.Series) -> str:
    more = f" and {ids.len() - 1:,} more" if ids.len() > 1 else ""
    return f"{ids[0]!r}{more}"
