"""The series that one process counts: each with its name, what it means and its labels."""

from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1.0)


class Series:
    """Those that no part of the service has of its own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, labels, registry=registry)

        def gauge(
            name: str, what: str, *labels: str, across: Literal["livesum", "livemax"] = "livesum"
        ) -> Gauge:
            return Gauge(name, what, labels, multiprocess_mode=across, registry=registry)

        self.requests = counter("nextbest_requests", "Answers by route and status", "route", "status")
        self.seconds = Histogram(
            "nextbest_request_seconds", "Time to an answer", ["route"], buckets=BUCKETS_S, registry=registry
        )
        self.answers = counter(
            "nextbest_recommendations",
            "Recommendations by level (worker, redis, map, category, popular, none) and placement",
            *("level", "placement"),
        )
        self.fills = counter(
            "nextbest_filled_products",
            "Recommended products from below the own list, by rung of the ladder",
            "rung",
        )
        self.cache = counter("nextbest_cache", "What asking Redis came to", "outcome")
        self.swaps = counter("nextbest_version_swaps", "Versions taken")
        self.refused = counter("nextbest_versions_refused", "Versions refused as damaged")
        self.ready = gauge("nextbest_workers_ready", "Workers with a version")
        self.down = gauge("nextbest_workers_without_redis", "Workers whose breaker is open")
        self.version = gauge(
            "nextbest_version_info", "Workers that answer from a version", "version", "variant"
        )
        self.as_of = gauge(
            "nextbest_version_as_of_timestamp_seconds",
            "When the newest purchases of a version that answers were made",
            "version",
            across="livemax",
        )
        self.exposures = counter(
            "nextbest_exposures", "Answers in experiments, by what became of their record", "outcome"
        )
        self.held_out = counter(
            "nextbest_held_out", "Recommendations of what is popular for customers of the global holdout"
        )
        self.held_back = counter(
            "nextbest_held_back",
            "Products and offers that an answer left out, since the customer was shown them often enough",
            "what",
        )
        self.promises = counter(
            "nextbest_promises", "Offers with a budget that were to be shown, by what became of it", "outcome"
        )
        self.turned_away = counter("nextbest_turned_away", "Calls without the right to an answer", "why")
        self.unreadable = gauge("nextbest_keyring_unreadable", "Processes that go on with the keys they knew")
        self.lacks = gauge(
            "nextbest_rules_lacking",
            "Warnings of rules in force that name what the version lacks",
            across="livemax",
        )
