"""What is counted about events: by type and fate, how long a commit takes, how often the record failed."""

from prometheus_client import CollectorRegistry, Counter, Histogram

COMMIT_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3)


class EventCounters:
    """Counters of one process, beside its others."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "nextbest_events",
            "Events that were sent, by what became of them",
            ["type", "fate"],
            registry=registry,
        )
        self._commit = Histogram(
            "nextbest_event_commit_seconds",
            "Time until a request's events were durable",
            buckets=COMMIT_BUCKETS_S,
            registry=registry,
        )
        self._failed = Counter(
            "nextbest_record_failures", "Times that the record couldn't be used", registry=registry
        )

    def event(self, kind: str, fate: str) -> None:
        self._events.labels(kind, fate).inc()

    def committed(self, elapsed_s: float) -> None:
        self._commit.observe(elapsed_s)

    def record_failed(self) -> None:
        self._failed.inc()
