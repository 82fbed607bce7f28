"""OpenTelemetry gets the same metrics as Prometheus, without any content of requests."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.sdk.metrics.export import (
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    Sum,
)
from opentelemetry.sdk.resources import Resource

from gateway.composition import build
from gateway.config.environment import read_settings
from gateway.observability.counters import BUCKETS
from gateway.observability.opentelemetry import OpenTelemetry, opentelemetry_for
from gateway.observability.otlp import FLUSH_SECONDS, QUIET_SECONDS, Seldom
from gateway.observability.otlp_metrics import Metering, Translation, exporting
from tests.conftest import Gateway, served
from tests.deploy.exposed import exercised
from tests.gateway.running import END_SECONDS, Running, environment, eventually, kill

if TYPE_CHECKING:
    from tests.conftest import Upstream

PAGE = (Path(__file__).parents[3] / "docs/operations.md").read_text(encoding="utf-8")

# Longer than any test: only the end sends.
NEVER_MILLISECONDS = "3600000"

Value = float | HistogramDataPoint


class InMemory(MetricExporter):
    """An exporter that stores the metrics it receives."""

    def __init__(self) -> None:
        super().__init__()
        self.exported: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        self.exported.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        pass


def metrics_of(data: MetricsData) -> dict[str, Metric]:
    """Return the metrics by name, after checking that names are unique."""
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    by_name = {metric.name: metric for metric in scope.metrics}
    assert len(by_name) == len(scope.metrics)
    return by_name


def points_of(metric: Metric) -> list[tuple[dict[str, Any], Any]]:
    """Return the attributes and the value of each data point."""
    points: list[Any] = list(metric.data.data_points)
    return [
        (dict(point.attributes), point if isinstance(point, HistogramDataPoint) else point.value) for point in points
    ]


@contextmanager
def metered(upstream: Upstream, exporter: MetricExporter) -> Iterator[Gateway]:
    """Run a gateway that sends its metrics at shutdown."""
    metering = Metering(exporter, Resource({}), interval_seconds=3_600)
    app = build(read_settings({}, {"upstream_url": upstream.url}), OpenTelemetry(metering=metering))
    with served(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Gateway(url, client)


# Metrics


def test_durations_have_the_attributes_of_the_semantic_conventions(upstream: Upstream) -> None:
    exporter = InMemory()
    with metered(upstream, exporter) as gateway:
        for _ in range(3):
            gateway.connection("first: 1", "contoso+as=metered")
        gateway.ask("{ licenseDeployments { totalCount } }", "contoso+throttle=30+as=meteredthrottle")
        gateway.client.request("PROPFIND", "/invented")
    [data] = exporter.exported
    by_name = metrics_of(data)
    server = points_of(by_name["http.server.request.duration"])
    assert [(attributes, point.count) for attributes, point in server] == [
        (
            {
                "url.scheme": "http",
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            },
            count,
        )
        for method, route, status, count in (
            ("POST", "/graphql", 200, 3),
            ("POST", "/graphql", 429, 1),
            ("_OTHER", "other", 404, 1),
        )
    ]
    for _, point in server:
        assert sum(point.bucket_counts) == point.count
        assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
        assert 0 < point.sum < 60
    there = {
        "server.address": "127.0.0.1",
        "server.port": int(upstream.url.rsplit(":", 1)[1]),
        "http.request.method": "GET",
    }
    assert [(a, point.count) for a, point in points_of(by_name["http.client.request.duration"])] == [
        ({**there, "http.response.status_code": 200}, 1),
        ({**there, "http.response.status_code": 429, "error.type": "RATE_LIMITED"}, 1),
    ]


def test_all_other_metrics_have_the_values_of_prometheus(upstream: Upstream) -> None:
    exporter = InMemory()
    with metered(upstream, exporter) as gateway:
        for _ in range(3):
            gateway.connection("first: 1", "contoso+as=valued")
    by_name = metrics_of(exporter.exported[0])
    assert dict((a["cache"], value) for a, value in points_of(by_name["gateway.cache_blocks"])) == {  # noqa: C402
        "hit": 2,
        "stale": 0,
        "miss": 1,
    }
    assert points_of(by_name["gateway.operations"]) == [
        ({"operation": "other", "outcome": "ok", "cache": "miss"}, 1),
        ({"operation": "other", "outcome": "ok", "cache": "hit"}, 2),
    ]
    [(_, held_bytes)] = points_of(by_name["gateway.cache_bytes"])
    assert held_bytes > 0
    assert points_of(by_name["http.server.active_requests"]) == [({"url.scheme": "http"}, 0)]
    blocks, active, held = (
        by_name[name].data for name in ("gateway.cache_blocks", "http.server.active_requests", "gateway.cache_bytes")
    )
    assert isinstance(blocks, Sum)
    assert blocks.is_monotonic
    assert isinstance(active, Sum)
    assert not active.is_monotonic
    assert isinstance(held, Gauge)
    assert by_name["gateway.cache_bytes"].unit == "By"


def test_a_duration_is_in_the_same_bucket_as_for_prometheus() -> None:
    metrics = exercised()
    translation = Translation(metrics, Resource({}), "https://upstream.example")
    [(attributes, point)] = points_of(metrics_of(translation.read())["http.server.request.duration"])
    assert attributes["http.response.status_code"] == 200
    # Upper bounds are inclusive in both formats; the duration is 0.1 seconds.
    assert point.explicit_bounds == BUCKETS
    assert [bound for bound, count in zip(BUCKETS, point.bucket_counts, strict=False) if count] == [0.1]
    assert point.sum == 0.1
    [(attributes, _)] = points_of(metrics_of(translation.read())["http.client.request.duration"])
    assert (attributes["server.address"], attributes["server.port"]) == ("upstream.example", 443)


def test_server_errors_have_an_error_type_and_caller_errors_do_not() -> None:
    metrics = exercised()
    for status in (404, 503):
        metrics.requests.in_flight += 1
        metrics.requests.ended("GET", "/", status, 0.1, None)
    by_name = metrics_of(Translation(metrics, Resource({}), "http://a").read())
    errors = {
        attributes["http.response.status_code"]: attributes.get("error.type")
        for attributes, _ in points_of(by_name["http.server.request.duration"])
    }
    assert errors == {200: None, 404: None, 503: "503"}


def test_the_operations_page_lists_every_metric_with_its_attributes() -> None:
    listed = {
        name: set(re.findall(r"`([\w.]+)`", attributes))
        for name, attributes in re.findall(r"^\| `((?:http|process)\.[\w.]+)` \| .*? \| (.*) \|$", PAGE, re.MULTILINE)
    }
    metrics = exercised()
    metrics.requests.in_flight += 1
    metrics.requests.ended("GET", "/", 500, 0.1, None)
    by_name = metrics_of(Translation(metrics, Resource({}), "http://a").read())
    prometheus = set(re.findall(r"^\| `(gateway_\w+?)(?:_total)?` \|", PAGE, re.MULTILINE))
    exported_text = {name.replace(".", "_") for name in by_name if name.startswith("gateway.")}
    instead = {
        *("gateway_requests", "gateway_request_duration_seconds", "gateway_build_info"),
        *("gateway_upstream_attempts", "gateway_upstream_attempt_duration_seconds"),
        *("gateway_requests_in_flight", "gateway_upstream_calls_in_flight"),
    }
    assert exported_text == prometheus - instead
    assert listed.keys() == {name for name in by_name if not name.startswith("gateway.")}
    for name, attributes in listed.items():
        assert {key for point, _ in points_of(by_name[name]) for key in point} <= attributes | {"error.type"}, name


def test_no_metric_contains_token_document_or_filter(upstream: Upstream) -> None:
    exporter = InMemory()
    with metered(upstream, exporter) as gateway:
        query = 'query NamedSecret { licenseDeployments(filter: {customerName: {eq: "SecretName"}}) { totalCount } }'
        for text in (query, query.replace("totalCount", "secretField"), "{ secret("):
            gateway.post(text, "contoso+as=secrettoken")
        gateway.client.request("SECRET", "/secretpath")
    exported_text = exporter.exported[0].to_json()
    assert '"gateway.operations"' in exported_text
    assert "secret" not in exported_text.lower()


# When it is sent


async def test_metrics_are_sent_at_each_interval_even_after_a_failure() -> None:
    class Failing(InMemory):
        def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
            super().export(metrics_data)
            if len(self.exported) == 3:
                enough.set()
            raise ValueError(len(self.exported))

    enough = threading.Event()
    exporter = Failing()
    metering = Metering(exporter, Resource({}), interval_seconds=0.001)
    metering.start(exercised(), "http://a")
    assert await asyncio.to_thread(enough.wait, 30)
    await metering.aclose()
    assert len(exporter.exported) >= 4


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ENDPOINT": "http://a"}, (True, True)),
        ({"ENDPOINT": "http://a", "METRICS_EXPORTER": "none"}, (True, False)),
        ({"ENDPOINT": "http://a", "METRICS_EXPORTER": "prometheus, otlp"}, (True, True)),
        ({"ENDPOINT": "http://a", "TRACES_EXPORTER": "none"}, (False, True)),
        ({"METRICS_ENDPOINT": "http://a/v1/metrics"}, (False, True)),
        ({"TRACES_ENDPOINT": "http://a/v1/traces"}, (True, False)),
        ({"METRICS_EXPORTER": "otlp"}, (False, True)),
        ({"METRICS_EXPORTER": "console"}, (False, False)),
        ({}, (False, False)),
    ],
)
async def test_each_signal_is_sent_where_the_standard_variables_say(
    variables: dict[str, str], expected: tuple[bool, bool]
) -> None:
    names = {
        "OTEL_" + ("EXPORTER_OTLP_" if name.endswith("ENDPOINT") else "") + name: value
        for name, value in variables.items()
    }
    by_name = opentelemetry_for(names)
    assert (by_name.tracing is not None, by_name.metering is not None) == expected
    await by_name.aclose()


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"OTEL_METRIC_EXPORT_INTERVAL": "soon"}, "OTEL_METRIC_EXPORT_INTERVAL"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, "OTEL_METRIC_EXPORT_INTERVAL"),
        ({"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}, "cumulative"),
    ],
)
def test_unsupported_settings_are_logged(
    variables: dict[str, str], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    exporting({"OTEL_METRIC_EXPORT_INTERVAL": "5000"})
    assert caplog.text == ""
    exporting(variables)
    assert word in caplog.text


def test_an_unreachable_collector_is_logged_rarely() -> None:
    now_seconds = 1_000.0
    seldom = Seldom(lambda: now_seconds)
    record: Any = None
    assert [seldom.filter(record) for _ in range(3)] == [True, False, False]
    now_seconds += QUIET_SECONDS
    assert [seldom.filter(record) for _ in range(3)] == [True, False, False]


# Over sockets


class Collector:
    """An OTLP collector that stores metrics and ignores traces."""

    def __init__(self) -> None:
        self.requests: list[ExportMetricsServiceRequest] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message.get("more_body", False)
        if scope["path"] == "/v1/metrics":
            assert dict(scope["headers"])[b"content-type"] == b"application/x-protobuf"
            self.requests.append(ExportMetricsServiceRequest.FromString(body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def last_of_each(self) -> dict[str, dict[str, metrics_pb2.Metric]]:
        """Return the latest metrics of each process, by its id."""
        by_name: dict[str, dict[str, metrics_pb2.Metric]] = {}
        for request in self.requests:
            [resource] = request.resource_metrics
            who = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            assert who["service.name"] == "partner-center-graphql"
            [scope] = resource.scope_metrics
            by_name[who["service.instance.id"]] = {metric.name: metric for metric in scope.metrics}
        return by_name


@pytest.fixture
def run() -> Iterator[Any]:
    """Start gateways with OpenTelemetry variables."""
    with ExitStack() as stack:

        def begin(*arguments: str, **variables: str) -> Running:
            running = Running(("--port", "0", *arguments), variables)
            stack.callback(kill, running.process)
            return running

        yield begin


def asked(running: Running, times: int = 1) -> None:
    """Send a small operation."""
    for _ in range(times):
        body = {"query": "{ __typename }"}
        assert httpx.post(f"{running.url}/graphql", json=body, trust_env=False, timeout=30).status_code == 200


def requests_in(metrics: dict[str, metrics_pb2.Metric]) -> int:
    """Return the number of GraphQL requests; before the first one the metric is absent."""
    if "http.server.request.duration" not in metrics:
        return 0
    return sum(
        point.count
        for point in metrics["http.server.request.duration"].histogram.data_points
        if any(pair.key == "http.route" and pair.value.string_value == "/graphql" for pair in point.attributes)
    )


def test_a_collector_gets_metrics_at_each_interval_and_at_shutdown(run: Any) -> None:
    collector = Collector()
    with served(collector) as url:
        running = run(
            OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_COMPRESSION="none", OTEL_METRIC_EXPORT_INTERVAL="50"
        )
        asked(running, 2)
        eventually(lambda: any(requests_in(last) == 2 for last in collector.last_of_each().values()))
        asked(running)
        status, said, _ = running.end(signal.SIGTERM)
        [last] = collector.last_of_each().values()
    assert status == 0
    assert requests_in(last) == 3
    duration = last["http.server.request.duration"]
    assert duration.histogram.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = duration.histogram.data_points
    assert (list(point.explicit_bounds), point.HasField("min")) == (list(BUCKETS), False)
    assert 0 < point.start_time_unix_nano < point.time_unix_nano
    assert said.count('"event":"request"') == 3
    assert said.count('"level"') == said.count('"level":"info"')


def test_each_worker_sends_its_metrics_under_a_separate_id(run: Any) -> None:
    collector = Collector()
    with served(collector) as url:
        running = run(
            "--workers",
            "2",
            OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=f"{url}/v1/metrics",
            OTEL_METRIC_EXPORT_INTERVAL=NEVER_MILLISECONDS,
        )
        url_of_metrics = f"{running.url}/metrics"
        eventually(lambda: httpx.get(url_of_metrics, trust_env=False).text.count("\ngateway_workers{") == 2, 30)
        asked(running, 5)
        assert collector.requests == []
        assert running.end(signal.SIGTERM)[0] == 0
        by_name = collector.last_of_each()
    assert len(by_name) == 2
    assert sum(map(requests_in, by_name.values())) == 5


@contextmanager
def deaf() -> Iterator[str]:
    """A collector that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@contextmanager
def absent() -> Iterator[str]:
    """An address where no collector listens."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextmanager
def refusing() -> Iterator[str]:
    """A collector that refuses metrics."""

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})

    with served(refuse) as url:
        yield url


@pytest.mark.parametrize("collector", [deaf, absent, refusing])
def test_a_failing_collector_affects_no_request_and_is_logged_once(run: Any, collector: Any) -> None:
    with collector() as url:
        running = run(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_METRIC_EXPORT_INTERVAL="20", GATEWAY_LOG_FORMAT="json")
        asked(running, 20)
        if collector is not deaf:
            running.read_until("metrics batch")
        asked(running, 20)
        status, said, took_seconds = running.end(signal.SIGTERM)
    assert status == 0
    assert took_seconds < FLUSH_SECONDS + END_SECONDS
    assert said.count("metrics batch") <= 1
    assert said.count("spans batch") <= 1
    assert "Traceback" not in said


def test_without_the_extra_metrics_are_off_with_a_log_line() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.exporter'] = None;"
        "from gateway.composition import create; create(); print('started')"
    )
    variables = environment(OTEL_METRICS_EXPORTER="otlp")
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert done.stdout == "started\n", done.stderr
    assert done.stderr.count("the extra 'otel' is not installed") == 1
