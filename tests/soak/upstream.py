"""An upstream for the soak test: rows that contain their token, and faults that can be switched on and off.

A token ``NAME-ROWS`` sees that many rows; a token without a number at the end is refused.
``python -m tests.soak.upstream`` prints the address.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.server.listener import Listener, run_one

DATE = "2018-10-14T00:00:00"
RETRY_AFTER_SECONDS = 1
SLOW_SECONDS = 0.2

FAULTS: dict[str, tuple[int, bytes]] = {
    "503": (503, b"<html>no</html>"),
    "429": (429, b""),
    "garbage": (200, b'{"Value": [{'),
}


def row(token: str, number: int) -> dict[str, Any]:
    """Return one row of a token."""
    return {
        "serviceCode": ("crm", "o365")[number % 2],
        "customerName": f"{token[::-1]} {number}",
        "licensesSold": number,
        "processedDateTime": DATE,
    }


class Upstream:
    """Answer according to ``mode``."""

    def __init__(self) -> None:
        self.mode = "ok"

    async def set_mode(self, request: Request) -> Response:
        """Set the mode."""
        self.mode = request.path_params["mode"]
        return Response()

    async def license(self, request: Request) -> Response:
        """Serve the report."""
        ids = {name: request.headers[name] for name in ("MS-RequestId", "MS-CorrelationId")}
        if self.mode == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if self.mode in FAULTS:
            status, body = FAULTS[self.mode]
            return Response(body, status, headers=ids | {"Retry-After": str(RETRY_AFTER_SECONDS)})
        token = request.headers["Authorization"].removeprefix("Bearer ")
        total = token.rpartition("-")[2]
        if not total.isdigit():
            return Response(b"{}", 401, headers=ids)
        parameters = parse_qs(request.scope["query_string"].decode())
        skip, top = int(parameters["skip"][0]), int(parameters["top"][0])
        rows = [row(token, number) for number in range(skip, min(skip + top, int(total)))]
        more = "there is more" if skip + top < int(total) else None
        body = msgspec.json.encode({"Value": rows, "@nextLink": more, "TotalCount": int(total)})
        return Response(body, headers=ids, media_type="application/json")


def main() -> None:
    """Serve the upstream."""
    upstream = Upstream()
    app = Starlette(
        routes=[
            Route("/mode/{mode}", upstream.set_mode, methods=["POST"]),
            Route("/partner/v1/analytics/commercial/deployment/license", upstream.license),
        ]
    )
    run_one(app, Listener("127.0.0.1", 0), lambda url: print(url, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
