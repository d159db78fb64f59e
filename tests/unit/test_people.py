"""Customers' columns and audiences, as a night writes them and a day reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import DamagedVersionError
from service.versions.served import ServedVersion
from storage.versions.people import MAX_WORDS, People
from storage.versions.store import Store
from storage.versions.version import Version
from storage.versions.writer import VersionWriter
from tests.data.tiny_service import tiny_served
from tests.data.tiny_version import TinyShop
from training.publishing.people import write_people


def people_of(tmp_path: Path, shop: TinyShop) -> tuple[ServedVersion, People]:
    served = tiny_served(tmp_path, shop)
    return served, served.people


def test_each_customer_has_the_words_of_the_shop_and_empty_cells_are_nothing(tmp_path: Path) -> None:
    table = {"anna": {"age": "34", "card": "gold"}, "ben": {"age": "16"}, "zoe": {"card": "blue"}}
    served, people = people_of(tmp_path, replace(TinyShop(), people=table))

    def word(customer: str, trait: str) -> str | None:
        row = served.customers.find(customer)
        code = people.traits[trait].codes[row if row >= 0 else people.find_other(customer)]
        return people.traits[trait].words[code - 1] if code else None

    assert set(people.traits) == {"age", "card"}
    assert people.traits["age"].words == ("16", "34")
    assert [word(name, "age") for name in ("anna", "ben", "zoe", "7")] == ["34", "16", None, None]
    assert [word(name, "card") for name in ("anna", "ben", "zoe", "7")] == ["gold", None, "blue", None]
    assert people.find_other("zoe") == len(served.customers)
    assert people.find_other("a stranger") == people.find_other("anna") == -1


def test_audiences_have_their_members_whether_or_not_they_ever_bought(tmp_path: Path) -> None:
    audiences = {"vip": ["anna", "zoe", "7", "anna"], "minors": ["zoe"]}
    served, people = people_of(tmp_path, replace(TinyShop(), audiences=audiences))
    zoe = people.find_other("zoe")
    assert set(people.audiences) == {"vip", "minors"}
    assert len(people.audiences["vip"].members) == 3
    for name in ("anna", "7"):
        assert people.audiences["vip"].has(served.customers.find(name))
        assert not people.audiences["minors"].has(served.customers.find(name))
    assert people.audiences["vip"].has(zoe)
    assert people.audiences["minors"].has(zoe)
    assert not people.audiences["vip"].has(served.customers.find("ben"))


def test_a_shop_without_such_tables_has_none(tmp_path: Path) -> None:
    _, people = people_of(tmp_path, TinyShop())
    assert (people.traits, people.audiences, people.find_other("anna")) == ({}, {}, -1)


def test_a_column_in_which_everybody_has_another_word_is_left_out(tmp_path: Path) -> None:
    ids = [f"c{number:05}" for number in range(MAX_WORDS + 1)]
    table = pl.DataFrame({"customer_id": ids, "name": ids, "town": ["a"] * len(ids)})
    writer = VersionWriter(tmp_path)
    assert write_people(writer, [], table, None) == ["name"]
    assert (tmp_path / "traits/0/code.npy").exists()
    assert not (tmp_path / "traits/1/code.npy").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("traits/0/code", np.array([9, 0, 0, 0, 0, 0], np.uint16)),
        ("traits/0/code", np.zeros(5, np.uint16)),
        ("traits/0/code", np.zeros(6, np.int32)),
        ("audiences/start", np.array([0, 2], np.int64)),
        ("audiences/start", np.array([1, 1], np.int64)),
        ("audiences/member", np.array([6], np.int32)),
        ("audiences/member", np.array([-1], np.int32)),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: np.ndarray
) -> None:
    shop = replace(TinyShop(), people={"anna": {"age": "34"}}, audiences={"vip": ["ben"]})
    served, _ = people_of(tmp_path, shop)
    version = Store(tmp_path).open(served.version_id)
    right = Version.array
    monkeypatch.setattr(Version, "array", lambda self, what: content if what == name else right(self, what))
    with pytest.raises(DamagedVersionError, match=name):
        People(version, len(served.customers))
