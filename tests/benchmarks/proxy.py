"""Baselines without a gateway: a REST proxy over httpx, and a server with a constant response.

``python -m tests.benchmarks.proxy PORT UPSTREAM`` and ``python -m tests.benchmarks.proxy PORT constant``.
"""

from __future__ import annotations

import sys

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.benchmarks.queries import UPSTREAM_PATH

CONSTANT = b'{"data":{"ok":true}}'


def proxy(upstream: str) -> Starlette:
    """Build an app that forwards each request and passes the response bytes on."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    client = httpx.AsyncClient(base_url=upstream, timeout=60, limits=limits)

    async def rest(request: Request) -> Response:
        headers = {
            "Authorization": request.headers["authorization"],
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        response = await client.get(UPSTREAM_PATH, params=dict(request.query_params), headers=headers)
        return Response(response.content, status_code=response.status_code, media_type="application/json")

    return Starlette(routes=[Route("/rest", rest)])


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """Send the same few bytes for every request."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(CONSTANT))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": CONSTANT})


if __name__ == "__main__":
    app: ASGIApp = constant if sys.argv[2] == "constant" else proxy(sys.argv[2])
    uvicorn.run(
        app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning",
        lifespan="off",
    )  # fmt: skip
