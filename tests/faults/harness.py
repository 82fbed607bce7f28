"""Test harness: a gateway in front of a scripted upstream, both on real sockets. Each test uses its own tokens."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from starlette.types import ASGIApp

from gateway.server.graceful_shutdown import Server
from gateway.server.listener import Listener, url_of
from tests.gateway.upstream.scripted import GOOD, Scripted, Step, UpstreamRequest
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import Gateway

QUERY = "{ licenseDeployments(first: 50) { totalCount nodes { serviceCode licensesSold processedDateTime } } }"
HERE: list[str | int] = ["licenseDeployments"]
PATH = b"/partner/v1/analytics/commercial/deployment/license"

# Text that the scripted upstream puts everywhere, and that must never reach a caller.
LEAK = "quoted-from-upstream"

# The timeout of one upstream attempt. Several faults take two attempts.
ATTEMPT_SECONDS = 0.4


class TokenUpstream(Scripted):
    """Answer each token's requests by that token's steps; the last step answers all later requests."""

    def __init__(self) -> None:
        super().__init__()
        self._scripts: dict[str, list[Step]] = {}

    def script(self, token: str, *steps: Step) -> None:
        """Set the steps that answer ``token`` from now on."""
        self._scripts[token] = list(steps)

    def step_for(self, request: UpstreamRequest) -> Step:
        """Return the next step of the request's token."""
        steps = self._scripts.get(token_of(request), [GOOD])
        return steps.pop(0) if len(steps) > 1 else steps[0]

    def requests_of(self, token: str) -> list[UpstreamRequest]:
        """Return all requests so far with ``token``."""
        return [request for request in self.requests if token_of(request) == token]


def token_of(request: UpstreamRequest) -> str:
    """Return the token of a request."""
    return request.header("Authorization").removeprefix("Bearer ")


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def listening(accept: Accept) -> Iterator[str]:
    """Run a server on loopback in a separate thread; yield its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(accept, "127.0.0.1", 0, limit=2**20, backlog=1_024)

    async def stop() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def token_upstream() -> Iterator[TokenUpstream]:
    """Run a scripted upstream on loopback."""
    upstream = TokenUpstream()
    with listening(upstream.accept) as upstream.url:
        yield upstream


@contextmanager
def running_bystander() -> Iterator[tuple[str, Bystander]]:
    """Run a bystander; yield its address and itself."""
    bystander = Bystander()
    with listening(bystander.accept) as url:
        yield url, bystander


@contextmanager
def production_server(app: ASGIApp, **changes: Any) -> Iterator[str]:
    """Serve ``app`` in a thread with the server of the commands; ``changes`` override its configuration."""
    listener = Listener("127.0.0.1", 0, 1)
    bound = listener.bind()
    config = listener.config(app)
    for name, value in changes.items():
        setattr(config, name, value)
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    try:
        yield url_of(bound)
    finally:
        server.should_exit = True
        thread.join()


def address_of(url: str) -> tuple[str, int]:
    """Return the host and port of an address, for a plain socket."""
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@dataclass
class Harness:
    """One gateway in front of one scripted upstream."""

    gateway: Gateway
    upstream: TokenUpstream

    def token(self, *steps: Step) -> str:
        """Return a new token whose requests are answered by ``steps``."""
        token = f"token-{next(_numbers)}"
        self.upstream.script(token, *steps)
        return token

    def post(self, token: str, query: str = QUERY) -> httpx.Response:
        """Send one operation."""
        return self.gateway.post(query, token)

    def connection(self, token: str, query: str = QUERY) -> dict[str, Any]:
        """Return the connection and the warnings of an operation that must succeed."""
        result = self.post(token, query).json()
        assert "errors" not in result, result
        connection: dict[str, Any] = result["data"]["licenseDeployments"]
        return {**connection, "warnings": result.get("extensions", {}).get("warnings", [])}

    def sold(self, token: str, query: str = QUERY) -> list[int | None]:
        """Return licensesSold of each row, of an operation that must succeed."""
        return [row["licensesSold"] for row in self.connection(token, query)["nodes"]]

    def calls(self, token: str) -> int:
        """Return the number of upstream requests with ``token``."""
        return len(self.upstream.requests_of(token))


_numbers = itertools.count(1)


def check_fault(harness: Harness, step: Step, code: str, status: int = 200, calls: int = 1) -> dict[str, Any]:
    """Check the rules that hold for every fault, and return the extensions of the error that ``step`` causes.

    The response has an error code and no text of the upstream, other tokens are served meanwhile, and the failure is
    not cached.
    """
    token = harness.token(step)
    with ThreadPoolExecutor(1) as pool:
        faulty = pool.submit(harness.post, token)
        assert harness.sold(harness.token(GOOD)) == [1, 2], "another token is served meanwhile"
        response = faulty.result()
    extensions = check_error(response, code, status, path=HERE)
    assert response.json()["data"] == {"licenseDeployments": None}
    check_no_leak(harness, response, token)
    assert harness.calls(token) == calls, (harness.calls(token), response.text)
    if code != "RATE_LIMITED":
        harness.upstream.script(token, GOOD)
        assert harness.sold(token) == [1, 2], "a failure is not cached"
        assert harness.calls(token) == calls + 1
    return extensions


def check_no_leak(harness: Harness, response: httpx.Response, token: str) -> None:
    """Check that a response, headers included, omits the upstream's text and address and the token."""
    whole = f"{response.headers}\n{response.text}"
    for word in (LEAK, harness.upstream.url.removeprefix("http://"), "/analytics", token):
        assert word not in whole
    assert "set-cookie" not in response.headers


def paged_rows(count: int, *, cap: int | None = None, link: Any = "more", total: Any = "true", extra: int = 0) -> Step:
    """Answer like an upstream of ``count`` rows with at most ``cap`` rows per page.

    ``link`` is the next link wherever more rows follow. ``total`` is on every page; "true" stands for the true total,
    "absent" for none. Each page has ``extra`` rows beyond the requested ones.
    """

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        skip, top = request.number("skip"), request.number("top")
        end = min(count, skip + min(top, cap or top) + extra)
        page = [
            {"serviceCode": "crm", "licensesSold": number, "processedDateTime": "2018-10-14T00:00:00"}
            for number in range(skip, end)
        ]
        body: dict[str, Any] = {"Value": page, "@nextLink": link if end < count else None}
        if total != "absent":
            body["TotalCount"] = count if total == "true" else total
        ids = "".join(f"{name}: {request.header(name)}\r\n" for name in ("MS-RequestId", "MS-CorrelationId"))
        data = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 200 OK\r\n{ids}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return True

    return step


class Bystander:
    """A server that must never get a connection."""

    def __init__(self) -> None:
        self.connections = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count the connection and close it."""
        self.connections += 1
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
