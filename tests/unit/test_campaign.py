"""A campaign's lists are the route's answers, and who must not get one gets none."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.commands.campaign import Campaign
from service.commands.campaign_file import write_lists
from service.errors import RefusedError
from service.live.customers import LiveCustomers
from service.offers.desk import OfferDesk
from service.recommender import Recommender
from service.rules.book import RuleBook
from service.versions.champion import Serving
from service.web.parameters import Query
from storage.record.changes import Tombstone
from storage.record.live import CustomerNow, Trade
from tests.data.tiny_service import tiny_served

NOW = datetime(2018, 1, 2, 12, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
EVERYBODY = {"anna", "ben", "7", "007", "käthe/1", "new"}


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    served = tiny_served(tmp_path / "store")
    return Serving(served, AnswerWriter(served))


def known_customers() -> LiveCustomers:
    known = LiveCustomers(most=100, clock=lambda: 0.0)
    known.heard()
    return known


def campaign(
    serving: Serving,
    known: LiveCustomers,
    *suppressed: str,
    is_for_all: bool = False,
    look: Callable[[], None] = lambda: None,
) -> Campaign:
    recommender = Recommender(FirstLevel(1, 0), None, known.of, clock=NOW.timestamp)
    offers = OfferDesk(known.of, RuleBook())
    return Campaign(
        *(serving, recommender, offers, known, look),
        suppressed=frozenset(suppressed),
        is_for_all=is_for_all,
        clock=lambda: 0.0,
    )


def who(answers: Iterator[str]) -> list[str]:
    return [json.loads(answer)["customer_id"] for answer in answers]


def test_a_list_is_the_answer_of_the_route(serving: Serving) -> None:
    known, query = known_customers(), Query(n=4)
    asked = campaign(serving, known)
    (one,) = asked.lists(["anna"], query)
    recommender = Recommender(FirstLevel(1, 0), None, known.of)
    route = serving.writer.recommendations("anna", recommender.recommend(serving.served, "anna", query))
    mine, its = json.loads(one), json.loads(route)
    assert mine.pop("request_id") != its.pop("request_id")
    assert mine == its


def test_everybody_is_who_bought_before_the_night_or_since(serving: Serving) -> None:
    known = known_customers()
    known.take(CustomerNow("zoe", 1, None, None, [Trade("milk", False, NOW_MS, "o", 1.0)]))
    asked = campaign(serving, known)
    found = who(asked.lists(asked.everybody(), Query(n=2)))
    assert sorted(found) == sorted(EVERYBODY | {"zoe"})
    assert asked.tally.listed == 7


def test_nobody_gets_a_list_who_must_not_and_each_is_counted(serving: Serving) -> None:
    known = known_customers()
    known.take(CustomerNow("ben", 1, False, None, []))
    asked = campaign(serving, known, "7")
    named = ["anna", "ben", "7", "anna", "", "x" * 300, "stranger", "stranger"]
    assert who(asked.lists(named, Query(n=2))) == ["anna", "stranger"]
    assert asked.tally.left_out == {"no consent": 1, "suppressed": 1, "named twice": 2, "no id": 2}
    assert asked.tally.looked_at == len(named)


def test_who_allows_no_personal_answers_gets_what_is_popular_only_by_option(serving: Serving) -> None:
    known = known_customers()
    known.take(CustomerNow("anna", 1, False, None, []))
    (one,) = campaign(serving, known, is_for_all=True).lists(["anna"], Query(n=3))
    assert json.loads(one)["source"] == "popular"


def test_nothing_is_written_on_when_the_record_no_longer_answers(serving: Serving) -> None:
    looks = iter([None])

    def look() -> None:
        if next(looks, "gone") == "gone":
            raise RefusedError("record_unavailable", None, "gone")

    asked = campaign(serving, known_customers(), look=look)
    answers = asked.lists((f"c{n}" for n in range(2000)), Query(n=1))
    with pytest.raises(RefusedError):
        list(answers)
    assert asked.tally.listed == 1000


def test_who_says_no_while_lists_are_made_gets_none(serving: Serving) -> None:
    known, now_s = known_customers(), 0.0
    saying = CustomerNow("ben", 1, False, None, [])
    recommender = Recommender(FirstLevel(1, 0), None, known.of, clock=NOW.timestamp)
    asked = Campaign(
        serving,
        recommender,
        OfferDesk(known.of, RuleBook()),
        known,
        lambda: known.take(saying) if now_s else None,
        suppressed=frozenset(),
        is_for_all=False,
        poll_s=0.25,
        clock=lambda: now_s,
    )
    answers = asked.lists(["anna", "7", "ben", "007"], Query(n=1))
    found = [who(iter([next(answers)])), who(iter([next(answers)]))]
    now_s = 0.25  # so long after the first look
    assert [*found, who(answers)] == [["anna"], ["7"], ["007"]]
    assert asked.tally.left_out == {"no consent": 1}
    saying = CustomerNow("anna", 2, False, None, [])  # and she had hers
    assert asked.withdrawn() == {"anna"}
    assert (asked.tally.listed, asked.tally.left_out["no consent"]) == (2, 2)


def test_what_a_stranger_gets_is_withdrawn_by_an_erasure_alone(serving: Serving) -> None:
    known = known_customers()
    known.take(CustomerNow("anna", 1, False, None, []))
    asked = campaign(serving, known, is_for_all=True)
    assert who(asked.lists(["anna", "ben", "zoe"], Query(n=1))) == ["anna", "ben", "zoe"]
    assert asked.withdrawn() == frozenset()
    assert (asked.tally.listed, asked.tally.strangers) == (3, 1)
    known.erase([Tombstone(1, b"ben", 2), Tombstone(2, b"zoe", 3)], str.encode)
    assert asked.withdrawn() == {"ben", "zoe"}
    assert (asked.tally.listed, asked.tally.strangers) == (1, 0)
    known.erase([Tombstone(3, b"anna", 4)], str.encode)
    assert "anna" in asked.withdrawn()


def test_who_was_erased_meanwhile_is_withdrawn_also_after_a_new_consent(serving: Serving) -> None:
    asked = campaign(serving, known := known_customers())
    assert who(asked.lists(["anna", "ben"], Query(n=1))) == ["anna", "ben"]
    known.erase([Tombstone(2, b"anna", 4)], str.encode)
    known.take(CustomerNow("anna", 5, True, None, []))
    assert asked.withdrawn() == {"anna"}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_who_is_withdrawn_before_the_file_is_there_is_not_in_it(
    serving: Serving, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"lists{suffix}"
    asked = campaign(serving, known_customers())
    answers = asked.lists(["anna", "=x", "ben", "käthe/1"], Query(n=2))
    write_lists(out, answers, lambda: {"=x", "ben"})
    if suffix == ".parquet":
        found = pl.read_parquet(out)["customer_id"].to_list()
    elif suffix == ".csv":
        with out.open(encoding="utf-8", newline="") as file:
            found = [row["customer_id"] for row in csv.DictReader(file)]
    else:
        found = [json.loads(line)["customer_id"] for line in out.read_text().splitlines() for _ in "12"]
    assert found == ["anna", "anna", "käthe/1", "käthe/1"]
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]
    assert out.stat().st_mode & 0o077 == 0


def test_who_has_blanks_around_the_id_in_the_history_is_suppressed_too(serving: Serving) -> None:
    asked = campaign(serving, known_customers(), "46", "anna", "nobody")
    assert who(asked.lists(["46\u00a0", "ben"], Query(n=1))) == ["ben"]
    assert asked.unmet() == 1  # anna is known though nobody asked for her
