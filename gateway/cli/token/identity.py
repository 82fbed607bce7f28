"""HTTP client for the identity service, with the interface that MSAL expects.

MSAL does not validate responses. Each response passed to it is a JSON object, limited in time and size.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from gateway.cli.token.entra_errors import sign_in_error
from gateway.cli.token.sign_in_endings import IdentityServiceFailed, IdentityServiceUnreachable
from gateway.network.causes import cause_of
from gateway.network.proxies import proxy_for, route_of
from gateway.network.trust import trust_store
from gateway.network.tunnels import transport_to

# Entra responds within a second or two; MSAL itself sets no limit.
RESPONSE_SECONDS = 20.0
# Tokens with many groups take about 20 kB, the metadata about 2 kB.
MAX_RESPONSE_BYTES = 1_048_576

# Printable, because messages show the host.
_ADDRESS = re.compile(r"https://[!-~]+")


class IdentityService:
    """The ``http_client`` of an MSAL application.

    Respects HTTPS_PROXY, and trusts the gateway's certificate authorities. Raises IdentityServiceUnreachable if a later
    attempt may succeed, else IdentityServiceFailed.
    """

    def __init__(self, response_seconds: float = RESPONSE_SECONDS) -> None:
        self._response_seconds = response_seconds
        self._trust = trust_store()

    def get(self, url: str, *, params: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        """Fetch metadata. Raises SignInEnded for an error response, because MSAL's own error would omit the reason."""
        response = self._request("GET", url, params=params, headers=headers)
        if response.status_code != 200:
            raise sign_in_error(response.json())
        return response

    def post(self, url: str, *, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> httpx.Response:
        """Post a form and return the response, successful or not."""
        return self._request("POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Do nothing: no connection stays open between requests."""

    def _request(self, method: str, url: str, **parts: Any) -> httpx.Response:
        if not _ADDRESS.fullmatch(url):
            raise IdentityServiceFailed("The identity service names an address that is not https. Check --authority.")
        host = urlsplit(url).netloc
        try:
            status, body = asyncio.run(self._exchange(method, url, **parts))
        except TimeoutError:
            raise IdentityServiceUnreachable(f"{host} does not respond. Try again later.") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ImportError, ValueError) as error:
            raise _failure(url, error) from None
        if status == 429 or status >= 500:
            raise IdentityServiceUnreachable(f"{host} is not available (status {status}). Try again later.")
        return httpx.Response(status, json=_document(host, status, body))

    async def _exchange(self, method: str, url: str, *, headers: Any, **parts: Any) -> tuple[int, bytes]:
        body = bytearray()
        # A compressed response could expand to any size.
        headers = {**(headers or {}), "Accept-Encoding": "identity"}
        transport = transport_to(self._trust, httpx.Limits(), proxy_for(url, os.environ))
        # A total limit: httpx's own timeouts only limit the time between two bytes.
        async with (
            asyncio.timeout(self._response_seconds),
            httpx.AsyncClient(transport=transport, timeout=None) as client,  # noqa: S113  # the limit above
            client.stream(method, url, headers=headers, **parts) as response,
        ):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > MAX_RESPONSE_BYTES:
                    break
        return response.status_code, bytes(body[:MAX_RESPONSE_BYTES])


def _failure(url: str, error: Exception) -> IdentityServiceFailed:
    host, cause = route_of(url, proxy_for(url, os.environ)), cause_of(error)
    if cause.is_permanent or isinstance(error, httpx.ProxyError):
        return IdentityServiceFailed(cause.unreachable(host))
    remedy = cause.remedy or "Check the network, HTTPS_PROXY and --authority."
    return IdentityServiceUnreachable(replace(cause, remedy=remedy).unreachable(host))


def _document(host: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        # RFC 6749, 5.2: an error response has a named error.
        if status == 200 or (400 <= status <= 499 and isinstance(document.get("error"), str)):
            return document
    except (ValueError, RecursionError):
        pass
    raise IdentityServiceFailed(
        f"{host} does not respond like an identity service (status {status}). Check --authority, and whether a proxy"
        " responds in its place."
    )
