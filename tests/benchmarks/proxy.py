"""What there is without a gateway: a REST proxy over httpx, and the least that a server can do, a constant reply.

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

from tests.benchmarks.questions import UPSTREAM_PATH

CONSTANT = b'{"data":{"ok":true}}'


def proxy(upstream: str) -> Starlette:
    """Fetches what it is asked for and passes the bytes on."""
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    client = httpx.AsyncClient(base_url=upstream, timeout=60, limits=limits)

    async def rest(request: Request) -> Response:
        headers = {
            "Authorization": request.headers["authorization"],
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
        }
        reply = await client.get(UPSTREAM_PATH, params=dict(request.query_params), headers=headers)
        return Response(reply.content, status_code=reply.status_code, media_type="application/json")

    return Starlette(routes=[Route("/rest", rest)])


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """The same few bytes, whatever is asked."""
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
