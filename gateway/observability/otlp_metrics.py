"""The process's metrics as OpenTelemetry's, made of what ``/metrics`` shows when they are sent.

The SDK's instruments would count everything a second time, with a lock for each number, and of its histograms none can
be filled from outside. So its data points are made here: durations under the names of the semantic conventions,
everything else under its own. Values are cumulative, since the process began. Imported only where they are asked for.
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
from gateway.observability.otlp import FLUSH_SECONDS, SERVICE, Seldom, resource_for

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

# The durations tell of the first four, and what never changes is no measurement.
_LEFT_OUT = frozenset(
    {"gateway_requests", "gateway_request_seconds", "gateway_upstream_calls", "gateway_upstream_call_seconds"}
    | {"process_start_time_seconds", "process_max_fds"}
)

_CUMULATIVE = AggregationTemporality.CUMULATIVE

Attributes = dict[str, str | int]

# TLS ends before the gateway.
_SERVER: Attributes = {"url.scheme": "http"}

log = logging.getLogger("gateway")


class Translation:
    """``metrics`` in OpenTelemetry's terms; upstream attempts go to ``upstream_url``."""

    def __init__(self, metrics: Metrics, resource: Resource, upstream_url: str) -> None:
        self._metrics = metrics
        self._resource = resource
        self._since = time.time_ns()
        url = urlsplit(upstream_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        self._upstream: Attributes = {"server.address": url.hostname or "", "server.port": port}

    def read(self) -> MetricsData:
        """All metrics that have a value, as they are now."""
        now = time.time_ns()
        translated = [*self._durations(now), *self._others(now)]
        metrics = [metric for metric in translated if metric.data.data_points]
        return MetricsData(
            [ResourceMetrics(self._resource, [ScopeMetrics(InstrumentationScope(SERVICE), metrics, "")], "")]
        )

    def _durations(self, now: int) -> Iterator[Metric]:
        def histogram(name: str, text: str, points: Iterator[tuple[Attributes, Spread]]) -> Metric:
            data = [_point(attributes, spread, self._since, now) for attributes, spread in points]
            return Metric(name, text, "s", Histogram(data, _CUMULATIVE))

        yield histogram("http.server.request.duration", "Time per request.", _requests(self._metrics.request_durations))
        calls = ((self._upstream | own, spread) for own, spread in _calls(self._metrics.call_durations))
        yield histogram("http.client.request.duration", "Time per upstream attempt.", calls)

    def _others(self, now: int) -> Iterator[Metric]:
        beside = {"gateway_requests_in_flight": _SERVER, "gateway_upstream_calls_in_flight": self._upstream}
        for family in self._metrics.families():
            if family.name in _LEFT_OUT:
                continue
            name, unit = _CONVENTIONS.get(family.name) or _own(family.name)
            points = [
                NumberDataPoint({**sample.labels, **beside.get(family.name, {})}, self._since, now, sample.value)
                for sample in family.samples
                if not sample.name.endswith("_created")
            ]
            yield Metric(name, family.documentation, unit, _data(family, points))


def _own(name: str) -> tuple[str, str]:
    """A name that Prometheus would make the one on ``/metrics`` again, and its unit if it has one."""
    return name.replace("_", ".", 1), "By" if name.endswith("_bytes") else ""


def _data(family: Family, points: list[NumberDataPoint]) -> Sum | Gauge:
    if family.type == "counter":
        return Sum(points, _CUMULATIVE, is_monotonic=True)
    if family.type != "gauge":
        raise ValueError(f"{family.name} is a {family.type}, for which there is no translation")
    # What the conventions name may be added up over processes.
    return Sum(points, _CUMULATIVE, is_monotonic=False) if family.name in _CONVENTIONS else Gauge(points)


def _point(attributes: Attributes, spread: Spread, since: int, now: int) -> HistogramDataPoint:
    # The least and the greatest are optional on the wire, and not known.
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
    """Sends metrics by ``exporter`` every ``interval_seconds``, from a thread of its own, and once more at the end."""

    def __init__(self, exporter: MetricExporter, resource: Resource, interval_seconds: float) -> None:
        self._exporter = exporter
        self._resource = resource
        self._interval_seconds = interval_seconds
        self._has_ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, metrics: Metrics, upstream_url: str) -> None:
        """Begin to send ``metrics``."""
        read = Translation(metrics, self._resource, upstream_url).read
        self._thread = threading.Thread(target=self._run, args=(read,), name="metering", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """Send them a last time, unless that takes too long."""
        if self._thread:
            self._has_ended.set()
            # A daemon: what it has not sent by then ends with the process.
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
            # Of what a collector may do, the exporter tells by itself; the next time may go well.
            log.exception("metrics could not be sent")


def exporting(environment: Mapping[str, str]) -> Metering:
    """Metering that sends where, and as often as, the standard ``OTEL_…`` variables say."""
    exporter = OTLPMetricExporter()
    logging.getLogger(OTLPMetricExporter.__module__).addFilter(Seldom())
    preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
    if environment.get(preference, "").lower() not in ("", "cumulative"):
        log.warning("metrics are cumulative, whatever %s says", preference)
    return Metering(exporter, resource_for(environment), _interval_seconds(environment))


def _interval_seconds(environment: Mapping[str, str]) -> float:
    given = environment.get("OTEL_METRIC_EXPORT_INTERVAL") or INTERVAL_MILLISECONDS
    if not given.strip().isdecimal() or int(given) == 0:
        log.warning("OTEL_METRIC_EXPORT_INTERVAL is no number of milliseconds: metrics are sent once in a minute")
        given = INTERVAL_MILLISECONDS
    return int(given) / 1_000
