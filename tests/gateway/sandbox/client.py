"""Requests to the sandbox."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

import httpx

PATH: Final = "/v1/analytics/commercial/deployment/license"


async def get(client: httpx.AsyncClient, token: str, query: str = "top=10", path: str = PATH) -> httpx.Response:
    """Send a GET request with a raw query string."""
    return await client.get(f"{path}?{query}" if query else path, headers={"Authorization": f"Bearer {token}"})


async def get_json(client: httpx.AsyncClient, token: str, query: str = "top=10", path: str = PATH) -> Any:
    """Return the parsed body of a response with status 200."""
    response = await get(client, token, query, path)
    assert response.status_code == 200
    return response.json()


async def query(
    client: httpx.AsyncClient, token: str = "contoso", path: str = PATH, **parameters: Any
) -> httpx.Response:
    """Send a GET request with percent-encoded parameters."""
    pairs = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in parameters.items())
    return await get(client, token, pairs, path)
