"""The data contract: which tables a shop gives, and what may stand in their columns."""

from dataclasses import dataclass
from enum import Enum

from storage.record.tables import CONSENTS

MAX_ID_BYTES = 256
MAX_TEXT_BYTES = 65_536


class Kind(Enum):
    """What a column holds, and the type it has once it is cleaned."""

    ID = "id"  # String
    TEXT = "text"  # String
    NUMBER = "number"  # Float32
    COUNT = "count"  # Int32
    TIME = "time"  # Int64, Unix seconds
    ID_LIST = "ids"  # List(String)


class Least(Enum):
    """What a number may not be below."""

    ANY = "any"
    ZERO = "zero"
    ABOVE_ZERO = "above zero"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        is_required: the column must be there, and no cell of it may be empty.
        is_past: a time later than the clock is wrong.
        is_end: the first moment after something; of a date alone, that after the whole day.
    """

    name: str
    kind: Kind
    is_required: bool = False
    least: Least = Least.ANY
    is_past: bool = False
    is_end: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        is_required: no history without it.
        keeps_other_columns: columns that aren't named here are kept, as text.
        key: the column that names a line; of lines with the same key only the last counts.
    """

    name: str
    columns: tuple[Column, ...]
    is_required: bool = False
    keeps_other_columns: bool = False
    key: str | None = None


# Columns that describe a product; purchase lines may carry them where a shop has no table of products.
DESCRIPTION = (
    Column("title", Kind.TEXT),
    Column("category", Kind.TEXT),
    Column("brand", Kind.TEXT),
    Column("price", Kind.NUMBER, least=Least.ZERO),
)

_TABLES = (
    Table(
        "purchases",
        (
            Column("customer_id", Kind.ID, is_required=True),
            Column("product_id", Kind.ID, is_required=True),
            Column("purchased_at", Kind.TIME, is_required=True, is_past=True),
            Column("order_id", Kind.ID),
            Column("quantity", Kind.NUMBER, least=Least.ABOVE_ZERO),
            Column("unit_price", Kind.NUMBER, least=Least.ZERO),
            Column("discount", Kind.NUMBER),
            *DESCRIPTION,
        ),
        is_required=True,
    ),
    Table(
        "products",
        (
            Column("product_id", Kind.ID, is_required=True),
            Column("replaced_by", Kind.ID),
            *DESCRIPTION,
            Column("keywords", Kind.TEXT),
            Column("margin", Kind.NUMBER),
            Column("stock", Kind.COUNT),
            Column("available_from", Kind.TIME),
            Column("url", Kind.TEXT),
            Column("image_url", Kind.TEXT),
        ),
        key="product_id",
    ),
    Table(
        "offers",
        (
            Column("offer_id", Kind.ID, is_required=True),
            Column("product_ids", Kind.ID_LIST, is_required=True),
            Column("discount", Kind.NUMBER),
            Column("starts_at", Kind.TIME),
            Column("ends_at", Kind.TIME, is_end=True),
            Column("segment", Kind.ID),
            Column("budget", Kind.COUNT, least=Least.ZERO),
        ),
        key="offer_id",
    ),
    Table(
        "promotions",
        (
            Column("product_id", Kind.ID, is_required=True),
            Column("starts_at", Kind.TIME, is_required=True),
            Column("ends_at", Kind.TIME, is_required=True, is_end=True),
            Column("reach", Kind.NUMBER, least=Least.ZERO),
        ),
    ),
    Table(
        "redemptions",
        (
            Column("offer_id", Kind.ID, is_required=True),
            Column("customer_id", Kind.ID, is_required=True),
            Column("redeemed_at", Kind.TIME, is_required=True, is_past=True),
        ),
    ),
    Table(
        "customers",
        (Column("customer_id", Kind.ID, is_required=True), *(Column(name, Kind.TEXT) for name in CONSENTS)),
        keeps_other_columns=True,
        key="customer_id",
    ),
    Table(
        "audiences",
        (Column("segment", Kind.ID, is_required=True), Column("customer_id", Kind.ID, is_required=True)),
    ),
)

TABLES = {table.name: table for table in _TABLES}
