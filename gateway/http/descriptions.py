"""Documents that describe the interface: ``/schema.graphql`` and ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.http.forwarded import PREFIX_HEADER, public_prefix
from gateway.http.validators import entity_tag, make_conditional


def description_routes(sdl: str | None, openapi: Mapping[str, Any] | None, *, is_forwarded: bool) -> Iterator[Route]:
    """Yield the routes of the documents that are not None. ``is_forwarded`` is True if proxies can report a prefix."""

    async def schema(request: Request) -> Response:
        return _response(request, (sdl or "").encode(), "text/plain")

    async def exports(request: Request) -> Response:
        # A server's address is relative to the document's.
        servers = [{"url": public_prefix(request.scope) or "/"}]
        response = _response(request, msgspec.json.encode({**(openapi or {}), "servers": servers}), "application/json")
        if is_forwarded:
            response.headers["Vary"] = PREFIX_HEADER
        return response

    if sdl is not None:
        yield Route("/schema.graphql", schema)
    if openapi is not None:
        yield Route("/openapi.json", exports)


def _response(request: Request, body: bytes, media_type: str) -> Response:
    """Return a document that changes only with the release or the settings. Clients ask whether it has changed."""
    response = Response(body, headers={"Cache-Control": "no-cache"}, media_type=media_type)
    make_conditional(request.scope, response, entity_tag(body))
    return response
