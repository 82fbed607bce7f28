"""Every metric that the gateway exposes, with its labels."""

from __future__ import annotations

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.cache.pages import CachedPages
from gateway.config.groups import CacheConfig, UpstreamConfig
from gateway.observability.metrics import Metrics
from gateway.upstream import BlockReader, UpstreamAttempt, UpstreamClient


def exercised() -> Metrics:
    """Return the metrics of a complete gateway after each counted event has occurred once."""
    client = UpstreamClient(
        UpstreamConfig(
            base_url="http://upstream.invalid",
            path_prefix="",
            trailing_slash=False,
            timeout_seconds=1,
            operation_timeout_seconds=1,
            max_retries=0,
            max_concurrency=1,
            max_connections=1,
            max_body_bytes=1,
        ),
    )
    cache = CachedPages(
        BlockReader(client, max_calls=1, operation_timeout_seconds=1),
        CacheConfig(1_000, 900, 3_600, first_block_rows=1_000, block_rows=10_000),
    )
    metrics = Metrics(["Named"])
    metrics.watch_cache(cache)
    metrics.watch_upstream(client)
    metrics.watch_redis(lambda: False)
    metrics.watch_workers(2)
    metrics.requests.in_flight += 1
    facts = {"operation": "Named", "outcome": "ok", "cache": "hit"}
    metrics.requests.ended("POST", "/graphql", 200, 0.1, facts)
    metrics.calls.ended(UpstreamAttempt(200, "ok", 0.1, 10, is_foreign=True, dataset="licenseUsages", rows=1))
    metrics.redis_page("hit")
    metrics.redis_error()
    return metrics


def families(metrics: Metrics) -> list[Metric]:
    """Parse the response with Prometheus' own parser; return only the gateway's metrics by their present names."""
    families = text_string_to_metric_families(bytes(metrics.response().body).decode())
    return [
        family
        for family in families
        if family.name.startswith("gateway_") and not family.documentation.startswith("Deprecated: ")
    ]


def labels_by_sample() -> dict[str, frozenset[str]]:
    """Return the labels of each sample by its name in queries."""
    return {sample.name: frozenset(sample.labels) for family in families(exercised()) for sample in family.samples}
