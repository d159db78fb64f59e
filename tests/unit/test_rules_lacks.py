"""What rules name and the version that answers lacks is told once, also when a night took the names away."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.rules.book import RuleBook
from service.rules.lacks import LacksTeller
from service.rules.reading import parse_rules
from service.versions.served import ServedVersion
from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, TinyShop, publish

NO_FRUIT = 'schema = 1\n[[rules]]\nid = "a"\nkind = "block"\ncategories = ["fruit"]\n'
RENAMED = TinyShop(products={**TinyShop().products, "apple": "fruits", "pear": "fruits", "plum": "fruits"})


class Watched:
    """A worker's rules and version, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.store, self.book = Store(folder), RuleBook()
        self.served: ServedVersion | None = None
        self.counted: list[int] = []
        self.teller = LacksTeller(self.book, lambda: self.served, self.counted.append)

    def night(self, shop: TinyShop, day: int) -> None:
        version_id = publish(self.store, shop, now=AS_OF + timedelta(days=day))
        self.served = ServedVersion(self.store.open(version_id), VARIANT)

    def told(self) -> list[str]:
        with capture_logs() as lines:
            self.teller.look()
        return [warning for line in lines for warning in line["warnings"]]


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_night_that_renames_a_category_is_told_which_rule_lost_it_once(watched: Watched) -> None:
    watched.book.take(parse_rules(NO_FRUIT))
    assert watched.told() == []  # no version yet
    watched.night(TinyShop(), 0)
    assert watched.told() == []
    watched.night(RENAMED, 1)
    assert watched.told() == ["rule a: no such category: fruit"]
    assert watched.told() == []
    assert watched.counted == [0, 1]


def test_rules_that_are_mended_count_nothing_any_more(watched: Watched) -> None:
    watched.night(RENAMED, 0)
    watched.book.take(parse_rules(NO_FRUIT))
    assert watched.told() == ["rule a: no such category: fruit"]
    watched.book.take(parse_rules(NO_FRUIT.replace("fruit", "fruits")))
    assert watched.told() == []
    assert watched.counted == [1, 0]


def test_what_was_replaced_is_nothing_that_is_lacking(watched: Watched) -> None:
    watched.night(replace(TinyShop(), replaced={"old milk": "milk"}), 0)
    watched.book.take(parse_rules(NO_FRUIT.replace('categories = ["fruit"]', 'products = ["old milk"]')))
    assert watched.told() == []
    assert watched.counted == [0]
