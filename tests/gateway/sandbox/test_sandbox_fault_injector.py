"""The fault injector and the endpoint, each without the other."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.requests import Request

from gateway.sandbox.datasets.license_deployment import LICENSE_DEPLOYMENT
from gateway.sandbox.dialect import STANDARD, Dialect
from gateway.sandbox.endpoint import DatasetEndpoint
from gateway.sandbox.fault_injector import FaultInjector
from gateway.sandbox.links import NextLink
from gateway.sandbox.page import SandboxPage
from gateway.sandbox.responses import Refusal
from gateway.sandbox.rows import rows_of
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import Tokens
from tests.gateway.sandbox.client import PATH, get

_ENDPOINT = DatasetEndpoint(LICENSE_DEPLOYMENT, Store(LICENSE_DEPLOYMENT), "casefold")


class RecordingEndpoint:
    """An endpoint that records its requests and returns an empty page."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> SandboxPage:
        self.requests.append(request)
        return SandboxPage([], 0, NextLink("http://sandbox", PATH, "license", (), top=10, skip=0, next_skip=10))


def _request(token: str, query: str = "", **state: Any) -> Request:
    headers = [(b"host", b"sandbox"), (b"authorization", f"Bearer {token}".encode())]
    return Request(
        {
            "type": "http", "method": "GET", "scheme": "http", "server": ("sandbox", 80), "root_path": "",
            "path": PATH, "query_string": query.encode(), "headers": headers, "state": state,
        }
    )  # fmt: skip


async def _injected(token: str, query: str = "top=10") -> tuple[httpx.Response, list[Request]]:
    endpoint = RecordingEndpoint()
    app = FaultInjector(LICENSE_DEPLOYMENT, endpoint, Tokens())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        return await get(client, token, query), endpoint.requests


async def test_the_endpoint_works_without_the_injector() -> None:
    page = await _ENDPOINT(_request("sample", "top=1"))
    assert (page.rows, page.total, page.has_next) == (rows_of("sample")[:1], 2, True)


async def test_the_endpoint_accepts_no_token_with_faults() -> None:
    with pytest.raises(Refusal) as refused:
        await _ENDPOINT(_request("sample+bom"))
    assert refused.value.status == 401


async def test_the_endpoint_reads_its_dialect_from_the_state() -> None:
    page = await _ENDPOINT(_request("sample", dialect=Dialect(first_rows=1)))
    assert (len(page.rows), page.total) == (1, 1)


async def test_the_injector_forwards_the_account_and_the_dialect() -> None:
    response, [request] = await _injected("contoso+rows=7+cap=3+bom")
    assert response.content.startswith(b"\xef\xbb\xbf")
    assert request.headers.getlist("authorization") == ["Bearer contoso"]
    assert request.state.dialect == Dialect(first_rows=7, max_rows=3)


async def test_a_token_without_faults_gets_the_standard_dialect() -> None:
    response, [request] = await _injected("contoso")
    assert response.json() == {"Value": [], "@nextLink": None, "TotalCount": 0}
    assert request.state.dialect is STANDARD


@pytest.mark.parametrize("switch", ["status=503", "mfa", "throttle=60", "prefix=partner", "redirect=302"])
async def test_refused_requests_never_reach_the_endpoint(switch: str) -> None:
    response, requests = await _injected(f"contoso+{switch}")
    assert response.status_code >= 300
    assert requests == []
