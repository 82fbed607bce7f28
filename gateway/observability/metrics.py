"""Prometheus metrics of one process. No label holds a token or a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from starlette.responses import Response

from gateway.cache.pages import CachedPages
from gateway.observability.counters import Durations, Labelled, Readings, RequestTallies, UpstreamTallies
from gateway.page import CacheState
from gateway.upstream import UpstreamCall, UpstreamClient


class Metrics:
    """The process's metrics in a registry of their own. No label has values that a caller could choose.

    Of operations only ``operation_names`` are told apart, and of those no more than ``MAX_OPERATION_NAMES``.
    """

    def __init__(self, operation_names: Iterable[str] = ()) -> None:
        self._registry = CollectorRegistry()
        self._requests = RequestTallies(operation_names)
        self._calls = UpstreamTallies()
        self._readings = Readings()
        self._registry.register(self._requests)
        self._registry.register(self._readings)
        # Memory, CPU and open files, read from the system when they are asked for.
        ProcessCollector(registry=self._registry)
        self._registry.register(self._calls)
        self._redis_pages = self._counter(
            "gateway_redis_pages",
            "Looks for blocks in Redis (hit, miss, unavailable), values there that could not be opened (refused), and"
            " blocks kept there (stored, not_stored).",
            "outcome",
        )
        self._redis_errors = self._counter("gateway_redis_errors", "Operations that Redis did not answer, or refused.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self._registry)

    def watch_cache(self, cache: CachedPages) -> None:
        """Show what the cache answered, and the memory tier's size and evictions."""
        store, readings = cache.store, self._readings
        readings.gauge("gateway_cache_bytes", "Bytes in the memory tier.", lambda: store.used_bytes)
        readings.gauge("gateway_cache_max_bytes", "Bound of the memory tier in bytes.", lambda: store.max_bytes)
        readings.gauge("gateway_cache_entries", "Blocks in the memory tier.", lambda: store.entries)
        readings.counter(
            "gateway_cache_evictions", "Blocks that left the memory tier for want of room.", lambda: store.evictions
        )
        readings.counters(
            "gateway_cache_blocks",
            "Blocks answered, by where they came from: hit (fresh, from memory or Redis), stale, or miss.",
            "cache",
            lambda: {state.name.lower(): cache.answered_blocks[state] for state in CacheState},
        )

    def watch_upstream(self, client: UpstreamClient) -> None:
        """Show the upstream calls under way, and the throttled tokens."""
        readings = self._readings
        readings.gauge("gateway_upstream_calls_in_flight", "Upstream calls under way.", lambda: client.calls_in_flight)
        readings.gauge(
            "gateway_upstream_calls_waiting",
            "Upstream calls that wait for a place among their token's, or the process's.",
            lambda: client.calls_waiting,
        )
        readings.gauge(
            "gateway_cooldowns", "Throttled tokens whose cool-down lasts, as this process knows.", client.cooldowns
        )

    def watch_redis(self, is_left_out: Callable[[], bool]) -> None:
        """Show whether Redis is left out because it failed."""
        self._readings.gauge("gateway_redis_left_out", "1 from a failure of Redis until it answers.", is_left_out)

    def watch_workers(self, count: int) -> None:
        """Show that there should be ``count`` processes like this one."""
        text = "Workers that there should be, told by each that answered."
        self._readings.gauge("gateway_workers", text, lambda: count)

    def redis_failed(self) -> None:
        """Count an operation that Redis did not answer, or refused."""
        self._redis_errors.inc()

    def redis_page(self, outcome: str) -> None:
        """Count a look for a page in Redis, a value there that was not ours, or a page kept there or not."""
        self._redis_pages.labels(outcome).inc()

    def request_started(self) -> None:
        """Count a request in."""
        self._requests.in_flight += 1

    def request_ended(
        self, *, method: str, route: str, status: int, seconds: float, facts: dict[str, Any] | None
    ) -> None:
        """Count a request out. ``method`` is one of RFC 9110's, or one name for all others."""
        self._requests.ended(method, route, status, seconds, facts)

    def upstream_call_ended(self, call: UpstreamCall) -> None:
        """Count an upstream attempt."""
        self._calls.ended(call)

    @property
    def request_durations(self) -> Durations:
        """Of requests, by method, route and status."""
        return self._requests.durations

    @property
    def call_durations(self) -> Durations:
        """Of upstream attempts, by outcome and status."""
        return self._calls.durations

    def families(self) -> Iterable[Metric]:
        """What there is to show, now. May be called in another thread."""
        return self._registry.collect()

    def exposition(self, worker: int | None = None) -> bytes:
        """The metrics in Prometheus' text format; where there is a ``worker``, each sample has its number."""
        return generate_latest(self._registry if worker is None else Labelled(self._registry, "worker", str(worker)))

    def response(self) -> Response:
        """The metrics of this process alone."""
        return Response(self.exposition(), media_type=CONTENT_TYPE_LATEST)
