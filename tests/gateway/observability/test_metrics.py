"""Metrics count every request and upstream call, in a bounded number of time series."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observability.counters import MAX_OPERATION_NAMES
from gateway.observability.metrics import Metrics
from gateway.observability.renamed_metrics import OLD_NAMES
from gateway.upstream import UpstreamAttempt
from gateway.version import DISTRIBUTION
from tests.deploy.exposed import exercised, families

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Gateway, StartGateway


def test_requests_are_counted_by_route_outcome_and_time() -> None:
    metrics = Metrics()
    for seconds in (0.002, 0.0021, 700.0):
        metrics.requests.in_flight += 1
        facts = {"operation": None, "outcome": "ok", "cache": None}
        metrics.requests.ended("POST", "/graphql", 200, seconds, facts)
    metrics.requests.in_flight += 1
    text = bytes(metrics.response().body).decode()
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert values["gateway_requests_total", "/graphql", "200"] == 3
    assert values["gateway_operations_total", "none", "ok", "other"] == 3
    assert values["gateway_requests_in_flight",] == 1
    # Buckets are cumulative, and their upper bound is inclusive.
    assert values["gateway_request_duration_seconds_bucket", "/graphql", "0.002"] == 1
    assert (
        values["gateway_request_duration_seconds_bucket", "/graphql", "0.005"]
        == values["gateway_request_duration_seconds_bucket", "/graphql", "120.0"]
        == 2
    )
    assert values["gateway_request_duration_seconds_bucket", "+Inf", "/graphql"] == 3
    assert values["gateway_request_duration_seconds_count", "/graphql"] == 3
    assert values["gateway_request_duration_seconds_sum", "/graphql"] == pytest.approx(700.0041)


def counted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return each sample's value by its name and label values, in the order of label names."""
    text = bytes(metrics.response().body).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_only_operations_of_trusted_documents_have_their_own_label() -> None:
    metrics = Metrics(["Known"])
    for name in ("Known", "Invented", None):
        metrics.requests.in_flight += 1
        facts = {"operation": name, "outcome": "ok", "cache": "hit"}
        metrics.requests.ended("POST", "/graphql", 200, 0.1, facts)
    values = counted(metrics)
    assert values["gateway_operations_total", "hit", "Known", "ok"] == 1
    assert values["gateway_operations_total", "hit", "other", "ok"] == 2


def test_a_manifest_of_any_length_makes_a_bounded_number_of_series() -> None:
    names = [f"Name{number}" for number in range(2 * MAX_OPERATION_NAMES)]
    metrics = Metrics(names)
    for name in names:
        metrics.requests.in_flight += 1
        facts = {"operation": name, "outcome": "ok", "cache": "hit"}
        metrics.requests.ended("POST", "/graphql", 200, 0.1, facts)
    series = {key: value for key, value in counted(metrics).items() if key[0] == "gateway_operations_total"}
    assert len(series) == MAX_OPERATION_NAMES + 1
    assert series["gateway_operations_total", "hit", "other", "ok"] == MAX_OPERATION_NAMES


def test_upstream_attempts_are_counted_by_outcome_and_known_status() -> None:
    metrics = Metrics()
    for status in (200, 429, 799, 798, None):
        metrics.calls.ended(UpstreamAttempt(status, "ok", 0.1, 10, is_foreign=status == 429))
    values = counted(metrics)
    assert {key[2]: value for key, value in values.items() if key[0] == "gateway_upstream_attempts_total"} == {
        "200": 1,
        "429": 1,
        "other": 2,
        "none": 1,
    }
    assert values["gateway_upstream_bytes_total",] == 50
    assert values["gateway_upstream_foreign_responses_total",] == 1
    assert values["gateway_upstream_attempt_duration_seconds_count",] == 5


def test_a_call_is_counted_once_by_its_last_attempt() -> None:
    metrics = Metrics()
    metrics.calls.ended(UpstreamAttempt(503, "UPSTREAM_UNAVAILABLE", 0.1, is_last=False))
    metrics.calls.ended(UpstreamAttempt(200, "ok", 0.1))
    values = counted(metrics)
    assert {key: value for key, value in values.items() if key[0] == "gateway_upstream_calls_total"} == {
        ("gateway_upstream_calls_total", "ok", "200"): 1
    }
    assert values["gateway_upstream_attempts_total", "UPSTREAM_UNAVAILABLE", "503"] == 1
    assert values["gateway_upstream_attempts_total", "ok", "200"] == 1


def test_old_names_have_the_values_of_the_new_ones() -> None:
    values = counted(exercised())
    for new, old in OLD_NAMES.items():
        by_new = {key: value for key, value in values.items() if key[0].startswith(new)}
        assert by_new
        for key, value in by_new.items():
            assert values[(key[0].replace(new, old), *key[1:])] == value


def test_no_metric_has_the_time_of_its_creation() -> None:
    """Prometheus would store it as another series of each counter."""
    assert b"_created" not in exercised().exposition()


def test_the_build_is_exposed() -> None:
    assert counted(exercised())["gateway_build_info", platform.python_version(), version(DISTRIBUTION)] == 1


def test_every_metric_follows_the_naming_rules_of_prometheus() -> None:
    """Counters end in _total, and metrics have a help text (prometheus.io/docs/practices/naming)."""
    values = families(exercised())
    assert len({family.name for family in values}) == len(values) > 15
    for family in values:
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(sample.name == f"{family.name}_total" for sample in family.samples), family.name
        assert family.type in ("counter", "gauge", "histogram")


def read(gateway: Gateway) -> dict[tuple[str, ...], float]:
    """Return the samples of a running gateway's /metrics."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(gateway.client.get("/metrics").text)
        for sample in family.samples
    }


def test_a_running_gateway_counts_blocks_by_origin(start_gateway: StartGateway) -> None:
    """Operations on the fast path are counted, too."""
    gateway = start_gateway()
    for _ in range(4):
        gateway.connection("first: 1", "contoso+as=blocks")
    values = read(gateway)
    assert values["gateway_cache_blocks_total", "miss"] == 1
    assert values["gateway_cache_blocks_total", "hit"] == 3
    assert values["gateway_cache_blocks_total", "stale"] == 0
    assert 0 < values["gateway_cache_bytes",] < values["gateway_cache_max_bytes",]
    assert values["gateway_cache_evictions_total",] == 0
    assert values["gateway_upstream_attempts_total", "ok", "200"] == 1
    assert values["gateway_upstream_calls_in_flight",] == values["gateway_upstream_calls_waiting",] == 0


def test_a_running_gateway_counts_calls_and_their_attempts(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.post("{ licenseDeployments(first: 1) { totalCount } }", "contoso+status-once=500")
    values = read(gateway)
    assert values["gateway_upstream_calls_total", "ok", "200"] == 1
    assert sum(value for key, value in values.items() if key[0] == "gateway_upstream_attempts_total") == 2


def test_a_running_gateway_counts_the_rows_of_each_dataset(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    for field in ("licenseDeployments", "licenseUsages", "licenseUsages"):
        gateway.post(f"{{ {field} {{ totalCount }} }}", "sample+as=rows")
    values = read(gateway)
    rows = {key[1]: value for key, value in values.items() if key[0] == "gateway_upstream_rows_total"}
    assert rows == {"licenseDeployments": 2, "licenseUsages": 2}


def test_a_running_gateway_counts_throttled_tokens(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    assert read(gateway)["gateway_cooldowns",] == 0
    gateway.post("{ licenseDeployments(first: 1) { totalCount } }", "contoso+throttle=30")
    values = read(gateway)
    assert values["gateway_cooldowns",] == 1
    assert values["gateway_upstream_attempts_total", "RATE_LIMITED", "429"] == 1


def test_a_running_gateway_names_the_operations_of_its_manifest(start_gateway: StartGateway, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"one": "query Known { __typename }", "two": "{ __typename }"}))
    gateway = start_gateway(trusted_documents=str(file))
    for text in ("query Known { __typename }", "{ __typename }", "query Invented { __typename }"):
        gateway.post(text, None)
    values = {key[2:]: value for key, value in read(gateway).items() if key[0] == "gateway_operations_total"}
    assert values == {("Known", "ok"): 1, ("other", "ok"): 1, ("other", "OPERATION_NOT_TRUSTED"): 1}
