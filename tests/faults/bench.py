"""A gateway and an upstream that misbehaves by a script, each on a socket of its own; tokens tell the tests apart."""

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
from tests.gateway.upstream.scripted import GOOD, Asked, Scripted, Step
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import Gateway

QUERY = "{ licenseDeployments(first: 50) { totalCount nodes { serviceCode licensesSold processedDateTime } } }"
HERE: list[str | int] = ["licenseDeployments"]
PATH = b"/partner/v1/analytics/commercial/deployment/license"

# What the scripted upstream writes wherever text may stand, and no caller may ever read.
LEAK = "quoted-from-upstream"

# One upstream attempt; several faults take two of them.
ATTEMPT_SECONDS = 0.4


class TokenUpstream(Scripted):
    """Answers each token's requests by that token's own steps; the last one answers all that follow."""

    def __init__(self) -> None:
        super().__init__()
        self._scripts: dict[str, list[Step]] = {}

    def script(self, token: str, *steps: Step) -> None:
        """From now on answer ``token`` so."""
        self._scripts[token] = list(steps)

    def step_for(self, asked: Asked) -> Step:
        """The next step of the request's token."""
        steps = self._scripts.get(token_of(asked), [GOOD])
        return steps.pop(0) if len(steps) > 1 else steps[0]

    def asked_by(self, token: str) -> list[Asked]:
        """Every request so far with ``token``."""
        return [asked for asked in self.asked if token_of(asked) == token]


def token_of(asked: Asked) -> str:
    """The token that a request carried."""
    return asked.header("Authorization").removeprefix("Bearer ")


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextmanager
def listening(accept: Accept) -> Iterator[str]:
    """A server on loopback, in a thread of its own; gives its address."""
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
    """A scripted upstream on loopback."""
    upstream = TokenUpstream()
    with listening(upstream.accept) as upstream.url:
        yield upstream


@contextmanager
def served_bystander() -> Iterator[tuple[str, Bystander]]:
    """A bystander with its address."""
    bystander = Bystander()
    with listening(bystander.accept) as url:
        yield url, bystander


@contextmanager
def served_as_run(app: ASGIApp, **changes: Any) -> Iterator[str]:
    """Serve ``app`` in a thread with the server as commands run it, but for ``changes`` of its configuration."""
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
    """Where a bare socket connects to."""
    host, port = url.removeprefix("http://").split(":")
    return host, int(port)


@dataclass
class Bench:
    """One gateway in front of one scripted upstream."""

    gateway: Gateway
    upstream: TokenUpstream

    def token(self, *steps: Step) -> str:
        """A token that nobody had before, answered by ``steps``."""
        token = f"token-{next(_numbers)}"
        self.upstream.script(token, *steps)
        return token

    def post(self, token: str, query: str = QUERY) -> httpx.Response:
        """One operation."""
        return self.gateway.post(query, token)

    def connection(self, token: str, query: str = QUERY) -> dict[str, Any]:
        """The connection of an operation that must succeed."""
        response = self.post(token, query)
        reply = response.json()
        assert "errors" not in reply, reply
        found: dict[str, Any] = reply["data"]["licenseDeployments"]
        return {**found, "warnings": reply.get("extensions", {}).get("warnings", [])}

    def sold(self, token: str, query: str = QUERY) -> list[int | None]:
        """What ``rows`` numbered, of an operation that must succeed."""
        return [row["licensesSold"] for row in self.connection(token, query)["nodes"]]

    def calls(self, token: str) -> int:
        """How often the upstream was asked with ``token``."""
        return len(self.upstream.asked_by(token))


_numbers = itertools.count(1)


def check_fault(bench: Bench, step: Step, code: str, status: int = 200, calls: int = 1) -> dict[str, Any]:
    """The extensions of the one error that ``step`` gives, once all that holds under every fault has been checked.

    The reply is coded and tells nothing of the upstream; others are answered meanwhile; nothing of it is kept.
    """
    token = bench.token(step)
    with ThreadPoolExecutor(1) as pool:
        faulty = pool.submit(bench.post, token)
        assert bench.sold(bench.token(GOOD)) == [1, 2], "a neighbour is answered"
        response = faulty.result()
    extensions = check_error(response, code, status, path=HERE)
    assert response.json()["data"] == {"licenseDeployments": None}
    check_silence(bench, response, token)
    assert bench.calls(token) == calls, (bench.calls(token), response.text)
    if code != "RATE_LIMITED":
        bench.upstream.script(token, GOOD)
        assert bench.sold(token) == [1, 2], "a failure is not kept"
        assert bench.calls(token) == calls + 1
    return extensions


def check_silence(bench: Bench, response: httpx.Response, token: str) -> None:
    """Nothing of the upstream's words, address or token is in a reply, headers included."""
    whole = f"{response.headers}\n{response.text}"
    for word in (LEAK, bench.upstream.url.removeprefix("http://"), "/analytics", token):
        assert word not in whole
    assert "set-cookie" not in response.headers


def numbered(count: int, *, cap: int | None = None, link: Any = "more", total: Any = "true", extra: int = 0) -> Step:
    """Answers like an upstream of ``count`` rows with at most ``cap`` a page.

    ``link`` stands wherever more rows follow, and ``total`` on every page; "true" is the true one. A page has ``extra``
    rows more than asked for.
    """

    async def step(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        skip, top = asked.number("skip"), asked.number("top")
        end = min(count, skip + min(top, cap or top) + extra)
        found = [
            {"serviceCode": "crm", "licensesSold": number, "processedDateTime": "2018-10-14T00:00:00"}
            for number in range(skip, end)
        ]
        body: dict[str, Any] = {"Value": found, "@nextLink": link if end < count else None}
        if total != "absent":
            body["TotalCount"] = count if total == "true" else total
        ids = "".join(f"{name}: {asked.header(name)}\r\n" for name in ("MS-RequestId", "MS-CorrelationId"))
        data = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 200 OK\r\n{ids}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        return True

    return step


class Bystander:
    """A server that nobody should ever speak to."""

    def __init__(self) -> None:
        self.connections = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count, and hang up."""
        self.connections += 1
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
