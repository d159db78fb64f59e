"""A version is tried on the latest requests before it answers anybody; nothing of that can stop it."""

from datetime import timedelta
from itertools import count
from pathlib import Path

from service.answering.answers import AnswerWriter
from service.answering.first_level import FirstLevel
from service.recommender import LATEST, Recommender
from service.telemetry.metrics import Metrics
from service.versions.champion import ChampionFollower, Serving
from service.versions.served import ServedVersion
from service.versions.warm_up import warm_up
from service.web.parameters import parse_personal_query
from storage.versions.store import Store
from tests.data.tiny_version import AS_OF, VARIANT, publish


def serving_of(store: Path) -> Serving:
    served = ServedVersion(Store(store).open(publish(Store(store))), VARIANT)
    return Serving(served, AnswerWriter(served))


def new_recommender() -> Recommender:
    return Recommender(FirstLevel(10, 0), None)


def test_a_worker_that_just_started_answers_customers_of_the_version(tmp_path: Path) -> None:
    serving = serving_of(tmp_path)
    assert warm_up(new_recommender(), serving) == len(serving.served.customers)


def test_the_latest_requests_are_answered_again_whether_they_are_known_or_not(tmp_path: Path) -> None:
    serving, recommender = serving_of(tmp_path), new_recommender()
    asked = [
        ("stranger", parse_personal_query(b"n=3")),
        (serving.served.customers[0], parse_personal_query(b"")),
    ]
    for customer_id, query in asked:
        recommender.recommend(serving.served, customer_id, query)
    assert warm_up(recommender, serving) == 2
    assert list(recommender.latest)[-2:] == asked


def test_only_the_latest_are_remembered(tmp_path: Path) -> None:
    serving, recommender = serving_of(tmp_path), new_recommender()
    for n in range(LATEST + 5):
        recommender.recommend(serving.served, f"stranger {n}", parse_personal_query(b"n=1"))
    assert len(recommender.latest) == LATEST
    assert recommender.latest[0][0] == "stranger 5"


def test_a_category_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    serving, recommender = serving_of(tmp_path), new_recommender()
    recommender.latest.append(("ann", parse_personal_query(b"category=gone")))
    assert warm_up(recommender, serving) == 0


def test_it_ends_in_time_however_slow_the_machine_is(tmp_path: Path) -> None:
    seconds = count(step=0.4)
    assert warm_up(new_recommender(), serving_of(tmp_path), lambda: next(seconds)) == 2


def test_the_follower_warms_a_version_up_before_anybody_gets_it(tmp_path: Path) -> None:
    store, seen = Store(tmp_path), []
    first = publish(store)
    follower = ChampionFollower(store, Metrics(None), poll_s=60)
    follower.start(lambda serving: seen.append((serving.served.version_id, follower.current)))
    assert seen == [(first, None)]
    before = follower.current
    second = publish(store, now=AS_OF + timedelta(days=1))
    follower.look()
    assert seen[1] == (second, before)
