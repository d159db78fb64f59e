"""What answers count is told prometheus_client together, and comes to the same as one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from service.answering.own_list import NO_PINS, Answer
from service.telemetry.metrics import Metrics
from service.telemetry.series import BUCKETS_S


@given(
    times_s=st.lists(
        st.one_of(st.floats(0, 3), st.sampled_from(BUCKETS_S)), min_size=1, max_size=40
    )  # the bounds themselves, too
)
def test_times_together_fall_into_the_buckets_of_each(times_s: list[float]) -> None:
    registry = CollectorRegistry()
    one_by_one = Histogram(
        "nextbest_request_seconds", "as theirs", ["route"], buckets=BUCKETS_S, registry=registry
    )
    metrics = Metrics(None)
    for time_s in times_s:
        one_by_one.labels("recommend").observe(time_s)
        metrics.request("recommend", 200, time_s)
    metrics.write()
    for bound in [f"{bound}" for bound in BUCKETS_S] + ["+Inf"]:
        labels = {"route": "recommend", "le": bound}
        bucket = "nextbest_request_seconds_bucket", labels
        assert metrics.registry.get_sample_value(*bucket) == registry.get_sample_value(*bucket)
    total = "nextbest_request_seconds_sum", {"route": "recommend"}
    assert metrics.registry.get_sample_value(*total) == pytest.approx(registry.get_sample_value(*total))


def test_what_was_noted_is_written_once() -> None:
    metrics = Metrics(None)
    for _ in range(3):
        metrics.request("recommend", 200, 0.001)
        metrics.request("recommend", 404, 0.001)
        metrics.cache("hit")
        metrics.answer(Answer([], None, "popular", NO_PINS), "home")
    for _ in range(2):
        metrics.write()
        for name, labels in (
            ("nextbest_requests_total", {"route": "recommend", "status": "200"}),
            ("nextbest_requests_total", {"route": "recommend", "status": "404"}),
            ("nextbest_cache_total", {"outcome": "hit"}),
            ("nextbest_recommendations_total", {"level": "popular", "placement": "home"}),
        ):
            assert metrics.registry.get_sample_value(name, labels) == 3
