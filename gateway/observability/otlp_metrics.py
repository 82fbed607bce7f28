"""OTLP export of the metrics on ``/metrics``, converted to OpenTelemetry's data model at each export.

The SDK's instruments would count everything a second time, with a lock per number, and its histograms cannot be set
from outside. So this module creates the data points itself. Durations get the names of the semantic conventions;
other metrics keep their names. Values are cumulative since process start. Imported only if metrics are exported.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric as Family

from gateway.observability.counters import BUCKETS, Durations, Spread
from gateway.observability.metrics import Metrics
from gateway.observability.otlp import FLUSH_SECONDS, SERVICE, Seldom, resource_for, session
from gateway.observability.renamed_metrics import OLD_NAMES

# The default of OTEL_METRIC_EXPORT_INTERVAL, in its unit (OpenTelemetry's specification of environment variables).
INTERVAL_MILLISECONDS = "60000"

# Metrics for which the semantic conventions have a name and a unit.
_CONVENTIONS = {
    "gateway_requests_in_flight": ("http.server.active_requests", "{request}"),
    "gateway_upstream_calls_in_flight": ("http.client.active_requests", "{request}"),
    "process_cpu_seconds": ("process.cpu.time", "s"),
    "process_resident_memory_bytes": ("process.memory.usage", "By"),
    "process_virtual_memory_bytes": ("process.memory.virtual", "By"),
    "process_open_fds": ("process.unix.file_descriptor.count", "{file_descriptor}"),
}

# The duration histograms already cover the first four; the resource has the versions; the others are constants or old.
_LEFT_OUT = frozenset(
    {"gateway_requests", "gateway_request_duration_seconds"}
    | {"gateway_upstream_attempts", "gateway_upstream_attempt_duration_seconds"}
    | {"gateway_build_info", "process_start_time_seconds", "process_max_fds"}
    | set(OLD_NAMES.values())
)

_CUMULATIVE = AggregationTemporality.CUMULATIVE

Attributes = dict[str, str | int]

# A proxy in front of the gateway terminates TLS.
_SERVER: Attributes = {"url.scheme": "http"}

log = logging.getLogger("gateway")


class Translation:
    """Converts ``metrics`` to OpenTelemetry's data model; upstream attempts get the address of ``upstream_url``."""

    def __init__(self, metrics: Metrics, resource: Resource, upstream_url: str) -> None:
        self._metrics = metrics
        self._resource = resource
        self._since = time.time_ns()
        url = urlsplit(upstream_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        self._upstream: Attributes = {"server.address": url.hostname or "", "server.port": port}

    def read(self) -> MetricsData:
        """Return the current values of all metrics that have one."""
        # The wall clock may have gone back, but an interval must not end before it starts.
        now = max(self._since, time.time_ns())
        translated = [*self._durations(now), *self._others(now)]
        metrics = [metric for metric in translated if metric.data.data_points]
        return MetricsData(
            [ResourceMetrics(self._resource, [ScopeMetrics(InstrumentationScope(SERVICE), metrics, "")], "")]
        )

    def _durations(self, now: int) -> Iterator[Metric]:
        def histogram(name: str, text: str, points: Iterator[tuple[Attributes, Spread]]) -> Metric:
            data = [_point(attributes, spread, self._since, now) for attributes, spread in points]
            return Metric(name, text, "s", Histogram(data, _CUMULATIVE))

        yield histogram(
            "http.server.request.duration", "Time per request.", _requests(self._metrics.requests.durations)
        )
        calls = ((self._upstream | attributes, spread) for attributes, spread in _calls(self._metrics.calls.durations))
        yield histogram("http.client.request.duration", "Time per upstream attempt.", calls)

    def _others(self, now: int) -> Iterator[Metric]:
        added = {"gateway_requests_in_flight": _SERVER, "gateway_upstream_calls_in_flight": self._upstream}
        for family in self._metrics.registry.collect():
            if family.name in _LEFT_OUT:
                continue
            name, unit = _CONVENTIONS.get(family.name) or _name_and_unit(family.name)
            points = [
                NumberDataPoint({**sample.labels, **added.get(family.name, {})}, self._since, now, sample.value)
                for sample in family.samples
            ]
            yield Metric(name, family.documentation, unit, _data(family, points))


def _name_and_unit(name: str) -> tuple[str, str]:
    """Return a name that Prometheus would convert back to the one on ``/metrics``, and its unit."""
    return name.replace("_", ".", 1), "By" if name.endswith("_bytes") else ""


def _data(family: Family, points: list[NumberDataPoint]) -> Sum | Gauge:
    if family.type == "counter":
        return Sum(points, _CUMULATIVE, is_monotonic=True)
    if family.type != "gauge":
        raise ValueError(f"{family.name} is a {family.type}, which cannot be exported")
    # Metrics named by the conventions can be summed over processes.
    return Sum(points, _CUMULATIVE, is_monotonic=False) if family.name in _CONVENTIONS else Gauge(points)


def _point(attributes: Attributes, spread: Spread, since: int, now: int) -> HistogramDataPoint:
    # Minimum and maximum are optional in the protocol, and not recorded.
    unknown: float = None  # type: ignore[assignment]
    return HistogramDataPoint(
        attributes, since, now, spread.count, spread.seconds, spread.counts, BUCKETS, min=unknown, max=unknown
    )


def _requests(durations: Durations) -> Iterator[tuple[Attributes, Spread]]:
    for (method, route, status), spread in durations.by(0, 1, 2).items():
        attributes = _SERVER | {"http.request.method": method, "http.route": route}
        attributes["http.response.status_code"] = int(status)
        if status.startswith("5"):
            attributes["error.type"] = status
        yield attributes, spread


def _calls(durations: Durations) -> Iterator[tuple[Attributes, Spread]]:
    for (outcome, status), spread in durations.by(0, 1).items():
        attributes: Attributes = {"http.request.method": "GET"}
        if status.isdigit():
            attributes["http.response.status_code"] = int(status)
        if outcome != "ok":
            attributes["error.type"] = outcome
        yield attributes, spread


class Metering:
    """Sends metrics through ``exporter`` every ``interval_seconds`` from a separate thread, and once at shutdown."""

    def __init__(self, exporter: MetricExporter, resource: Resource, interval_seconds: float) -> None:
        self._exporter = exporter
        self._resource = resource
        self._interval_seconds = interval_seconds
        self._has_ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, metrics: Metrics, upstream_url: str) -> None:
        read = Translation(metrics, self._resource, upstream_url).read
        self._thread = threading.Thread(target=self._run, args=(read,), name="metering", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """Send the metrics a last time, waiting at most ``FLUSH_SECONDS``."""
        if self._thread:
            self._has_ended.set()
            # A daemon thread: a send that is still running ends with the process.
            await asyncio.to_thread(self._thread.join, FLUSH_SECONDS)
        self._exporter.shutdown()

    def _run(self, read: Callable[[], MetricsData]) -> None:
        while not self._has_ended.wait(self._interval_seconds):
            self._send(read)
        self._send(read)

    def _send(self, read: Callable[[], MetricsData]) -> None:
        try:
            self._exporter.export(read())
        except Exception:
            # The exporter logs the collector's errors itself; this is another error. The next export may succeed.
            log.exception("metrics could not be sent")


def exporting(environment: Mapping[str, str]) -> Metering:
    """Return the metering configured by the standard ``OTEL_…`` variables."""
    exporter = OTLPMetricExporter(session=session())
    logging.getLogger(OTLPMetricExporter.__module__).addFilter(Seldom())
    preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    if environment.get(preference, "").lower() not in ("", "cumulative"):
        log.warning("metrics are cumulative, whatever %s says", preference)
    return Metering(exporter, resource_for(environment), _interval_seconds(environment))


def _interval_seconds(environment: Mapping[str, str]) -> float:
    milliseconds = environment.get("OTEL_METRIC_EXPORT_INTERVAL") or INTERVAL_MILLISECONDS
    if not milliseconds.strip().isdecimal() or int(milliseconds) == 0:
        log.warning("OTEL_METRIC_EXPORT_INTERVAL is no number of milliseconds: metrics are sent once in a minute")
        milliseconds = INTERVAL_MILLISECONDS
    return int(milliseconds) / 1_000
