"""Metrics count every request and upstream call, in a bounded number of time series."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observability.counters import MAX_OPERATION_NAMES
from gateway.observability.metrics import Metrics
from gateway.upstream import UpstreamCall
from tests.deploy.exposed import exercised, families

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Gateway, StartGateway


def test_requests_are_counted_by_route_outcome_and_time() -> None:
    metrics = Metrics()
    for seconds in (0.002, 0.0021, 700.0):
        metrics.request_started()
        facts = {"operation": None, "outcome": "ok", "cache": None}
        metrics.request_ended(method="POST", route="/graphql", status=200, seconds=seconds, facts=facts)
    metrics.request_started()
    text = bytes(metrics.response().body).decode()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["gateway_requests_total", "/graphql", "200"] == 3
    assert found["gateway_operations_total", "none", "ok", "other"] == 3
    assert found["gateway_requests_in_flight",] == 1
    # A bucket holds what is at most its bound, and all of the smaller ones.
    assert found["gateway_request_seconds_bucket", "/graphql", "0.002"] == 1
    assert (
        found["gateway_request_seconds_bucket", "/graphql", "0.005"]
        == found["gateway_request_seconds_bucket", "/graphql", "120.0"]
        == 2
    )
    assert found["gateway_request_seconds_bucket", "+Inf", "/graphql"] == 3
    assert found["gateway_request_seconds_count", "/graphql"] == 3
    assert found["gateway_request_seconds_sum", "/graphql"] == pytest.approx(700.0041)


def counted(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """The value of each sample by its name and the values of its labels, in the order of the labels' names."""
    text = bytes(metrics.response().body).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_only_operations_of_trusted_documents_are_told_apart() -> None:
    metrics = Metrics(["Known"])
    for name in ("Known", "Invented", None):
        metrics.request_started()
        facts = {"operation": name, "outcome": "ok", "cache": "hit"}
        metrics.request_ended(method="POST", route="/graphql", status=200, seconds=0.1, facts=facts)
    found = counted(metrics)
    assert found["gateway_operations_total", "hit", "Known", "ok"] == 1
    assert found["gateway_operations_total", "hit", "other", "ok"] == 2


def test_a_manifest_of_any_length_makes_a_bounded_number_of_series() -> None:
    names = [f"Name{number}" for number in range(2 * MAX_OPERATION_NAMES)]
    metrics = Metrics(names)
    for name in names:
        metrics.request_started()
        facts = {"operation": name, "outcome": "ok", "cache": "hit"}
        metrics.request_ended(method="POST", route="/graphql", status=200, seconds=0.1, facts=facts)
    series = {key: value for key, value in counted(metrics).items() if key[0] == "gateway_operations_total"}
    assert len(series) == MAX_OPERATION_NAMES + 1
    assert series["gateway_operations_total", "hit", "other", "ok"] == MAX_OPERATION_NAMES


def test_upstream_attempts_are_counted_by_outcome_and_status_and_an_odd_status_is_no_new_series() -> None:
    metrics = Metrics()
    for status in (200, 429, 799, 798, None):
        metrics.upstream_call_ended(UpstreamCall(status, "ok", 0.1, 10, is_foreign=status == 429))
    found = counted(metrics)
    assert {key[2]: value for key, value in found.items() if key[0] == "gateway_upstream_calls_total"} == {
        "200": 1,
        "429": 1,
        "other": 2,
        "none": 1,
    }
    assert found["gateway_upstream_bytes_total",] == 50
    assert found["gateway_upstream_foreign_replies_total",] == 1
    assert found["gateway_upstream_call_seconds_count",] == 5


def test_every_metric_keeps_to_the_naming_rules_of_prometheus() -> None:
    """Counters end in _total and have a text; names tell their unit in full (prometheus.io/docs/practices/naming)."""
    found = families(exercised())
    assert len({family.name for family in found}) == len(found) > 15
    for family in found:
        assert family.documentation.endswith("."), family.name
        if family.type == "counter":
            assert all(sample.name == f"{family.name}_total" for sample in family.samples), family.name
        assert family.type in ("counter", "gauge", "histogram")


def read(gateway: Gateway) -> dict[tuple[str, ...], float]:
    """What a running gateway's /metrics says."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(gateway.client.get("/metrics").text)
        for sample in family.samples
    }


def test_a_running_gateway_tells_where_its_blocks_came_from(start_gateway: StartGateway) -> None:
    """The short way of a repeated question counts like the long one."""
    gateway = start_gateway()
    for _ in range(4):
        gateway.connection("first: 1", "contoso+as=blocks")
    found = read(gateway)
    assert found["gateway_cache_blocks_total", "miss"] == 1
    assert found["gateway_cache_blocks_total", "hit"] == 3
    assert found["gateway_cache_blocks_total", "stale"] == 0
    assert 0 < found["gateway_cache_bytes",] < found["gateway_cache_max_bytes",]
    assert found["gateway_cache_evictions_total",] == 0
    assert found["gateway_upstream_calls_total", "ok", "200"] == 1
    assert found["gateway_upstream_calls_in_flight",] == found["gateway_upstream_calls_waiting",] == 0


def test_a_running_gateway_tells_how_many_tokens_are_throttled(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    assert read(gateway)["gateway_cooldowns",] == 0
    gateway.post("{ licenseDeployments(first: 1) { totalCount } }", "contoso+throttle=30")
    found = read(gateway)
    assert found["gateway_cooldowns",] == 1
    assert found["gateway_upstream_calls_total", "RATE_LIMITED", "429"] == 1


def test_a_running_gateway_names_the_operations_of_its_manifest(start_gateway: StartGateway, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps({"one": "query Known { __typename }", "two": "{ __typename }"}))
    gateway = start_gateway(trusted_documents=str(file))
    for text in ("query Known { __typename }", "{ __typename }", "query Invented { __typename }"):
        gateway.post(text, None)
    found = {key[2:]: value for key, value in read(gateway).items() if key[0] == "gateway_operations_total"}
    assert found == {("Known", "ok"): 1, ("other", "ok"): 1, ("other", "OPERATION_NOT_TRUSTED"): 1}
