"""An upstream on a real socket that sends scripted responses, raw bytes included, and records its requests."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.access_token import AccessToken
from gateway.caller import Caller
from gateway.clocks import clock as clocks
from gateway.config.groups import UpstreamConfig
from gateway.dataset import Dataset, Measure
from gateway.query import PageQuery
from gateway.upstream import UpstreamAttempt, UpstreamClient

CORRELATION_ID = "9cbdf63c-2608-4ad8-b0a9-abae27d859d9"
SECRET = "a-secret-token"


class Row(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The Microsoft page's ten fields."""

    service_code: str | None = None
    service_name: str | None = None
    channel: str | None = None
    customer_tenant_id: str | None = None
    customer_name: str | None = None
    product_id: str | None = None
    product_name: str | None = None
    licenses_deployed: Measure | None = None
    licenses_sold: Measure | None = None
    processed_date_time: str | None = None


DATASET = Dataset(
    name="licenseDeployments",
    path="analytics/commercial/deployment/license",
    row=Row,
    dimensions=(
        "serviceCode",
        "serviceName",
        "channel",
        "customerTenantId",
        "customerName",
        "productId",
        "productName",
    ),
    measures=("licensesDeployed", "licensesSold"),
    date="processedDateTime",
    service="serviceCode",
)


@dataclass(frozen=True)
class UpstreamRequest:
    """A request as received: its bytes, and the number of its connection."""

    raw: bytes
    connection: int

    def header(self, name: str) -> str:
        """Return a header's value."""
        match = re.search(rf"^{name}: (.*?)\r$", self.raw.decode(), re.IGNORECASE | re.MULTILINE)
        assert match, name
        return match[1]

    def number(self, name: str) -> int:
        """Return a number in the query string."""
        match = re.search(rf"[?&]{name}=(\d+)".encode(), self.raw)
        assert match, name
        return int(match[1])


# A step writes a response; returning False closes the connection after it.
Step = Callable[[UpstreamRequest, asyncio.StreamWriter], Awaitable[bool]]


class Scripted:
    """Handles each request with the next step; the last step handles all further requests."""

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.requests: list[UpstreamRequest] = []
        self.connections = 0
        self.open_connections = 0
        self.url = ""
        self.all_closed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        self.open_connections += 1
        self.all_closed.clear()
        try:
            await self._serve(reader, writer, self.connections)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.open_connections -= 1
            if not self.open_connections:
                self.all_closed.set()
            writer.close()

    def step_for(self, request: UpstreamRequest) -> Step:
        """Return the step for the latest request."""
        return self._steps[min(len(self.requests), len(self._steps)) - 1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        is_open = True
        while is_open:
            request = UpstreamRequest(await reader.readuntil(b"\r\n\r\n"), number)
            self.requests.append(request)
            response = asyncio.ensure_future(self.step_for(request)(request, writer))
            disconnect = asyncio.ensure_future(reader.read(1))
            await asyncio.wait({response, disconnect}, return_when=asyncio.FIRST_COMPLETED)
            if not response.done():
                response.cancel()
                raise ConnectionError
            disconnect.cancel()
            await asyncio.wait({disconnect})
            is_open = response.result()
            await writer.drain()


@asynccontextmanager
async def upstream(*steps: Step) -> AsyncIterator[Scripted]:
    """Run a scripted upstream on loopback."""
    scripted = Scripted(*steps)
    server = await asyncio.start_server(scripted.accept, "127.0.0.1", 0, limit=2**20)
    scripted.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield scripted
    finally:
        server.close()
        await scripted.all_closed.wait() if scripted.open_connections else None


def echo(request: UpstreamRequest) -> dict[str, str]:
    """Return the two ids of a request as the upstream echoes them."""
    return {name: request.header(name) for name in ("MS-RequestId", "MS-CorrelationId")}


def http(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a complete HTTP response."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n").encode() + body


def respond(
    body: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None, ids: Mapping[str, str] | None = None
) -> Step:
    """Return a step that sends ``body``, as JSON unless it is bytes, with the request's ids or ``ids``."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(status, {**(echo(request) if ids is None else ids), **(headers or {})}, data))
        return True

    return step


def raw(data: bytes, *, keep: bool = False) -> Step:
    """Return a step that sends raw bytes, and closes the connection unless ``keep`` is set."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(data)
        return keep

    return step


def reset() -> Step:
    """Return a step that resets the connection."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        writer.transport.abort()
        return False

    return step


def hang(before: bytes = b"") -> Step:
    """Return a step that sends ``before`` and then waits until the client closes the connection."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(before)
        await asyncio.Event().wait()
        return False

    return step


def drip(data: bytes) -> Step:
    """Return a step that sends ``data`` slowly, byte by byte, until the client closes the connection."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        for number in range(len(data)):
            writer.write(data[number : number + 1])
            await asyncio.sleep(0.01)
        return False

    return step


def rows(*numbers: int, service: str = "crm", date: str = "2018-10-14T00:00:00") -> list[dict[str, Any]]:
    """Return upstream rows identified by ``numbers``."""
    return [{"serviceCode": service, "licensesSold": number, "processedDateTime": date} for number in numbers]


def envelope(items: Sequence[Any], total: Any = None, link: Any = None) -> dict[str, Any]:
    """Return the Microsoft page's envelope."""
    return {"Value": items, "@nextLink": link, "TotalCount": total}


GOOD = respond(envelope(rows(1, 2), total=2))


class Clock(clocks.Clock):
    """Clocks that only ``now`` and ``sleep`` advance."""

    def __init__(self, now: float = 1_540_420_638.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.slept.append(seconds)
        self.now += seconds


def client(url: str, **changes: Any) -> aclosing[UpstreamClient]:
    """Return a client with short timeouts and no pauses between attempts."""
    clock = changes.pop("clock", None) or Clock()
    bounds: dict[str, Any] = {"timeout_seconds": 5.0, "operation_timeout_seconds": 20.0, "max_body_bytes": 2**20}
    bounds |= {name: changes.pop(name) for name in UpstreamConfig.__dataclass_fields__ if name in changes}
    runtime: dict[str, Any] = {"clock": clock, "sleep": clock.sleep, "random": lambda: 0.5}
    return aclosing(UpstreamClient(UpstreamConfig(url, **bounds), **{**runtime, **changes}))


def caller(secret: str = SECRET, **changes: Any) -> Caller:
    """Return a caller."""
    return Caller(AccessToken(secret), **{"correlation_id": CORRELATION_ID, **changes})


def page_query(**changes: Any) -> PageQuery:
    """Return the query for the first ten rows."""
    return PageQuery(DATASET, **{"top": 10, **changes})


def sold(page_rows: Sequence[Any]) -> list[int | None]:
    """Return licensesSold of each row, which identifies the row."""
    return [row.licenses_sold for row in page_rows]


class RecordingObserver:
    """An observer that records the client's calls."""

    def __init__(self) -> None:
        self.calls: list[UpstreamAttempt] = []

    def __call__(self, call: UpstreamAttempt) -> None:
        self.calls.append(call)

    @property
    def outcomes(self) -> list[str]:
        """Return the outcome of each attempt."""
        return [call.outcome for call in self.calls]
