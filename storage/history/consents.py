"""What the shop's table of customers tells of their consents."""

from dataclasses import dataclass

import polars as pl

from storage.record.tables import CONSENTS

YES = frozenset({"true", "1", "yes", "y", "t"})
NO = frozenset({"false", "0", "no", "n", "f"})


@dataclass(frozen=True)
class ToldConsents:
    """Consents by customer, those cells that aren't empty.

    Attributes:
        by_customer: of everybody in the table; of a line whose cells are all empty nothing.
        unreadable: cells with another word; each is taken as a no.
    """

    by_customer: dict[str, dict[str, bool]]
    unreadable: int


def consents_in(customers: pl.DataFrame | None) -> ToldConsents:
    """The consents of a table of customers; none where it has no such columns.

    A cell that is neither yes nor no is a no: what somebody refused must not be read as leave.
    """
    names = [name for name in CONSENTS if customers is not None and name in customers.columns]
    if customers is None or not names:
        return ToldConsents({}, 0)
    words = customers.select(
        "customer_id", *(pl.col(name).str.strip_chars().str.to_lowercase() for name in names)
    )
    words = words.with_columns(pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in names)
    known = [*YES, *NO]
    unreadable = sum(int((~words[name].is_in(known)).sum()) for name in names)
    by_customer, nothing = dict[str, dict[str, bool]](), dict[str, bool]()
    for customer_id, *cells in words.iter_rows():
        said = {name: word in YES for name, word in zip(names, cells, strict=True) if word is not None}
        by_customer[customer_id] = said or nothing  # one for all: a million of them would take room
    return ToldConsents(by_customer, unreadable)
