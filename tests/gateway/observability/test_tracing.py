"""Traces show the phases and durations of requests, without any content."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, StatusCode

from gateway.composition import build
from gateway.config.environment import read_settings
from gateway.observability.opentelemetry import NOTHING, OpenTelemetry, opentelemetry_for
from gateway.observability.tracing import Tracing
from tests.conftest import Gateway, served
from tests.gateway.running import eventually

if TYPE_CHECKING:
    from tests.conftest import Upstream

CORRELATION_ID = "01234567-89ab-4cde-8f01-23456789abcd"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@dataclass(frozen=True, slots=True)
class Traced:
    """A running gateway and its finished spans."""

    gateway: Gateway
    exporter: InMemorySpanExporter

    def ended(self, requests: int) -> list[ReadableSpan]:
        """Wait until the spans of this many requests have ended, just after their responses; return all spans."""

        def are_ended() -> bool:
            return sum(span.kind is SpanKind.SERVER for span in self.exporter.get_finished_spans()) >= requests

        eventually(are_ended)
        return list(self.exporter.get_finished_spans())

    def spans(self) -> dict[str, ReadableSpan]:
        """Return the spans of one request by name, after checking that names are unique."""
        finished = self.ended(1)
        by_name = {span.name: span for span in finished}
        assert len(by_name) == len(finished), [span.name for span in finished]
        return by_name


@pytest.fixture
def traced(upstream: Upstream) -> Iterator[Traced]:
    """A gateway with tracing, new for each test."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = build(read_settings({}, {"upstream_url": upstream.url}), OpenTelemetry(Tracing(provider)))
    with served(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Traced(Gateway(url, client), exporter)


def identity(span: ReadableSpan) -> SpanContext:
    """Return the ids of the span and its trace."""
    context = span.get_span_context()
    assert context is not None
    return context


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the span's attributes as a dict."""
    return dict(span.attributes or {})


def test_a_request_is_a_span_with_its_phases_and_its_upstream_call_within(traced: Traced) -> None:
    query = '{ licenseDeployments(filter: {customerName: {eq: "Secret Customer"}}) { totalCount } }'
    traced.gateway.post(query, "contoso+as=traced", None, **{"MS-CorrelationId": CORRELATION_ID})
    spans = traced.spans()
    assert set(spans) == {"POST /graphql", "graphql.parse", "graphql.validate", "graphql.execute", "GET upstream"}
    server = spans["POST /graphql"]
    assert server.kind is SpanKind.SERVER
    assert server.parent is None
    for name in spans.keys() - {"POST /graphql"}:
        parent = spans[name].parent
        assert parent is not None and parent.span_id == identity(server).span_id, name  # noqa: PT018
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.route": "/graphql",
        "http.response.status_code": 200,
        "gateway.correlation_id": CORRELATION_ID,
        "gateway.outcome": "ok",
        "gateway.cache": "miss",
        "gateway.rows": 0,
        "gateway.upstream_calls": 1,
    }
    call = spans["GET upstream"]
    assert call.kind is SpanKind.CLIENT
    assert attributes(call) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "url.template": "analytics/commercial/deployment/license",
        "gateway.upstream.outcome": "ok",
        "gateway.upstream.bytes": attributes(call)["gateway.upstream.bytes"],
        "gateway.correlation_id": CORRELATION_ID,
    }
    assert call.start_time is not None
    assert call.end_time is not None
    assert call.start_time < call.end_time


def test_no_span_contains_token_document_or_filter(traced: Traced) -> None:
    """Error attributes do not contain them either."""
    query = 'query NamedSecret { licenseDeployments(filter: {customerName: {eq: "SecretName"}}) { totalCount } }'
    for text in (query, query.replace("totalCount", "secretField"), "{ secret(", "{ secretField }"):
        traced.gateway.post(text, "contoso+as=secrettoken")
        traced.gateway.client.get("/graphql", params={"query": text}, headers={"Authorization": "Bearer secrettoken"})
    traced.gateway.client.get("/secretpath")
    span_text = "".join(span.to_json() for span in traced.ended(9))
    assert span_text.count("GET /graphql") == 4
    assert "secret" not in span_text.lower()


def test_a_cached_operation_is_one_span(traced: Traced) -> None:
    """The fast path has no phases."""
    for _ in range(3):
        traced.gateway.connection("first: 1", "contoso+as=repeated")
    finished = [span.name for span in traced.ended(3)]
    assert finished.count("POST /graphql") == 3
    assert finished.count("GET upstream") == finished.count("graphql.parse") == 1
    assert finished[-1] == "POST /graphql"
    assert attributes(traced.ended(3)[-1])["gateway.cache"] == "hit"


def test_a_caller_s_trace_continues_here_but_not_upstream(traced: Traced, upstream: Upstream) -> None:
    traced.gateway.post(
        "{ licenseDeployments { totalCount } }",
        "contoso+as=distributed",
        traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01",
        baggage="customer=1",
    )
    for span in traced.spans().values():
        assert f"{identity(span).trace_id:032x}" == TRACE_ID
    parent = traced.spans()["POST /graphql"].parent
    assert parent is not None
    assert f"{parent.span_id:016x}" == SPAN_ID


def test_a_failing_upstream_is_an_error_of_its_span_and_not_of_the_server(traced: Traced) -> None:
    traced.gateway.post("{ licenseDeployments { totalCount } }", "contoso+throttle=30+as=tracedthrottle")
    spans = traced.spans()
    assert spans["GET upstream"].status.status_code is StatusCode.ERROR
    assert attributes(spans["GET upstream"])["http.response.status_code"] == 429
    assert attributes(spans["GET upstream"])["gateway.upstream.outcome"] == "RATE_LIMITED"
    assert spans["POST /graphql"].status.status_code is StatusCode.UNSET
    assert attributes(spans["POST /graphql"])["gateway.outcome"] == "RATE_LIMITED"


def test_health_and_metrics_requests_have_no_span(traced: Traced) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        traced.gateway.client.get(path)
    traced.gateway.client.options("/")
    traced.gateway.client.request("PROPFIND", "/invented")
    assert set(traced.spans()) == {"_OTHER other"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "prometheus"},
    ],
)
def test_traces_and_metrics_are_off_unless_configured(environment: dict[str, str]) -> None:
    assert opentelemetry_for(environment) is NOTHING


def test_without_an_endpoint_opentelemetry_is_not_imported() -> None:
    """So unused tracing costs nothing. The Redis client imports parts of the library itself."""
    program = (
        "import sys; from gateway.composition import create; create();"
        "sys.exit(bool({'gateway.observability.tracing', 'gateway.observability.otlp_metrics',"
        "'gateway.observability.otlp', 'opentelemetry.sdk.trace', 'opentelemetry.exporter'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_without_the_extra_traces_are_off_with_a_log_line() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.exporter'] = None;"
        "from gateway.composition import create; create(); print('started')"
    )
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "started\n", done.stderr
    assert "the extra 'otel' is not installed" in done.stderr


async def test_spans_are_sent_to_the_configured_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP to a real collector, at shutdown at the latest, under the service name."""
    bodies: list[bytes] = []

    async def collector(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        bodies.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with served(collector) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        tracing = opentelemetry_for({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url}).tracing
        assert tracing is not None
        with tracing.phase("parse"):
            pass
        await tracing.aclose()
    assert len(bodies) == 1
    assert b"graphql.parse" in bodies[0]
    assert b"partner-center-graphql" in bodies[0]


def test_no_span_ends_before_it_starts_when_the_wall_clock_goes_back(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_nanoseconds = time.time_ns()
    moments = itertools.count(now_nanoseconds, -1_000_000_000)
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    traced.gateway.connection(token="contoso+as=back")
    for span in traced.spans().values():
        assert span.start_time is not None
        assert span.end_time is not None
        assert span.start_time <= span.end_time <= span.start_time + 60_000_000_000
