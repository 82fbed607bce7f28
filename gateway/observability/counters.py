"""Counters kept as plain numbers, and converted to Prometheus metrics at each scrape."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import accumulate, islice
from operator import add
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.upstream import UpstreamAttempt

# From a small cached page to a slow upstream page, in seconds.
BUCKETS = (0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# Each name makes several time series, one per outcome and cache state (our choice).
MAX_OPERATION_NAMES = 200

# The registered status codes that Python knows; all other upstream status codes share one label value.
_STATUSES = {int(status): str(int(status)) for status in HTTPStatus}

# Label value of operations that have no name, or one without its own label value.
OTHER = "other"


@dataclass(slots=True)
class Spread:
    """Histogram of durations: counts per bucket in ``BUCKETS`` and above, and the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def cumulated(self) -> list[tuple[str, float]]:
        """Return each bucket's upper bound as text, with the cumulative count."""
        bounds = [*(str(float(bound)) for bound in BUCKETS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


class Durations:
    """Histograms by label values. Numeric label values are converted to text only when read."""

    def __init__(self) -> None:
        self._spreads: dict[tuple[str | int, ...], Spread] = {}

    def add(self, key: tuple[str | int, ...], seconds: float) -> None:
        spread = self._spreads.get(key)
        if spread is None:
            spread = self._spreads[key] = Spread()
        spread.counts[bisect_left(BUCKETS, seconds)] += 1
        spread.seconds += seconds

    def by(self, *places: int) -> dict[tuple[str, ...], Spread]:
        """Return the histograms merged by the label values at these positions. May be called in another thread."""
        merged_spreads: dict[tuple[str, ...], Spread] = {}
        for key, spread in list(self._spreads.items()):
            merged = merged_spreads.setdefault(tuple(str(key[place]) for place in places), Spread())
            merged.counts = list(map(add, merged.counts, spread.counts))
            merged.seconds += spread.seconds
        return merged_spreads


class RequestCounters(Collector):
    """Counters of requests.

    The library's own counters take a lock per number, which costs a tenth of a small cached response. Callers can
    invent operation names, so names not in ``operation_names`` are counted together.
    """

    def __init__(self, operation_names: Iterable[str] = ()) -> None:
        self.in_flight = 0
        # By method, route and status.
        self.durations = Durations()
        self._names = frozenset(islice(dict.fromkeys(operation_names), MAX_OPERATION_NAMES))
        self._operations: Count[tuple[str, str, str]] = Count()

    def ended(self, method: str, route: str, status: int, seconds: float, facts: dict[str, Any] | None) -> None:
        """Count a finished request. ``method`` is a known HTTP method, or one name for all others."""
        self.in_flight -= 1
        self.durations.add((method, route, status), seconds)
        if facts is not None:
            name = facts["operation"]
            self._operations[name if name in self._names else OTHER, facts["outcome"], facts["cache"] or "none"] += 1

    def collect(self) -> Iterator[Metric]:
        """Return the metrics. The registry may call this in another thread."""
        requests = CounterMetricFamily(
            "gateway_requests",
            "HTTP requests by route and status (499: the client left).",
            labels=("route", "status"),
        )
        for labels, spread in self.durations.by(1, 2).items():
            requests.add_metric(labels, spread.count)
        yield requests
        seconds = HistogramMetricFamily("gateway_request_duration_seconds", "Time per request.", labels=("route",))
        for labels, spread in self.durations.by(1).items():
            seconds.add_metric(labels, spread.cumulated(), spread.seconds)
        yield seconds
        operations = CounterMetricFamily(
            "gateway_operations",
            "GraphQL operations by name (of trusted documents, else other), outcome (ok or an error code) and cache"
            " state (none: no block was used).",
            labels=("operation", "outcome", "cache"),
        )
        for operation, count in list(self._operations.items()):
            operations.add_metric(operation, count)
        yield operations
        yield GaugeMetricFamily("gateway_requests_in_flight", "Requests being answered.", value=self.in_flight)


class UpstreamCounters(Collector):
    """Counters of upstream attempts."""

    def __init__(self) -> None:
        # By outcome and status.
        self.durations = Durations()
        self._calls: Count[tuple[str, str]] = Count()
        self._rows: Count[str] = Count()
        self._bytes = 0
        self._foreign_responses = 0

    def ended(self, attempt: UpstreamAttempt) -> None:
        status = "none" if attempt.status is None else _STATUSES.get(attempt.status, OTHER)
        self.durations.add((attempt.outcome, status), attempt.seconds)
        if attempt.is_last:
            self._calls[attempt.outcome, status] += 1
        self._bytes += attempt.bytes
        if attempt.rows:
            self._rows[attempt.dataset] += attempt.rows
        self._foreign_responses += attempt.is_foreign

    def collect(self) -> Iterator[Metric]:
        """Return the metrics. The registry may call this in another thread."""
        attempts = {labels: spread.count for labels, spread in self.durations.by(0, 1).items()}
        by = "by outcome (ok or an error code) and HTTP status (none: no response)."
        for name, text, counts in (
            ("gateway_upstream_attempts", f"HTTP requests to the upstream, retries included, {by}", attempts),
            ("gateway_upstream_calls", f"Upstream calls, each with its retries, {by}", dict(self._calls)),
        ):
            family = CounterMetricFamily(name, text, labels=("outcome", "status"))
            for labels, count in counts.items():
                family.add_metric(labels, count)
            yield family
        yield CounterMetricFamily("gateway_upstream_bytes", "Bytes of upstream bodies, as received.", self._bytes)
        rows = CounterMetricFamily("gateway_upstream_rows", "Rows received from the upstream.", labels=("dataset",))
        for dataset, count in list(self._rows.items()):
            rows.add_metric((dataset,), count)
        yield rows
        yield CounterMetricFamily(
            "gateway_upstream_foreign_responses",
            "Upstream responses that named another request, refused or accepted.",
            self._foreign_responses,
        )
        seconds = HistogramMetricFamily(
            "gateway_upstream_attempt_duration_seconds", "Time per upstream attempt.", labels=()
        )
        total = self.durations.by().get((), Spread())
        seconds.add_metric((), total.cumulated(), total.seconds)
        yield seconds


class Readings(Collector):
    """Metrics read from other objects at each scrape, possibly in another thread."""

    def __init__(self) -> None:
        self._makers: list[Callable[[], Metric]] = []

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._makers.append(lambda: GaugeMetricFamily(name, text, value=float(read())))

    def counter(self, name: str, text: str, read: Callable[[], float]) -> None:
        self._makers.append(lambda: CounterMetricFamily(name, text, value=read()))

    def counters(self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]) -> None:

        def make() -> Metric:
            family = CounterMetricFamily(name, text, labels=(label,))
            for value, count in read().items():
                family.add_metric((value,), count)
            return family

        self._makers.append(make)

    def info(self, name: str, text: str, labels: Mapping[str, str]) -> None:
        """Add a gauge of value 1 whose labels are the information."""

        def make() -> Metric:
            family = GaugeMetricFamily(name, text, labels=tuple(labels))
            family.add_metric(tuple(labels.values()), 1)
            return family

        self._makers.append(make)

    def collect(self) -> Iterator[Metric]:
        return (make() for make in self._makers)


class Labelled(Collector):
    """The metrics of ``registry`` with an additional label on every sample."""

    def __init__(self, registry: CollectorRegistry, label: str, value: str) -> None:
        self._registry = registry
        self._label = {label: value}

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [sample._replace(labels=self._label | sample.labels) for sample in family.samples]
            yield family
