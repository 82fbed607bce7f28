"""What an operator sees: a log line for each request, and Prometheus metrics. Neither holds a token or a filter."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import time
from bisect import bisect_left
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any, TextIO

import msgspec
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.responses import Response

from gateway.cache.memory import MemoryStore
from gateway.upstream import UpstreamCall

# From a cache hit to a slow upstream page, in seconds.
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class LineWriter:
    """Writes log lines to ``stream``, all of one turn of the event loop at once.

    A line for each request would otherwise cost a system call for each. Without a loop, and at the process's end, lines
    are written at once.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        atexit.register(self._flush)

    def write(self, line: str) -> None:
        """Write ``line`` soon."""
        self._lines.append(line)
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                self._flush()

    # The names by which structlog calls a logger.
    debug = info = warning = error = critical = exception = fatal = msg = log = failure = err = write

    def _flush(self) -> None:
        lines = []
        # One by one, for other threads may add some meanwhile.
        while self._lines:
            lines.append(self._lines.popleft())
        if lines:
            self._stream.write("\n".join([*lines, ""]))
            self._stream.flush()


_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(log_format: str, level: str) -> None:
    """Send structlog's and the standard library's lines to standard error, as JSON or as text."""
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    processors: list[structlog.typing.Processor]
    writer = LineWriter(sys.stderr)
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
        logger_factory=lambda *_: writer,
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
        self._requests = _RequestTallies()
        self._registry.register(self._requests)
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
        self._requests.in_flight += 1

    def request_ended(self, *, route: str, status: int, seconds: float, facts: dict[str, Any] | None) -> None:
        """Count a request out."""
        self._requests.ended(route, status, seconds, facts)

    def upstream_call_ended(self, call: UpstreamCall) -> None:
        """Count an upstream attempt."""
        self._upstream_calls.labels(call.outcome).inc()
        self._upstream_seconds.observe(call.seconds)

    def response(self) -> Response:
        """The metrics in Prometheus' text format."""
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_LATEST)


class _RequestTallies(Collector):
    """What is counted of every request: plain numbers, made into metrics when they are asked for.

    The library's own counters take a lock for each number, which is a tenth of a small answer from the cache.
    """

    def __init__(self) -> None:
        self.in_flight = 0
        self._since = time.time()
        self._requests: Tally[tuple[str, int]] = Tally()
        self._operations: Tally[tuple[str, str]] = Tally()
        # For each route the requests within each bucket and beyond all, and the seconds of all together.
        self._buckets: dict[str, list[int]] = {}
        self._seconds: Tally[str] = Tally()

    def ended(self, route: str, status: int, seconds: float, facts: dict[str, Any] | None) -> None:
        """Count a request out."""
        self.in_flight -= 1
        self._requests[route, status] += 1
        if route not in self._buckets:
            self._buckets[route] = [0] * (len(_BUCKETS) + 1)
        self._buckets[route][bisect_left(_BUCKETS, seconds)] += 1
        self._seconds[route] += seconds  # type: ignore[assignment]  # a Counter counts fractions, too
        if facts is not None:
            self._operations[facts["outcome"], facts["cache"] or "none"] += 1

    def collect(self) -> Iterator[Metric]:
        """The metrics; called by the registry, in a thread of its own."""
        requests = CounterMetricFamily(
            "gateway_requests", "HTTP requests by route and status.", labels=("route", "status")
        )
        for (route, status), count in list(self._requests.items()):
            requests.add_metric((route, str(status)), count, created=self._since)
        yield requests
        seconds = HistogramMetricFamily("gateway_request_seconds", "Time per request.", labels=("route",))
        bounds = [*(str(float(bound)) for bound in _BUCKETS), "+Inf"]
        for route, counts in list(self._buckets.items()):
            buckets = list(zip(bounds, map(float, accumulate(counts)), strict=True))
            seconds.add_metric((route,), buckets, self._seconds[route])
        yield seconds
        operations = CounterMetricFamily(
            "gateway_operations",
            "GraphQL operations by outcome (ok or an error code) and cache state.",
            labels=("outcome", "cache"),
        )
        for labels, count in list(self._operations.items()):
            operations.add_metric(labels, count, created=self._since)
        yield operations
        yield GaugeMetricFamily("gateway_requests_in_flight", "Requests being answered.", value=self.in_flight)
