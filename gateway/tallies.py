"""Numbers that are kept as plain numbers, and made into Prometheus' metrics when they are asked for."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, islice
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

# From a cache hit to a slow upstream page, in seconds.
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# Each name makes a handful of time series, one for each outcome and cache state that it meets (our choice).
MAX_OPERATION_NAMES = 200

# What operations without a name, and with one that is not told apart, are counted under.
OTHER = "other"


class RequestTallies(Collector):
    """What is counted of every request.

    The library's own counters take a lock for each number, which is a tenth of a small answer from the cache. Names of
    operations are callers' inventions, except for ``operation_names``; further ones are counted together.
    """

    def __init__(self, operation_names: Iterable[str] = ()) -> None:
        self.in_flight = 0
        self._names = frozenset(islice(dict.fromkeys(operation_names), MAX_OPERATION_NAMES))
        self._since = time.time()
        self._requests: Tally[tuple[str, int]] = Tally()
        self._operations: Tally[tuple[str, str, str]] = Tally()
        # For each route the requests within each bucket and beyond all, and the seconds of all together.
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Tally[str] = Tally()

    def ended(self, route: str, status: int, seconds: float, facts: dict[str, Any] | None) -> None:
        """Count a request out."""
        self.in_flight -= 1
        self._requests[route, status] += 1
        if route not in self._buckets:
            self._buckets[route] = [0] * (len(BUCKETS) + 1)
        self._buckets[route][bisect_left(BUCKETS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]  # a Counter counts fractions, too
        if facts is not None:
            name = facts["operation"]
            self._operations[name if name in self._names else OTHER, facts["outcome"], facts["cache"] or "none"] += 1

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry, in a thread of its own."""
        requests = CounterMetricFamily(
            "gateway_requests", "HTTP requests by route and status (499: the caller left).", labels=("route", "status")
        )
        for (route, status), count in list(self._requests.items()):
            requests.add_metric((route, str(status)), count, created=self._since)
        yield requests
        seconds = HistogramMetricFamily("gateway_request_seconds", "Time per request.", labels=("route",))
        bounds = [*(str(float(bound)) for bound in BUCKETS), "+Inf"]
        for route, counts in list(self._buckets.items()):
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            seconds.add_metric((route,), buckets, self._seconds[route])
        yield seconds
        operations = CounterMetricFamily(
            "gateway_operations",
            "GraphQL operations by name (of trusted documents, else other), outcome (ok or an error code) and cache"
            " state (none: no block was used).",
            labels=("operation", "outcome", "cache"),
        )
        for labels, count in list(self._operations.items()):
            operations.add_metric(labels, count, created=self._since)
        yield operations
        yield GaugeMetricFamily("gateway_requests_in_flight", "Requests being answered.", value=self.in_flight)


class Readings(Collector):
    """Numbers that other parts keep for themselves, read when they are asked for, perhaps in another thread."""

    def __init__(self) -> None:
        self._makers: list[Callable[[], Metric]] = []
        self._since = time.time()

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that goes up and down."""
        self._makers.append(lambda: GaugeMetricFamily(name, text, value=float(read())))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that only goes up."""
        self._makers.append(lambda: CounterMetricFamily(name, text, value=read(), created=self._since))

    def counters(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:
        """Show several such numbers, by the values of ``label``."""

        def make() -> Metric:
            family = CounterMetricFamily(name, text, labels=(label,))
            for value, count in read().items():
                family.add_metric((value,), count, created=self._since)
            return family

        self._makers.append(make)

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry."""
        return (make() for make in self._makers)


class Labelled(Collector):
    """What ``registry`` shows, with one more label on every sample."""

    def __init__(self, registry: CollectorRegistry, label: str, value: str) -> None:
        self._registry = registry
        self._label = {label: value}

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by whoever writes them down."""
        for family in self._registry.collect():
            family.samples = [sample._replace(labels=self._label | sample.labels) for sample in family.samples]
            yield family
