"""The gateway that an export asks: one inside this process, before the configured upstream, or a running one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.cli.export.pages import Post, Reply
from gateway.composition import build
from gateway.config.settings import Settings
from gateway.observability.logging import configure_logging
from gateway.page import AccessToken
from gateway.upstream.embedded import EmbeddedTransport

# Where the gateway inside this process is; no name has this ending (RFC 6761).
OWN = "http://gateway.invalid"

# Longer than a gateway takes for one operation by default, 120 s, so that its own error comes first.
READ_SECONDS = 150.0
CONNECT_SECONDS = 10.0

# Rows that may be asked for at once; what is sensible is the user's choice.
MAX_PAGE_ROWS = 100_000

# What a walk needs that never turns back: a few blocks of 10,000 rows.
CACHE_BYTES = 33_554_432


@asynccontextmanager
async def own_gateway(settings: Settings, token: AccessToken) -> AsyncIterator[Post]:
    """A gateway for this export alone. What ``settings`` allow callers is no matter: whoever runs this set them."""
    configure_logging(settings.log_format, "error")
    changes = {
        "cache_memory_bytes": CACHE_BYTES,
        "max_first_rows": MAX_PAGE_ROWS,
        "trusted_documents": None,
        "graphiql": False,
        "metrics": False,
    }
    app = build(settings.model_copy(update=changes))
    async with app.router.lifespan_context(app), EmbeddedTransport(_with_state(app)) as transport:
        yield _posting(transport, token, OWN)


@asynccontextmanager
async def running_gateway(origin: str, token: AccessToken) -> AsyncIterator[Post]:
    """The gateway at ``origin``. Neither environment nor redirect leads the token elsewhere."""
    transport = httpx.AsyncHTTPTransport(verify=httpx.create_ssl_context(trust_env=False), trust_env=False)
    async with transport:
        yield _posting(transport, token, origin)


def _posting(transport: httpx.AsyncBaseTransport, token: AccessToken, origin: str) -> Post:
    """What sends requests, without the library's client around the transport.

    Each of its replies is in a cycle, so that megabytes of pages would wait for the collector; and as for the upstream,
    there are to be no cookies, no redirects and no log of URLs.
    """
    headers = {
        "Authorization": f"Bearer {token.reveal()}",
        "Accept": "application/json",
        "Accept-Encoding": "zstd, gzip" if origin != OWN else "identity",
        "Content-Type": "application/json",
    }
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS).as_dict()

    async def post(body: Mapping[str, Any]) -> Reply:
        request = httpx.Request(
            "POST",
            f"{origin}/graphql",
            headers=headers,
            content=msgspec.json.encode(body),
            extensions={"timeout": timeout},
        )
        response = await transport.handle_async_request(request)
        try:
            return Reply(response.status_code, await response.aread())
        finally:
            await response.aclose()

    return post


def _with_state(app: ASGIApp) -> ASGIApp:
    """``app`` with a state for each request, as a server gives it."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {}}, receive, send)

    return served
