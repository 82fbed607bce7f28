"""The names that metrics had before Prometheus' naming conventions were followed, kept for one release."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

# By new name, without the suffix of a sample.
OLD_NAMES = {
    "gateway_request_duration_seconds": "gateway_request_seconds",
    "gateway_upstream_attempt_duration_seconds": "gateway_upstream_call_seconds",
    "gateway_upstream_foreign_responses": "gateway_upstream_foreign_replies",
}


class OldNames(Collector):
    """The renamed metrics of ``collector`` by their old names."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterator[Metric]:
        for family in self._collector.collect():
            old = OLD_NAMES.get(family.name)
            if old is not None:
                family.samples = [
                    sample._replace(name=sample.name.replace(family.name, old, 1)) for sample in family.samples
                ]
                family.documentation = f"Deprecated: use {family.name}."
                family.name = old
                yield family
