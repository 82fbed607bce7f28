"""An upstream with little overhead: prepared bodies for any ``top`` and ``skip``, for every token.

``python -m tests.benchmarks.stub PORT ROWS [SECONDS]``: each response takes SECONDS. A query with a filter has
FILTERED_ROWS rows at most. ``GET /calls`` returns the number of answered requests.
"""

from __future__ import annotations

import asyncio
import sys
from functools import lru_cache
from itertools import islice
from typing import cast
from urllib.parse import parse_qs, urlsplit

import msgspec
import uvloop

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.datasets.license_deployment import FIELDS, MEASURES, generate

# Microsoft page, "top": the largest page, and the default.
MAX_ROWS = 10_000
# The rows of every filter.
FILTERED_ROWS = 1_000
# Pages of the largest size take 3.5 MB; all rows need 25 of them.
_CACHED_PAGES = 64
_ECHOED = (b"ms-requestid:", b"ms-correlationid:")


class Pages:
    """Bodies of one data set, encoded row by row in advance and joined on first use."""

    def __init__(self, rows: int) -> None:
        self._rows = _encoded(rows)
        self.page = lru_cache(maxsize=_CACHED_PAGES)(self._page)

    def _page(self, skip: int, top: int, is_filtered: bool) -> bytes:
        total = min(len(self._rows), FILTERED_ROWS) if is_filtered else len(self._rows)
        end = min(skip + top, total)
        link = b'"/next?skip=%d"' % end if end < total else b"null"
        rows = b",".join(self._rows[skip:end])
        return b'{"Value":[%b],"@nextLink":%b,"TotalCount":%d}' % (rows, link, total)


def _encoded(count: int) -> list[bytes]:
    account = ACCOUNTS["fabrikam"]
    date = account.processed_at(0).isoformat()
    encode = msgspec.json.Encoder().encode
    return [
        encode(
            {
                "processedDateTime": date,
                **dict(zip(FIELDS, row.texts, strict=True)),
                **dict(zip(MEASURES, row.measures, strict=True)),
            }
        )
        for row in islice(generate(account), count)
    ]


class Upstream(asyncio.Protocol):
    """One connection: requests without bodies, answered in order."""

    calls = 0

    def __init__(self, pages: Pages, seconds: float) -> None:
        self._pages = pages
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not subclass it

    def data_received(self, data: bytes) -> None:
        """Answer each whole request."""
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            self._answer(head.split(b"\r\n"))

    def _answer(self, lines: list[bytes]) -> None:
        target = urlsplit(lines[0].split(b" ")[1].decode())
        if target.path == "/calls":
            body = b"%d" % Upstream.calls
        else:
            Upstream.calls += 1
            parameters = parse_qs(target.query)
            top = min(int(parameters.get("top", [str(MAX_ROWS)])[0]), MAX_ROWS)
            body = self._pages.page(int(parameters.get("skip", ["0"])[0]), top, "filter" in parameters)
        # The gateway reuses a connection only if its ids are echoed.
        echo = b"".join(line + b"\r\n" for line in lines[1:] if line.lower().startswith(_ECHOED))
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        response = [head + echo + b"Content-Length: %d\r\n\r\n" % len(body), body]
        if self._seconds:
            asyncio.get_running_loop().call_later(self._seconds, self._transport.writelines, response)
        else:
            self._transport.writelines(response)


async def serve(port: int, rows: int, seconds: float) -> None:
    """Serve until the process ends."""
    pages = Pages(rows)
    server = await asyncio.get_running_loop().create_server(
        lambda: Upstream(pages, seconds), "127.0.0.1", port, backlog=1_024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0))
