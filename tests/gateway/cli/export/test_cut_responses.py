"""Responses that a proxy or an old server ends too early, over real sockets: compressed or not, of any framing."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import httpx
import pytest

from gateway.cli.export.dataset_export import DatasetExport
from gateway.cli.export.exit_codes import ExportFailed, ExportStopped
from gateway.cli.export.retries import RETRY_SECONDS
from gateway.http.zstandard_codec import zstd
from tests.faults.harness import listening
from tests.gateway.cli.export.recording import Recording

PATH = "/export/rows.csv"
ROWS = [b"%d,%d\r\n" % (number, number**5) for number in range(5_000)]
HEADER = b"a,b\r\n"
WHOLE = HEADER + b"".join(ROWS)

CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda data: data,
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": lambda data: zstd.compress(data, 1),
}

# The share of the body that arrives before its end.
CUTS = {"empty": 0.0, "a few bytes": 0.0001, "half": 0.5, "most": 0.9999}


class CuttingServer:
    """Serves the rows after the request's offset. The first ``cuts`` end early, as if they were whole."""

    def __init__(self, encoding: str, *, chunked: bool, total: bool) -> None:
        self.encoding = encoding
        self.chunked = chunked
        self.headers = "X-Total-Count: 5000\r\n" if total else ""
        self.cuts: list[float] = []
        self.offsets: list[int] = []

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, and close."""
        with suppress(ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"Accept-Encoding: zstd, gzip;q=0.5\r\n" in head
            match = re.search(rb"[?&]offset=(\d+)", head)
            offset = int(match[1]) if match else 0
            self.offsets.append(offset)
            rest = b"".join(ROWS[offset:]) if offset else WHOLE
            body = CODINGS.get(self.encoding, gzip.compress)(rest)
            if self.cuts:
                body = body[: int(len(body) * self.cuts.pop(0))]
            writer.write(self._head() + (self._chunks(body) if self.chunked else body))
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    def _head(self) -> bytes:
        framing = "Transfer-Encoding: chunked" if self.chunked else "Connection: close"
        lines = f"X-Snapshot: s1\r\n{self.headers}Content-Encoding: {self.encoding}\r\n{framing}\r\n\r\n"
        return f"HTTP/1.1 200 OK\r\n{lines}".encode()

    def _chunks(self, body: bytes) -> bytes:
        return (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"


class SocketExport(Recording):
    """Exports from a server."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self.origin = origin

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await httpx.AsyncHTTPTransport(trust_env=False).handle_async_request(request)

    def write(self) -> None:
        """Export all rows, in steps of 1,000."""
        self.export(DatasetExport(PATH, {}, "csv", 1_000))


@pytest.fixture(params=list(CODINGS))
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["chunks", "closing"])
def chunked(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def server(encoding: str, chunked: bool) -> CuttingServer:
    return CuttingServer(encoding, chunked=chunked, total=True)


@pytest.fixture
def export(server: CuttingServer) -> Iterator[SocketExport]:
    with listening(server.accept) as url:
        yield SocketExport(url)


def test_a_whole_response_is_written(server: CuttingServer, export: SocketExport) -> None:
    export.write()
    assert export.written == WHOLE
    assert export.waits == []


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_cut_response_is_continued(server: CuttingServer, export: SocketExport, cut: float) -> None:
    server.cuts = [cut]
    export.write()
    assert export.written == WHOLE
    assert export.reasons == ["The gateway broke the response off"]
    assert server.offsets[0] == 0
    # The rows before the cut are kept; a zstd block of all rows has none before its end.
    assert cut < 0.5 or server.encoding == "zstd" or server.offsets[1] > 2_000


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_a_cut_response_is_noticed_without_a_total(encoding: str, chunked: bool, cut: float) -> None:
    server = CuttingServer(encoding, chunked=chunked, total=False)
    server.cuts = [cut]
    with listening(server.accept) as url:
        export = SocketExport(url)
        export.write()
    assert export.written == WHOLE
    assert len(server.offsets) == 2


def test_an_export_whose_responses_are_always_empty_stops(server: CuttingServer, export: SocketExport) -> None:
    server.cuts = [0.0] * 10
    with pytest.raises(ExportStopped):
        export.write()
    assert export.written == b""
    assert export.waits == [*RETRY_SECONDS]


@pytest.mark.parametrize("encoding", ["compress", "gzip, gzip"])
def test_a_coding_that_was_not_requested_ends_the_export(server: CuttingServer, export: SocketExport) -> None:
    with pytest.raises(ExportFailed):
        export.write()
