"""An upstream for the soak test: rows that contain their token, faults to switch on and off, and reprocessing.

A token ``NAME-ROWS`` sees that many rows; a token without a number at the end is refused. Each reprocessing raises the
version of one token's rows. ``python -m tests.soak.upstream`` prints the address.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.server.listener import Listener, run_one

FIRST_DATE = datetime(2018, 10, 14)  # the upstream's dates have no time zone

# A version adds this to each row's licenses, so that one value shows the version.
VERSION_STEP = 1_000_000

RETRY_AFTER_SECONDS = 1
SLOW_SECONDS = 0.2

FAULTS: dict[str, tuple[int, bytes]] = {
    "503": (503, b"<html>no</html>"),
    "429": (429, b""),
    "garbage": (200, b'{"Value": [{'),
}


def row_count(token: str) -> int:
    """Return the number of rows that a token sees."""
    return int(token.rpartition("-")[2])


def rows(token: str, start: int, stop: int, version: int = 0) -> list[dict[str, Any]]:
    """Return rows ``[start, stop)`` of one version of a token's data."""
    date, reverse = (FIRST_DATE + timedelta(days=version)).isoformat(), token[::-1]
    return [
        {
            "serviceCode": ("crm", "o365")[number % 2],
            "customerName": f"{reverse} {number}",
            "licensesSold": number + version * VERSION_STEP,
            "processedDateTime": date,
        }
        for number in range(start, stop)
    ]


class Upstream:
    """Answer according to ``mode`` and the version of each token."""

    def __init__(self) -> None:
        self.mode = "ok"
        self.versions: Counter[str] = Counter()

    async def set_mode(self, request: Request) -> Response:
        """Set the mode."""
        self.mode = request.path_params["mode"]
        return Response()

    async def reprocess(self, request: Request) -> Response:
        """Change the processed date and the values of all rows of a token."""
        self.versions[request.path_params["token"]] += 1
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
        if not token.rpartition("-")[2].isdigit():
            return Response(b"{}", 401, headers=ids)
        total = row_count(token)
        parameters = parse_qs(request.scope["query_string"].decode())
        skip, top = int(parameters["skip"][0]), int(parameters["top"][0])
        more = "there is more" if skip + top < total else None
        values = rows(token, skip, min(skip + top, total), self.versions[token])
        body = msgspec.json.encode({"Value": values, "@nextLink": more, "TotalCount": total})
        return Response(body, headers=ids, media_type="application/json")


def main() -> None:
    """Serve the upstream."""
    upstream = Upstream()
    app = Starlette(
        routes=[
            Route("/mode/{mode}", upstream.set_mode, methods=["POST"]),
            Route("/reprocess/{token}", upstream.reprocess, methods=["POST"]),
            Route("/partner/v1/analytics/commercial/deployment/license", upstream.license),
        ]
    )
    run_one(app, Listener("127.0.0.1", 0), lambda url: print(url, flush=True))  # noqa: T201


if __name__ == "__main__":
    main()
