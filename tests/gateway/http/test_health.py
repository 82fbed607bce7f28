"""Liveness, readiness and metrics endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette

from gateway.http.health import Health
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import Gateway, StartGateway, Upstream


@pytest.mark.parametrize(("path", "status"), [("/healthz", "ok"), ("/readyz", "ready")])
def test_a_serving_gateway_is_ready_without_token_or_upstream(
    start_gateway: StartGateway, upstream: Upstream, path: str, status: str
) -> None:
    gateway = start_gateway(upstream_url="http://127.0.0.1:9")
    before = len(upstream.calls)
    response = gateway.client.get(path)
    assert response.status_code == 200
    assert response.json()["status"] == status
    assert response.headers["Cache-Control"] == "no-store"
    assert len(upstream.calls) == before


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_head_is_allowed_and_other_methods_are_refused(gateway: Gateway, path: str) -> None:
    response = gateway.client.head(path)
    assert (response.status_code, response.content) == (200, b"")
    response = gateway.client.post(path)
    check_error(response, "BAD_REQUEST", 405)
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS"


async def ask(health: Health, path: str) -> httpx.Response:
    app = Starlette(routes=list(health.routes))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.get(path)


async def test_a_starting_or_stopping_gateway_is_alive_but_not_ready_with_a_reason() -> None:
    health = Health()
    for change in (None, health.started, health.stopping):
        if change is not None:
            change()
        response = await ask(health, "/readyz")
        ready = change == health.started
        assert response.status_code == (200 if ready else 503)
        assert response.json()["status"] == ("ready" if ready else "not ready")
        assert len(response.json()["reasons"]) == (0 if ready else 1)
        assert (await ask(health, "/healthz")).status_code == 200


def test_metrics_are_text_for_prometheus_and_can_be_switched_off(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    gateway.connection("first: 1", "contoso+as=metrics")
    gateway.post("{", None)
    response = gateway.client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert 'gateway_requests_total{route="/graphql",status="200"} 2.0' in lines
    assert 'gateway_operations_total{cache="miss",operation="other",outcome="ok"} 1.0' in lines
    assert 'gateway_operations_total{cache="none",operation="other",outcome="GRAPHQL_PARSE_FAILED"} 1.0' in lines
    assert start_gateway(metrics=False).client.get("/metrics").status_code == 404


def test_unknown_paths_and_names_create_no_new_metric(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    for i in range(20):
        gateway.client.get(f"/invented-{i}")
        gateway.client.get(f"/graphiql/invented-{i}")
        gateway.post(f"query Invented{i} {{ __typename }}", None)
    text = gateway.client.get("/metrics").text
    assert "nvented" not in text
    assert 'gateway_requests_total{route="other",status="404"} 20.0' in text.splitlines()
