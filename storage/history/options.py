"""How a shop's export is to be read: the `[history]` part of nextbest.toml."""

import codecs
import zoneinfo
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from models.errors import BadConfigError
from storage.history.contract import TABLES
from storage.history.times import is_date_format, passes_over_zone


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableOptions(_Strict):
    """Where one table is, and what its columns are called there."""

    path: str | None = Field(
        default=None,
        description="File, folder or glob below --data. Default: `<table>.csv`, `.csv.gz` or `.parquet`,"
        " all files below `<table>/`, or all `<table>-*` files.",
    )
    query: str | None = Field(
        default=None, description="SQL, when --data is a database URL. Default: SELECT * FROM <table>."
    )
    encoding: str | None = Field(
        default=None, description="Encoding of this table's CSV files. Default: that of [history]."
    )
    separator: str = Field(
        default=",", description="What stands between the fields of a CSV line, one character."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Our column name to yours. Names that are the same need not stand here.",
    )
    date_format: str | None = Field(
        default=None,
        description="Format of times as text, such as `%d.%m.%Y %H:%M`, by the letters of strftime."
        " Default: the forms of ISO 8601, with or without time, seconds, fraction and offset.",
    )
    id_cleanup: bool = Field(
        default=False, description="Take '17850.0' for '17850', as ids look that once went through a number."
    )
    decimal_comma: bool = Field(default=False, description="Numbers are written as 1.234,50.")

    @field_validator("path")
    @classmethod
    def _below_data(cls, value: str | None) -> str | None:
        if value is not None and (not value or value.startswith("/") or ".." in PurePath(value).parts):
            raise ValueError(f"must be below --data, not {value!r}")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        return value if value is None else _encoding(value)

    @field_validator("separator")
    @classmethod
    def _one_character(cls, value: str) -> str:
        if len(value) != 1 or not value.isascii() or value in '"\r\n':
            raise ValueError(f"must be one ASCII character other than a quote or a line end, not {value!r}")
        return value

    @field_validator("date_format")
    @classmethod
    def _usable_format(cls, value: str | None) -> str | None:
        if value is not None and not is_date_format(value):
            raise ValueError(f"{value!r} does not hold a whole date: write it like %d.%m.%Y %H:%M")
        if value is not None and passes_over_zone(value):
            raise ValueError(
                f"{value!r} passes over the zone of a time: write %z for an offset, or UTC where all are UTC"
            )
        return value


class PurchasesOptions(TableOptions):
    """The purchases, and which of their lines are no purchases of a known customer."""

    cancellation: str | None = Field(
        default=None,
        description="Regular expression, found anywhere in order_id (begin it with ^); its lines are out.",
    )
    exclude_products: tuple[str, ...] = Field(
        default=(),
        description="Regular expressions; lines whose whole product id matches one are left out (fees).",
    )
    only: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Your column to regular expressions; lines whose whole cell matches none are left out.",
    )
    skip_anonymous: bool = Field(
        default=False, description="Leave out lines without a customer, instead of rejecting them."
    )

    @field_validator("cancellation")
    @classmethod
    def _usable_pattern(cls, value: str | None) -> str | None:
        return value if value is None else _pattern(value)

    @field_validator("exclude_products")
    @classmethod
    def _usable_patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_pattern(pattern) for pattern in value)

    @field_validator("only")
    @classmethod
    def _usable_words(cls, value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        if empty := [name for name, patterns in value.items() if not patterns]:
            raise ValueError(f"{empty[0]!r} has no expression, so that no line would be left")
        return {name: tuple(_pattern(pattern) for pattern in patterns) for name, patterns in value.items()}

    @property
    def excluded(self) -> str | None:
        """One regular expression for all of `exclude_products`; None without any."""
        return any_whole(self.exclude_products) if self.exclude_products else None


class PromotionsOptions(TableOptions):
    """How the table of promotions is read."""

    known_days: float = Field(
        default=1,
        ge=0,
        le=366,
        description="Days before a promotion begins from which it is known, those of the past too.",
    )


class HistoryOptions(_Strict):
    """All of `[history]`."""

    timezone: str = Field(
        default="UTC",
        description="IANA name of the shop's time zone. Times without an offset are local there.",
    )
    encoding: str = Field(default="utf-8", description="Encoding of the CSV files, such as utf-8 or cp1252.")
    max_reject_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Share (0 to 1) of a table's lines that may be rejected; with more the night refuses.",
    )
    drop_duplicates: bool = Field(
        default=False,
        description="Of purchase lines that are equal in every column keep one; they may be two sales.",
    )
    purchases: PurchasesOptions = PurchasesOptions()
    products: TableOptions = TableOptions()
    offers: TableOptions = TableOptions()
    promotions: PromotionsOptions = PromotionsOptions()
    redemptions: TableOptions = TableOptions()
    customers: TableOptions = TableOptions()
    audiences: TableOptions = TableOptions()

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(f"no time zone {value!r}: use an IANA name such as Europe/Berlin") from err
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        return _encoding(value)

    @model_validator(mode="after")
    def _known_columns(self) -> Self:
        for name, table in TABLES.items():
            known = [column.name for column in table.columns]
            for column in self.table(name).columns:
                if column not in known and not table.keeps_other_columns:
                    raise ValueError(f"{name}.columns: no column {column!r}; there are {', '.join(known)}")
        return self

    def check_source(self, *, is_database: bool) -> None:
        """Refuse what is of another source than the one that is read: it would be passed over.

        Raises:
            BadConfigError: `path` with a database, or `query` with files.
        """
        option, source = ("path", "a database URL") if is_database else ("query", "a folder")
        other = "query" if is_database else "path"
        for name in TABLES:
            if getattr(self.table(name), option) is not None:
                why = (
                    f"--data is {source}, of which no table is read by {option}: take it out, or use {other}"
                )
                raise BadConfigError(f"[history.{name}] {option}", why)

    def table(self, name: str) -> TableOptions:
        """The options of one table of `storage.history.contract.TABLES`."""
        options: TableOptions = getattr(self, name)
        return options


def expect_named(data: str, config: Path | None) -> None:
    """Nothing, unless a nextbest.toml lies in the folder of the history and nobody named one: whoever
    overlooks it may learn from customers who said nothing, against its `consent_default`.

    Args:
        data: of `--data`; a database has no folder.
        config: of `--config`.
    Raises:
        BadConfigError: it would be overlooked.
    """
    beside = Path(data) / "nextbest.toml"
    if config is None and beside.is_file():
        raise BadConfigError(str(beside), "is read only if it is named: give --config, or move it away")


def any_whole(patterns: Iterable[str]) -> str:
    """One regular expression for texts that match one of these from end to end."""
    every = "|".join(f"(?:{pattern})" for pattern in patterns)
    return f"^(?:{every})$"


def _encoding(value: str) -> str:
    """The name by which Python knows it."""
    try:
        "".encode(value)  # refuses what is no encoding of text, such as hex
        return codecs.lookup(value).name
    except (LookupError, ValueError) as err:
        raise ValueError(f"no encoding {value!r}: use a name such as utf-8 or cp1252") from err


def _pattern(value: str) -> str:
    """A pattern that the engine which will use it understands: polars' own, not Python's."""
    try:
        for form in (value, any_whole([value])):  # with (?x) a comment hides what stands behind it
            pl.Series([""]).str.contains(form)
    except pl.exceptions.ComputeError as err:
        raise ValueError(f"not a regular expression: {value!r}") from err
    return value
