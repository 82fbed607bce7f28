"""Prometheus metrics of one process. No label holds a token or a filter."""

from __future__ import annotations

import platform
from collections import Counter as Count
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from gateway.cache.pages import CachedPages
from gateway.observability.counters import Labelled, Readings, RequestCounters, UpstreamCounters
from gateway.observability.renamed_metrics import OldNames
from gateway.page import CacheState
from gateway.upstream import UpstreamClient
from gateway.version import VERSION


class Metrics:
    """The process's metrics in a separate registry. No caller can choose a label value.

    Operations in ``operation_names`` have their own label value, up to ``MAX_OPERATION_NAMES``; all others share one.
    """

    def __init__(self, operation_names: Iterable[str] = ()) -> None:
        self.registry = CollectorRegistry()
        self.requests = RequestCounters(operation_names)
        self.calls = UpstreamCounters()
        self._readings = Readings()
        self._redis_pages: Count[str] = Count()
        self._redis_errors = 0
        for collector in (self.requests, self.calls, self._readings, OldNames(self.requests), OldNames(self.calls)):
            self.registry.register(collector)
        # Memory, CPU and open files, read from the system at each scrape.
        ProcessCollector(registry=self.registry)
        self._readings.info("gateway_build_info", "1, with the versions of the gateway and of Python.", _build())
        self._readings.counters(
            "gateway_redis_pages",
            "Lookups of blocks in Redis (hit, miss, unavailable), values that could not be decrypted (refused), and"
            " writes of blocks (stored, not_stored).",
            "outcome",
            lambda: dict(self._redis_pages),
        )
        self._readings.counter(
            "gateway_redis_errors", "Redis operations that failed or timed out.", lambda: self._redis_errors
        )

    def watch_cache(self, cache: CachedPages) -> None:
        """Expose the blocks served by the cache, and the memory tier's size and evictions."""
        store, readings = cache.store, self._readings
        readings.gauge("gateway_cache_bytes", "Bytes in the memory tier.", lambda: store.used_bytes)
        readings.gauge("gateway_cache_max_bytes", "Bound of the memory tier in bytes.", lambda: store.max_bytes)
        readings.gauge("gateway_cache_entries", "Blocks in the memory tier.", lambda: store.entries)
        readings.gauge("gateway_cache_packed_entries", "Packed blocks of these.", lambda: store.packed_entries)
        readings.gauge("gateway_cache_hot_bytes", "Bytes of the blocks that can be packed.", lambda: store.hot_bytes)
        readings.counter("gateway_cache_evictions", "Blocks evicted from the memory tier.", lambda: store.evictions)
        readings.counters(
            "gateway_cache_blocks",
            "Blocks served, by origin: hit (fresh, from memory or Redis), stale, or miss.",
            "cache",
            lambda: {state.name.lower(): cache.answered_blocks[state] for state in CacheState},
        )

    def watch_upstream(self, client: UpstreamClient) -> None:
        """Expose upstream calls in flight and waiting, and throttled tokens."""
        readings = self._readings
        readings.gauge("gateway_upstream_calls_in_flight", "Upstream calls in flight.", lambda: client.limiter.held)
        readings.gauge(
            "gateway_upstream_calls_waiting",
            "Upstream calls waiting for a free slot of their token or process.",
            lambda: client.limiter.waiting,
        )
        readings.gauge(
            "gateway_cooldowns", "Throttled tokens in cool-down, as known to this process.", client.cooldowns.active
        )

    def watch_redis(self, is_left_out: Callable[[], bool]) -> None:
        self._readings.gauge("gateway_redis_left_out", "1 while Redis is bypassed after a failure.", is_left_out)

    def watch_workers(self, count: int) -> None:
        text = "Configured number of workers, shown by each worker."
        self._readings.gauge("gateway_workers", text, lambda: count)

    def redis_page(self, outcome: str) -> None:
        """Count a lookup, a refused value or a store of a page in Redis, by outcome."""
        self._redis_pages[outcome] += 1

    def redis_error(self) -> None:
        """Count a Redis operation that failed or timed out."""
        self._redis_errors += 1

    def exposition(self, worker: int | None = None) -> bytes:
        """Return the metrics in Prometheus' text format, labelled with the number of the ``worker`` if there is one."""
        return generate_latest(self.registry if worker is None else Labelled(self.registry, "worker", str(worker)))

    def response(self) -> Response:
        """Return the metrics of this process as an HTTP response."""
        return Response(self.exposition(), media_type=CONTENT_TYPE_LATEST)


def _build() -> dict[str, str]:
    return {"version": VERSION, "python_version": platform.python_version()}
