"""What a version says of people beyond their purchases: the shop's own columns and its audiences, mapped.

A person's row is the customer's row; those who never bought have the rows after the last customer's.
"""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from storage.versions.strings import IdIndex
from storage.versions.version import Version

MAX_WORDS = 1000
"""A column with more different words describes nobody's group: a name, an address. It is left out."""

UNKNOWN_WORD = 0


@dataclass(frozen=True, eq=False)
class Trait:
    """One of the shop's own columns.

    Attributes:
        codes: by person row; 0 where the cell was empty, else the word's place in `words` plus 1.
        words: distinct, sorted.
    """

    codes: "memoryview[int]"
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Audience:
    """Person rows of a segment, ascending."""

    members: "memoryview[int]"

    def has(self, person_row: int) -> bool:
        place = bisect_left(self.members, person_row)
        return place < len(self.members) and self.members[place] == person_row


class People:
    """Traits and audiences by name. A version of a shop without such tables has none.

    Raises:
        DamagedVersionError: arrays that don't fit each other.
    """

    def __init__(self, version: Version, n_customers: int) -> None:
        self._version, self._n_customers = version, n_customers
        self._others: IdIndex | None = version.ids("people") if version.has("people/hash") else None
        self._length = n_customers + (len(self._others) if self._others else 0)
        self.traits = self._read_traits() if version.has("traits/names/offsets") else {}
        self.audiences = self._read_audiences() if version.has("audiences/names/offsets") else {}

    def __len__(self) -> int:
        return self._length

    def find_other(self, customer_id: str) -> int:
        """The row of somebody who never bought; -1 if nothing is known of them."""
        row = self._others.find(customer_id) if self._others else -1
        return row if row < 0 else self._n_customers + row

    def told_of(self, person_row: int) -> tuple[dict[str, str], list[str]]:
        """All of one person: words by column, and segments."""
        codes = ((name, trait, trait.codes[person_row]) for name, trait in self.traits.items())
        columns = {name: trait.words[code - 1] for name, trait, code in codes if code != UNKNOWN_WORD}
        return columns, [name for name, audience in self.audiences.items() if audience.has(person_row)]

    def _read_traits(self) -> dict[str, Trait]:
        traits = {}
        for number, name in enumerate(_all(self._version, "traits/names")):
            words = _all(self._version, f"traits/{number}/words")
            codes = self._version.array_of(f"traits/{number}/code", np.uint16, self._length)
            if codes.max(initial=0) > len(words):
                raise self._version.damaged(f"traits/{number}/code", "codes of no word")
            traits[name] = Trait(memoryview(codes), tuple(words))
        return traits

    def _read_audiences(self) -> dict[str, Audience]:
        names = _all(self._version, "audiences/names")
        start = self._version.array_of("audiences/start", np.int64, len(names) + 1)
        members = self._version.array_of("audiences/member", np.int32)
        if start[0] != 0 or start[-1] != len(members) or (np.diff(start) < 0).any():
            raise self._version.damaged("audiences/start", "places that do not grow up to the end")
        if members.size and not 0 <= members.min() <= members.max() < self._length:
            raise self._version.damaged("audiences/member", "rows of nobody")
        return {name: Audience(memoryview(members[start[n] : start[n + 1]])) for n, name in enumerate(names)}


def _all(version: Version, name: str) -> list[str]:
    table = version.strings(name)
    return [table[row] for row in range(len(table))]
