"""Log lines and metrics of many requests cost little, and lose nothing."""

from __future__ import annotations

import asyncio
import io

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry import LineWriter, Metrics


async def test_lines_of_one_turn_are_written_together_and_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.info("one")
    writer.error("two")
    assert stream.getvalue() == ""
    await asyncio.sleep(0)
    assert stream.getvalue() == "one\ntwo\n"


def test_without_a_loop_a_line_is_written_at_once() -> None:
    stream = io.StringIO()
    LineWriter(stream).info("one")
    assert stream.getvalue() == "one\n"


async def test_lines_of_other_threads_are_not_lost() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    await asyncio.gather(*(asyncio.to_thread(writer.info, str(number)) for number in range(50)))
    await asyncio.sleep(0)
    assert sorted(stream.getvalue().split()) == sorted(map(str, range(50)))


def test_requests_are_counted_by_route_outcome_and_time() -> None:
    metrics = Metrics()
    for seconds in (0.002, 0.0021, 700.0):
        metrics.request_started()
        facts = {"outcome": "ok", "cache": None}
        metrics.request_ended(route="/graphql", status=200, seconds=seconds, facts=facts)
    metrics.request_started()
    text = bytes(metrics.response().body).decode()
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["gateway_requests_total", "/graphql", "200"] == 3
    assert found["gateway_operations_total", "none", "ok"] == 3
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
