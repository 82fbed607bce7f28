"""The end of a gateway that is busy, in processes of its own; and its size when ten thousand callers have come."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from gateway.cache.freshness import Freshness
from gateway.cache.pages import CachedPages
from gateway.cache.size import page_size_bytes
from gateway.config.upstream import UpstreamConfig
from gateway.errors import GatewayError
from gateway.page import AccessToken, Caller
from gateway.single_flight import SingleFlight
from gateway.upstream import BlockReader, UpstreamClient
from gateway.upstream.cooldown import Cooldowns
from tests.faults.bench import QUERY, token_upstream
from tests.faults.held import Held
from tests.gateway.running import END_SECONDS, Running, eventually, kill
from tests.gateway.upstream.scripted import envelope, question, rows
from tests.schema.http.responses import check_error

GRACE_SECONDS = 8


@dataclass
class Busy:
    """A gateway that runs as a command, and a request that it is answering."""

    running: Running
    reply: Future[httpx.Response]

    def get(self, path: str) -> httpx.Response | None:
        """A reply over a new connection, or None while there is none to be had."""
        try:
            return httpx.get(self.running.url + path, trust_env=False)
        except httpx.TransportError:
            return None

    def is_stopping(self) -> bool:
        """Whether the gateway says that it will end."""
        reply = self.get("/readyz")
        return reply is not None and reply.status_code == 503


def post(url: str, token: str) -> httpx.Response:
    """One operation over a connection of its own."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{url}/graphql", json={"query": QUERY}, headers=headers, timeout=60, trust_env=False)


@contextmanager
def busy(workers: int, grace_seconds: float, held: Held) -> Iterator[Busy]:
    """A gateway with a request that ``held`` holds."""
    with token_upstream() as upstream, ThreadPoolExecutor(1) as pool:
        upstream.script("held", held.step)
        running = Running(
            ("--port", "0", "--workers", str(workers), "--upstream", upstream.url),
            {"GATEWAY_SHUTDOWN_GRACE_SECONDS": str(grace_seconds)},
        )
        try:
            reply = pool.submit(post, running.url, "held")
            assert held.begun.wait(30)
            yield Busy(running, reply)
        finally:
            held.release()
            kill(running.process)


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_what_was_accepted_is_answered_and_whoever_comes_is_told_to_go(workers: int) -> None:
    held = Held()
    with busy(workers, GRACE_SECONDS, held) as gateway, httpx.Client(trust_env=False) as kept:
        url = gateway.running.url
        assert kept.get(f"{url}/readyz").status_code == 200
        gateway.running.process.send_signal(signal.SIGTERM)
        # Each of several workers is told for itself.
        eventually(lambda: all(gateway.is_stopping() for _ in range(10)))
        ready = gateway.get("/readyz")
        assert ready is not None
        assert ready.json() == {"status": "not ready", "reasons": ["The gateway is shutting down."]}
        late = post(url, "late")
        check_error(late, "SERVICE_UNAVAILABLE", 503)
        assert late.headers["Connection"] == "close"
        alive = gateway.get("/healthz")
        assert alive is not None
        assert alive.status_code == 200
        if workers == 1:
            assert kept.get(f"{url}/readyz").status_code == 503, "over a connection from before, too"
        assert not gateway.reply.done()
        held.release()
        assert [row["licensesSold"] for row in rows_of(gateway.reply.result(timeout=30))] == [1, 2]
        started = time.monotonic()
        _, rest = gateway.running.process.communicate(timeout=30)
        assert time.monotonic() - started < END_SECONDS
        assert gateway.running.process.returncode == 0
        assert b"Traceback" not in gateway.running.said + rest
        assert gateway.get("/readyz") is None


def rows_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The rows of a good reply."""
    found: list[dict[str, Any]] = response.json()["data"]["licenseDeployments"]["nodes"]
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_a_hanging_upstream_is_waited_for_no_longer_than_the_grace_time(workers: int) -> None:
    """Whoever waits for it is told so, and the process ends by itself."""
    held = Held()
    with busy(workers, 1, held) as gateway:
        status, said, took_seconds = gateway.running.end(signal.SIGTERM)
        check_error(gateway.reply.result(timeout=30), "SERVICE_UNAVAILABLE", 503)
    assert (status, "Traceback" in said) == (0, False), said
    assert 1 <= took_seconds < 1 + END_SECONDS
    assert held.hung_up.wait(10)


# Ten thousand tokens

TOKENS = 10_000
CACHE_BYTES = 1_000_000
# An entry of the cache takes at least a kilobyte, and a tenth of the tokens is throttled.
MOST_ENTRIES = 1_000


class Instant(httpx.AsyncBaseTransport):
    """Answers at once: of ten tokens one is refused, one throttled, one fails, and seven have rows."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = int(request.headers["Authorization"].rpartition("-")[2])
        status = {0: 401, 1: 429, 2: 500}.get(number % 10, 200)
        ids = {name: request.headers[name] for name in ("MS-RequestId", "MS-CorrelationId")}
        body = json.dumps(envelope(rows(*range(10)), 10)).encode()
        return httpx.Response(status, headers=ids, stream=httpx.ByteStream(body))


def tables(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, Sized]]:
    """Every collection that an object of the gateway's holds, directly or through others of the gateway's."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (dict, set, list, frozenset)):
        yield path, value
        members: Iterable[object] = value.values() if isinstance(value, Mapping) else value
        for member in list(members)[:3]:
            yield from tables(member, f"{path}[]", seen)
    elif type(value).__module__.startswith("gateway."):
        names = [*vars(value)] if hasattr(value, "__dict__") else []
        names += [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in names:
            yield from tables(getattr(value, name, None), f"{path}.{name}", seen)


async def test_ten_thousand_tokens_leave_no_more_than_the_bound_in_memory() -> None:
    """Whatever is kept per token has a bound or is gone when the last call has landed."""
    client = UpstreamClient(
        UpstreamConfig(
            base_url="http://upstream.invalid",
            path_prefix="/v1",
            trailing_slash=False,
            timeout_seconds=60,
            operation_timeout_seconds=120,
            max_retries=0,
            max_concurrency=4,
            max_connections=100,
            max_body_bytes=2**20,
        ),
        transport=Instant(),
    )
    cache = CachedPages(
        BlockReader(client, max_calls=60, clock=time.time, operation_timeout_seconds=120),
        max_bytes=CACHE_BYTES,
        freshness=Freshness(900, 3_600),
        first_block_rows=10,
        block_rows=10,
        size_of=page_size_bytes,
    )
    flights = SingleFlight(cache)
    outcomes: dict[str, int] = {}
    for number in range(TOKENS):
        try:
            await flights.fetch(question(), Caller(AccessToken(f"token-{number}")))
            outcome = "ok"
        except GatewayError as error:
            outcome = error.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert cache.store.used_bytes <= CACHE_BYTES
    assert outcomes == {"UNAUTHENTICATED": 1_000, "RATE_LIMITED": 1_000, "UPSTREAM_UNAVAILABLE": 1_000, "ok": 7_000}
    sizes = {path: len(table) for path, table in tables(flights, "flights", set())}
    assert len(sizes) > 8, "the search finds what there is"
    assert {path: size for path, size in sizes.items() if size > MOST_ENTRIES} == {}
    assert cache.store.evictions > 5_000
    for path in ("flights._flights", "flights._source._reads._by_token", "flights._source._refreshes._tasks"):
        assert sizes[path] == 0
    assert len(client._limiter) == 0


def test_the_search_for_tables_finds_one_that_grows() -> None:
    cooldowns = Cooldowns(time.time)
    for number in range(5_000):
        cooldowns.start(str(number).encode(), 60)
    assert [len(table) for _, table in tables(cooldowns, "cooldowns", set())] == [5_000]
