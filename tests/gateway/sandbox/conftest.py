"""One sandbox per test module, so that rows are generated once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette

from gateway.sandbox import create_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Starlette:
    """A sandbox shared by a module; tests that depend on a token's history use separate tokens."""
    return create_sandbox()


@pytest.fixture
async def client(sandbox: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared sandbox, in process."""
    async with _client(sandbox) as client:
        yield client


@asynccontextmanager
async def _client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        yield client
