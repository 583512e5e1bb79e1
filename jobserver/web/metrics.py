"""/metrics in Prometheus' text format: how many calls, how long they and their steps took, and what waits."""

import threading
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from jobserver import logs

_STEP_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """Has its own registry, so that one process can hold several applications."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._guard = threading.Lock()
        self._seconds: dict[tuple[str, str], Histogram] = {}
        self._counts: dict[tuple[str, str, int], Counter] = {}
        labels = ("endpoint", "method")
        self._durations = Histogram(
            "jobserver_request_seconds", "Time to answer, held polls included", labels,
            buckets=_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._requests = Counter(
            "jobserver_requests", "Answers by status", (*labels, "status"), registry=self._registry
        )
        self._step_durations = Histogram(
            "jobserver_step_seconds", "Time of a step of requests", ("step",),
            buckets=_STEP_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._steps: dict[str, Histogram] = {}
        ProcessCollector(registry=self._registry)
        self._held = Gauge("jobserver_held_polls", "Polls that wait for a change", registry=self._registry)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A number that is computed for each scrape."""
        Gauge(f"jobserver_{name}", text, registry=self._registry).set_function(value)

    def add(self, collector: Collector) -> None:
        """Numbers that ``collector`` reads for each scrape."""
        self._registry.register(collector)

    def observe_step(self, step: str, detail: str, seconds: float) -> None:
        """A listener of `jobserver.steps`."""
        duration = self._steps.get(step)
        if duration is None:
            duration = self._steps[step] = self._step_durations.labels(step)
        duration.observe(seconds)

    def observe(self, endpoint: str, method: str, status: int, seconds: float) -> None:
        if (request := logs.current()) is not None:
            request.route = endpoint
        # Cached, because finding a counter by its labels costs more than counting.
        try:
            duration = self._seconds[endpoint, method]
            count = self._counts[endpoint, method, status]
        except KeyError:
            method = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH") else "other"
            with self._guard:
                duration = self._seconds[endpoint, method] = self._durations.labels(endpoint, method)
                count = self._counts[endpoint, method, status] = self._requests.labels(endpoint, method, str(status))
        duration.observe(seconds)
        count.inc()

    def held(self, change: int) -> None:
        self._held.inc(change)

    def text(self) -> bytes:
        return generate_latest(self._registry)
