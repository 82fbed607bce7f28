"""The fault injector and the endpoint, each without the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request

from gateway.sandbox.accounts import ACCOUNTS, Account
from gateway.sandbox.dataset_endpoint import DatasetEndpoint
from gateway.sandbox.datasets.license_deployment import LICENSE_DEPLOYMENT
from gateway.sandbox.dialect import Dialect
from gateway.sandbox.fault_injector import FaultInjector
from gateway.sandbox.parameters import SandboxQuery
from gateway.sandbox.sandbox_page import NextLink, SandboxPage
from gateway.sandbox.tokens import History
from tests.gateway.sandbox.client import PATH, get
from tests.gateway.sandbox.rows import rows_of

_SAMPLE = ACCOUNTS["sample"]


@dataclass
class RecordingEndpoint:
    """An endpoint that records the accounts and dialects of its requests, and returns an empty page."""

    calls: list[tuple[Account, Dialect]] = field(default_factory=list)

    async def __call__(
        self, request: Request, account: Account, dialect_for: Callable[[SandboxQuery], Dialect]
    ) -> SandboxPage:
        query = SandboxQuery(None, (), top=10, skip=0)
        self.calls.append((account, dialect_for(query)))
        return SandboxPage([], 0, NextLink("http://sandbox", PATH, "license", query, next_skip=10))


def _request(query: str = "") -> Request:
    return Request(
        {
            "type": "http", "method": "GET", "scheme": "http", "server": ("sandbox", 80), "root_path": "",
            "path": PATH, "query_string": query.encode(), "headers": [(b"host", b"sandbox")],
        }
    )  # fmt: skip


async def _page(dialect: Dialect, query: str = "") -> SandboxPage:
    return await DatasetEndpoint(LICENSE_DEPLOYMENT, "casefold")(_request(query), _SAMPLE, lambda _: dialect)


async def _injected(token: str, query: str = "top=10") -> tuple[httpx.Response, list[tuple[Account, Dialect]]]:
    endpoint = RecordingEndpoint()
    app = FaultInjector(LICENSE_DEPLOYMENT, endpoint, lambda _: History())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        return await get(client, token, query), endpoint.calls


async def test_the_endpoint_works_without_the_injector() -> None:
    page = await _page(Dialect(), "top=1")
    assert (page.rows, page.total, page.has_next) == (rows_of("sample")[:1], 2, True)


async def test_the_endpoint_follows_its_dialect() -> None:
    page = await _page(Dialect(first_rows=1))
    assert (len(page.rows), page.total) == (1, 1)


async def test_the_injector_passes_on_the_account_and_the_dialect() -> None:
    response, [call] = await _injected("sample+rows=7+cap=3+bom")
    assert response.content.startswith(b"\xef\xbb\xbf")
    assert call == (_SAMPLE, Dialect(first_rows=7, max_rows=3))


async def test_a_token_without_faults_gets_the_standard_dialect() -> None:
    response, [call] = await _injected("sample")
    assert response.json() == {"Value": [], "@nextLink": None, "TotalCount": 0}
    assert call == (_SAMPLE, Dialect())


async def test_a_token_with_an_unknown_fault_never_reaches_the_endpoint() -> None:
    response, calls = await _injected("sample+unknown")
    assert response.status_code == 400
    assert calls == []


@pytest.mark.parametrize("switch", ["status=503", "mfa", "throttle=60", "prefix=partner", "redirect=302"])
async def test_refused_requests_never_reach_the_endpoint(switch: str) -> None:
    response, requests = await _injected(f"contoso+{switch}")
    assert response.status_code >= 300
    assert requests == []
