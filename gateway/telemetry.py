"""What an operator sees: a log line for each request, and Prometheus metrics. Neither holds a token or a filter."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from gateway.cache.memory import MemoryStore
from gateway.upstream import UpstreamCall

# From a cache hit to a slow upstream page, in seconds.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(log_format: str, level: str) -> None:
    """Send structlog's and the standard library's lines to standard error, as JSON or as text."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    processors: list[structlog.typing.Processor]
    if as_text:
        # Tracebacks without local variables: a token may be among them.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        processors = [*_SHARED, renderer]
    else:
        processors = [_json_line]
    structlog.configure(
        processors=processors,
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
    )
    _configure_standard_library(level, processors[-1])


def _json_line(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
    """An event as a line of JSON, in one step: there is one for each request, and steps cost more than their work."""
    event["level"] = name
    event["timestamp"] = datetime.now(UTC).isoformat()
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, name, event)
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _configure_standard_library(level: str, renderer: structlog.typing.Processor) -> None:
    """Let libraries' lines look like our own."""
    handler = logging.StreamHandler(sys.stderr)
    # On the handler too, for the libraries below have a level of their own.
    handler.setLevel(level.upper())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # These tell URLs, and so filters and customers' names, at their usual levels; aiocache tells even values.
    for name in ("httpx", "httpcore", "aiocache", "redis", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


class Metrics:
    """The process's metrics in a registry of their own. No label has values that a caller could choose."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "gateway_requests", "HTTP requests by route and status.", ("route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "gateway_request_seconds", "Time per request.", ("route",), buckets=_BUCKETS, registry=self._registry
        )
        self._operations = Counter(
            "gateway_operations",
            "GraphQL operations by outcome (ok or an error code) and cache state.",
            ("outcome", "cache"),
            registry=self._registry,
        )
        self._upstream_calls = Counter(
            "gateway_upstream_calls", "Upstream attempts by outcome.", ("outcome",), registry=self._registry
        )
        self._upstream_seconds = Histogram(
            "gateway_upstream_call_seconds", "Time per upstream attempt.", buckets=_BUCKETS, registry=self._registry
        )
        self._redis_pages = Counter(
            "gateway_redis_pages",
            "Looks for blocks in Redis (hit, miss, unavailable), values there that could not be opened (refused), and"
            " blocks kept there (stored, not_stored).",
            ("outcome",),
            registry=self._registry,
        )
        self._redis_errors = Counter(
            "gateway_redis_errors", "Operations that Redis did not answer, or refused.", registry=self._registry
        )
        self._in_flight = Gauge("gateway_requests_in_flight", "Requests being answered.", registry=self._registry)

    def watch_cache(self, store: MemoryStore) -> None:
        """Show the memory tier's size and evictions."""
        gauges = (
            ("gateway_cache_bytes", "Bytes in the memory tier.", lambda: store.used_bytes),
            ("gateway_cache_entries", "Blocks in the memory tier.", lambda: store.entries),
            ("gateway_cache_evictions", "Blocks that left the memory tier for want of room.", lambda: store.evictions),
        )
        for name, text, read in gauges:
            Gauge(name, text, registry=self._registry).set_function(read)

    def watch_redis(self, is_left_out: Callable[[], bool]) -> None:
        """Show whether Redis is left out because it failed."""
        gauge = Gauge("gateway_redis_left_out", "1 from a failure of Redis until it answers.", registry=self._registry)
        gauge.set_function(lambda: float(is_left_out()))

    def redis_failed(self) -> None:
        """Count an operation that Redis did not answer, or refused."""
        self._redis_errors.inc()

    def redis_page(self, outcome: str) -> None:
        """Count a look for a page in Redis, a value there that was not ours, or a page kept there or not."""
        self._redis_pages.labels(outcome).inc()

    def request_started(self) -> None:
        """Count a request in."""
        self._in_flight.inc()

    def request_ended(self, *, route: str, status: int, seconds: float, facts: dict[str, Any] | None) -> None:
        """Count a request out."""
        self._in_flight.dec()
        _child(self._requests, route, str(status)).inc()
        _child(self._seconds, route).observe(seconds)
        if facts is not None:
            _child(self._operations, facts["outcome"], facts["cache"] or "none").inc()

    def upstream_call_ended(self, call: UpstreamCall) -> None:
        """Count an upstream attempt."""
        self._upstream_calls.labels(call.outcome).inc()
        self._upstream_seconds.observe(call.seconds)

    def response(self) -> Response:
        """The metrics in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


@lru_cache(maxsize=1_024)
def _child(metric: Any, *labels: str) -> Any:
    """The metric for these labels; looking it up costs the library more than counting."""
    return metric.labels(*labels)
