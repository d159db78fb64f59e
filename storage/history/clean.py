"""A batch of raw lines becomes lines of the data contract; every other line gets its reason."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from models.errors import BadHistoryError
from storage.history.cells import CONTROL, Cells, plain_text, read_cells, trimmed_text
from storage.history.contract import Table
from storage.history.options import PurchasesOptions, TableOptions, any_whole
from storage.history.times import Clock

# What a reader adds to the raw columns: the line's number; where text is damaged, a reason and the text.
LINE, PROBLEM, RAW = "<line>", "<problem>", "<raw>"
ADDED = (LINE, PROBLEM, RAW)
MAX_SHOWN = 500

HEADER_AGAIN = "the header again"
OTHER = "not a purchase by"
CANCELLATION, EXCLUDED, ANONYMOUS = "cancellation", "excluded product", "no customer"
NAMELESS_LINE = "no customer, though its order has one"
UNSEEN, DUPLICATE, REPEATED = "at or after as_of", "duplicate", "listed again further down"
ELSEWHERE = "listed again further down, in another category or none"


@dataclass(frozen=True)
class Cleaned:
    """What became of one batch; the three parts are as many lines as went in.

    Attributes:
        kept: the table's columns, clean.
        rejected: line, reason, row (the raw values as JSON).
        left_out: reason, one for each line.
        unread: names of columns that are there and weren't asked for.
    """

    kept: pl.DataFrame
    rejected: pl.DataFrame
    left_out: pl.Series
    unread: tuple[str, ...]


@dataclass(frozen=True)
class Cleaner:
    """Cleans the batches of one table.

    Attributes:
        as_of_s: lines whose time is not before it are left out; None: all are seen.
    """

    table: Table
    options: TableOptions
    clock: Clock
    as_of_s: int | None

    def clean(self, batch: pl.DataFrame, file: str) -> Cleaned:
        """Sort the lines of a batch.

        Args:
            batch: raw columns by the shop's names, LINE, and where text was damaged PROBLEM and RAW.
            file: for messages.
        Raises:
            BadHistoryError: a column is missing, or there twice.
        """
        raw = self._raw_columns(batch, file)
        cells = {
            column.name: read_cells(column, raw[column.name], self.options, self.clock)
            for column in self.table.columns
            if column.name in raw
        }
        values = pl.DataFrame({name: cell.values for name, cell in cells.items()})
        if self.table.keeps_other_columns:
            others = [trimmed_text(raw[name]).alias(name) for name in raw if name not in cells]
            values = values.with_columns(others)
        problem = batch[PROBLEM] if PROBLEM in batch.columns else _reasons([], batch.height)
        no_faults = [
            (self._names_again(raw), HEADER_AGAIN),
            *self._others(batch, file),
            *self._left_out(cells),
        ]
        left_out = _reasons(no_faults, batch.height)
        reason = _reasons([mask for cell in cells.values() for mask in cell.problems], batch.height)
        left_out = left_out.set(problem.is_not_null(), None)
        reason = problem.zip_with(problem.is_not_null(), reason).set(left_out.is_not_null(), None)
        is_rejected = reason.is_not_null()
        return Cleaned(
            kept=values.filter(~is_rejected & left_out.is_null()),
            rejected=_rejects(batch.filter(is_rejected), reason.filter(is_rejected)),
            left_out=left_out.drop_nulls(),
            unread=() if self.table.keeps_other_columns else self._unread(batch.columns),
        )

    def check_names(self, names: Iterable[str], file: str) -> None:
        """Refuse two columns of one name where it is looked for: nobody can tell which is meant.

        Args:
            names: of the columns as they stand in the file, where the first line names them.
        Raises:
            BadHistoryError: with the name.
        """
        wanted = self._looked_for
        for name, number in Counter(name.strip() for name in names).items():
            if number > 1 and (name in wanted or (name and self.table.keeps_other_columns)):
                where = f"[history.{self.table.name}.columns]"
                raise BadHistoryError(
                    file, f"{number} columns {name!r}: rename all but one, or name others in {where}"
                )

    @property
    def _looked_for(self) -> set[str]:
        """The shop's names of the columns that are read."""
        ours = {column.name: column.name for column in self.table.columns}
        return {*(ours | self.options.columns).values(), *self._only}

    def _unread(self, there: Iterable[str]) -> tuple[str, ...]:
        wanted = self._looked_for
        return tuple(name.strip() for name in there if name not in ADDED and name.strip() not in wanted)

    def _raw_columns(self, batch: pl.DataFrame, file: str) -> dict[str, pl.Series]:
        """The raw columns by our names."""
        self.check_names((name for name in batch.columns if name not in ADDED), file)
        there = {name.strip(): name for name in batch.columns if name not in ADDED}
        wanted = {column.name: column.name for column in self.table.columns} | self.options.columns
        required = {column.name for column in self.table.columns if column.is_required}
        missing = [ours for ours, theirs in wanted.items() if theirs not in there]
        needed = [ours for ours in missing if ours in required or ours in self.options.columns]
        if needed:
            raise BadHistoryError(file, self._missing({ours: wanted[ours] for ours in needed}, list(there)))
        is_looked_into = isinstance(self.options, PurchasesOptions) and self.options.cancellation is not None
        if "order_id" in missing and is_looked_into:
            why = self._missing({"order_id": wanted["order_id"]}, list(there))
            raise BadHistoryError(file, f"cancellation in [history.purchases] looks into order_id: {why}")
        raw = {ours: batch[there[theirs]] for ours, theirs in wanted.items() if ours not in missing}
        if self.table.keeps_other_columns:
            raw |= {name: batch[key] for name, key in there.items() if name not in wanted.values()}
        return raw

    def _names_again(self, raw: dict[str, pl.Series]) -> pl.Series:
        """Lines that say the columns' names, as where files were joined to one."""

        def is_named(name: str) -> pl.Series:  # beside the mark that files of UTF-8 may begin with
            said = trimmed_text(raw[name]).str.strip_chars("\ufeff")
            return said == self.options.columns.get(name, name)

        first, *others = raw
        again = is_named(first)
        for name in others if again.any() else ():
            again &= is_named(name)
        return again

    def _missing(self, needed: dict[str, str], there: list[str]) -> str:
        """What is said of columns that aren't there, the shop's names by ours."""
        name = self.table.name
        if any("\0" in column for column in there):
            return 'this looks like UTF-16: set encoding = "utf-16" in [history]'
        if len(there) == 1 and (separator := next((s for s in ";\t|," if s in there[0]), None)):
            return f"one single column: set separator = {json.dumps(separator)} in [history.{name}]"
        if there and there[0].startswith("sep="):
            return "the first line, sep=, is a word to Excel: take it out, so that columns are named first"
        named = [
            f"{theirs!r}" if ours == theirs else f"{theirs!r} for {ours}" for ours, theirs in needed.items()
        ]
        columns, what = ("column", next(iter(needed))) if len(needed) == 1 else ("columns", "them")
        told = f"no {columns} {', '.join(named)}; it has {_listed(there)}"
        return f"{told}. Map {what} in [history.{name}.columns]"

    @property
    def _only(self) -> dict[str, tuple[str, ...]]:
        return self.options.only if isinstance(self.options, PurchasesOptions) else {}

    def _others(self, batch: pl.DataFrame, file: str) -> list[tuple[pl.Series, str]]:
        """Masks of the lines that are none of those that `only` asks for."""
        there = {name.strip(): name for name in batch.columns if name not in ADDED}
        masks: list[tuple[pl.Series, str]] = []
        for name, patterns in self._only.items():
            if name not in there:
                why = f"only in [history.purchases] looks into {name!r}, and there is {_listed(there)}"
                raise BadHistoryError(file, why)
            cells = trimmed_text(batch[there[name]]).fill_null("")
            masks.append((~cells.str.contains(any_whole(patterns)), f"{OTHER} {name}"))
        return masks

    def _left_out(self, cells: dict[str, Cells]) -> list[tuple[pl.Series, str]]:
        """Masks of the lines that are no fault, yet not for us, in the order in which they count."""
        masks: list[tuple[pl.Series, str]] = []
        if isinstance(self.options, PurchasesOptions):
            if self.options.cancellation is not None:
                masks.append((cells["order_id"].values.str.contains(self.options.cancellation), CANCELLATION))
            if self.options.excluded is not None:
                masks.append((cells["product_id"].values.str.contains(self.options.excluded), EXCLUDED))
        if self.as_of_s is not None:
            for column in self.table.columns:
                if column.is_past:
                    moment = cells[column.name].values
                    masks.append(((moment >= self.as_of_s) & (moment <= self.clock.now_s), UNSEEN))
        if isinstance(self.options, PurchasesOptions) and self.options.skip_anonymous:
            is_nobody = cells["customer_id"].values.is_null()
            if "order_id" in cells and is_nobody.any():
                masks.append((is_nobody & _of_named_orders(cells), NAMELESS_LINE))
            masks.append((is_nobody, ANONYMOUS))
        return masks


def _listed(names: Iterable[str]) -> str:
    said = re.sub(CONTROL, "?", ", ".join(names))
    return said if len(said) < MAX_SHOWN else f"{said[:MAX_SHOWN]}..."


def _of_named_orders(cells: dict[str, Cells]) -> pl.Series:
    """Lines beside others of their order, one of which has a customer; elsewhere a number may come again."""
    lines = pl.DataFrame({name: cells[name].values for name in ("order_id", "customer_id")})
    has_one = pl.col("customer_id").is_not_null().any().over(pl.col("order_id").rle_id())
    return lines.select(pl.col("order_id").is_not_null() & has_one).to_series()


def _reasons(masks: list[tuple[pl.Series, str]], n: int) -> pl.Series:
    """The first reason whose mask is true, for each line; null where none is."""
    reasons = pl.Series([None], dtype=pl.String).new_from_index(0, n)
    for mask, reason in reversed(masks):
        if mask.any():
            reasons = reasons.set(mask.fill_null(False), reason)
    return reasons


def _rejects(lines: pl.DataFrame, reasons: pl.Series) -> pl.DataFrame:
    if not lines.height:
        return pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String, "row": pl.String})
    texts = [plain_text(lines[name]).alias(name) for name in lines.columns if name not in ADDED]
    row = pl.DataFrame(texts).select(row=pl.struct(pl.all()).struct.json_encode())["row"]
    if RAW in lines.columns:
        row = lines[RAW].zip_with(lines[RAW].is_not_null(), row)
    return pl.DataFrame({"line": lines[LINE].cast(pl.Int64), "reason": reasons, "row": row})
