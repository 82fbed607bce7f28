"""OpenTelemetry spans: one per request, with child spans for its phases and upstream calls.

Imported only if traces are exported. No attribute holds a token, a document, a variable or a filter, and no trace
header is sent upstream.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.http.request_headers import named_headers
from gateway.observability.access_log import is_quiet, method_of, route_of
from gateway.observability.otlp import FLUSH_SECONDS, SERVICE, Seldom, resource_for, session
from gateway.upstream import UpstreamAttempt

# Only W3C trace context, not baggage, which is arbitrary text from the caller.
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Creates spans with ``provider``. Exceptions are never recorded, because they may quote the caller's input."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE)
        # A shared upstream call runs outside any request's context; its span belongs to the request that started it.
        self._open: dict[str, Span] = {}

    def phase(self, name: str) -> AbstractContextManager[object]:
        """Return a span for ``parse``, ``validate`` or ``execute`` of the current request."""
        return self._timed(f"graphql.{name}")

    @contextmanager
    def _timed(self, name: str, **options: Any) -> Iterator[Span]:
        """Open a span and measure it with the monotonic clock; the library's own length may be negative."""
        start, started = time.time_ns(), time.perf_counter_ns()
        with self._tracer.start_as_current_span(
            name,
            start_time=start,
            end_on_exit=False,
            record_exception=False,
            set_status_on_exception=False,
            **options,
        ) as span:
            try:
                yield span
            finally:
                span.end(start + time.perf_counter_ns() - started)

    @contextmanager
    def request(self, scope: Scope) -> Iterator[Span]:
        """Open a span for a request, as part of the caller's trace if its headers name one.

        It is the parent of upstream calls with the request's correlation id.
        """
        method, route = method_of(scope["method"]), route_of(scope["path"])
        headers, correlation_id = named_headers(scope), scope["state"]["correlation_id"]
        carrier = {
            key: headers[key.encode()].decode("latin-1") for key in _PROPAGATOR.fields if key.encode() in headers
        }
        attributes = {"http.request.method": method, "http.route": route, "gateway.correlation_id": correlation_id}
        context = _PROPAGATOR.extract(carrier)
        with self._timed(f"{method} {route}", context=context, kind=SpanKind.SERVER, attributes=attributes) as span:
            self._open[correlation_id] = span
            try:
                yield span
            finally:
                if self._open.get(correlation_id) is span:
                    del self._open[correlation_id]

    def upstream_attempt_ended(self, attempt: UpstreamAttempt) -> None:
        """Create a span for a finished upstream attempt, with the report's path but no query string."""
        parent = self._open.get(attempt.correlation_id)
        ended = time.time_ns()
        span = self._tracer.start_span(
            "GET upstream",
            context=None if parent is None else set_span_in_context(parent),
            kind=SpanKind.CLIENT,
            start_time=ended - int(1e9 * attempt.seconds),
            attributes={
                "http.request.method": "GET",
                "url.template": attempt.path,
                "gateway.upstream.outcome": attempt.outcome,
                "gateway.upstream.bytes": attempt.bytes,
                "gateway.correlation_id": attempt.correlation_id,
            },
        )
        if attempt.status is not None:
            span.set_attribute("http.response.status_code", attempt.status)
        if attempt.outcome != "ok":
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def beside(self, observer: Callable[[UpstreamAttempt], None]) -> Callable[[UpstreamAttempt], None]:
        """Return an observer that calls ``observer`` and creates a span for each upstream attempt."""

        def observe(attempt: UpstreamAttempt) -> None:
            observer(attempt)
            self.upstream_attempt_ended(attempt)

        return observe

    @property
    def layer(self) -> Middleware:
        return Middleware(ServerSpans, tracing=self)

    async def aclose(self) -> None:
        """Send the remaining spans, waiting at most ``FLUSH_SECONDS``."""
        # A daemon thread: a send that is still running ends with the process.
        thread = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, FLUSH_SECONDS)


class ServerSpans:
    """ASGI middleware that creates the spans of requests; it runs inside RequestLog, which sets the correlation id."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request within a span, except health and metrics requests."""
        if scope["type"] != "http" or is_quiet(scope):
            await self._app(scope, receive, send)
            return
        # RequestLog, further out, responds to unexpected errors with 500.
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._tracing.request(scope) as span:
            try:
                await self._app(scope, receive, sending)
            finally:
                _finish(span, status, scope["state"].get("facts"))


def _finish(span: Span, status: int, facts: Mapping[str, str | int | None] | None) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    # The operation name is omitted because callers choose it; the log has it under the correlation id.
    for name in ("outcome", "cache", "rows", "upstream_calls"):
        value = facts.get(name) if facts else None
        if value is not None:
            span.set_attribute(f"gateway.{name}", value)


def exporting(environment: Mapping[str, str]) -> Tracing:
    logging.getLogger(OTLPSpanExporter.__module__).addFilter(Seldom())
    provider = TracerProvider(resource=resource_for(environment), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session())))
    return Tracing(provider)
