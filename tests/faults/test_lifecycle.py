"""Shutdown of a busy gateway process, and memory use after ten thousand tokens."""

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

from gateway.access_token import AccessToken
from gateway.cache.pages import CachedPages
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.config.groups import CacheConfig, UpstreamConfig
from gateway.errors import GatewayError
from gateway.scheduling.accepted_tokens import MAX_OWNERS
from gateway.single_flight import SingleFlight
from gateway.upstream import BlockReader, UpstreamClient
from gateway.upstream.cooldown import Cooldowns
from tests.faults.harness import QUERY, token_upstream
from tests.faults.held_request import HeldRequest
from tests.gateway.running import END_SECONDS, Running, eventually, kill
from tests.gateway.upstream.scripted import envelope, page_query, rows
from tests.schema.http.responses import check_error

GRACE_SECONDS = 8
# The site of a page that may use the gateway.
ORIGIN = "https://dashboard.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


@dataclass
class Busy:
    """A gateway process, and the response to a request that it is answering."""

    running: Running
    response: Future[httpx.Response]

    def get(self, path: str) -> httpx.Response | None:
        """Send a GET over a new connection; None if the connection fails."""
        try:
            return httpx.get(self.running.url + path, trust_env=False)
        except httpx.TransportError:
            return None

    def is_stopping(self) -> bool:
        """Return whether /readyz shows that the gateway is shutting down."""
        response = self.get("/readyz")
        return response is not None and response.status_code == 503


def post(url: str, token: str) -> httpx.Response:
    """Send one operation over a new connection, as a page of ORIGIN does."""
    headers = {"Authorization": f"Bearer {token}", "Origin": ORIGIN}
    return httpx.post(f"{url}/graphql", json={"query": QUERY}, headers=headers, timeout=60, trust_env=False)


@contextmanager
def busy(workers: int, grace_seconds: float, held_request: HeldRequest) -> Iterator[Busy]:
    """Run a gateway that waits for ``held_request``."""
    with token_upstream() as upstream, ThreadPoolExecutor(1) as pool:
        upstream.script("held_request", held_request.step)
        running = Running(
            ("--port", "0", "--workers", str(workers), "--upstream", upstream.url),
            {"GATEWAY_SHUTDOWN_GRACE_SECONDS": str(grace_seconds), "GATEWAY_CORS_ORIGINS": ORIGIN},
        )
        try:
            response = pool.submit(post, running.url, "held_request")
            assert held_request.started.wait(30)
            yield Busy(running, response)
        finally:
            held_request.release()
            kill(running.process)


def check_refused_readably(response: httpx.Response) -> None:
    """Check for the refusal of a gateway that shuts down. Pages see only a network error unless it names their site."""
    check_error(response, "SERVICE_UNAVAILABLE", 503)
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert response.headers["Retry-After"] == "1"
    assert "Retry-After" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["Vary"] == "Origin"


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_accepted_requests_are_answered_and_new_ones_get_503(workers: int) -> None:
    held_request = HeldRequest()
    with busy(workers, GRACE_SECONDS, held_request) as gateway, httpx.Client(trust_env=False) as keep_alive:
        url = gateway.running.url
        assert keep_alive.get(f"{url}/readyz").status_code == 200
        gateway.running.process.send_signal(signal.SIGTERM)
        # Each worker receives its signal separately.
        eventually(lambda: all(gateway.is_stopping() for _ in range(10)))
        ready = gateway.get("/readyz")
        assert ready is not None
        assert ready.json() == {"status": "not ready", "reasons": ["The gateway is shutting down."]}
        preflight = httpx.options(f"{url}/graphql", headers=PREFLIGHT, trust_env=False)
        assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        probe = httpx.options(f"{url}/", trust_env=False)
        assert probe.status_code == 503, "a proxy's health check"
        late = post(url, "late")
        check_refused_readably(late)
        assert late.headers["Connection"] == "close"
        alive = gateway.get("/healthz")
        assert alive is not None
        assert alive.status_code == 200
        if workers == 1:
            assert keep_alive.get(f"{url}/readyz").status_code == 503, "also over a connection from before SIGTERM"
        assert not gateway.response.done()
        held_request.release()
        assert [row["licensesSold"] for row in rows_of(gateway.response.result(timeout=30))] == [1, 2]
        started = time.monotonic()
        _, rest = gateway.running.process.communicate(timeout=30)
        assert time.monotonic() - started < END_SECONDS
        assert gateway.running.process.returncode == 0
        assert b"Traceback" not in gateway.running.said + rest
        assert gateway.get("/readyz") is None


def rows_of(response: httpx.Response) -> list[dict[str, Any]]:
    """Return the rows of a good response."""
    nodes: list[dict[str, Any]] = response.json()["data"]["licenseDeployments"]["nodes"]
    return nodes


@pytest.mark.parametrize("workers", [1, 2])
def test_after_sigterm_the_grace_time_limits_the_wait_for_a_hanging_upstream(workers: int) -> None:
    """Waiting callers get an error, and the process ends by itself."""
    held_request = HeldRequest()
    with busy(workers, 1, held_request) as gateway:
        status, output, took_seconds = gateway.running.end(signal.SIGTERM)
        check_refused_readably(gateway.response.result(timeout=30))
    assert (status, "Traceback" in output) == (0, False), output
    assert 1 <= took_seconds < 1 + END_SECONDS
    assert held_request.disconnected.wait(10)


# Ten thousand tokens

TOKENS = 10_000
CACHE_BYTES = 1_000_000
# A cache entry takes at least a kilobyte; a tenth of the tokens is throttled.
MOST_ENTRIES = 1_000


class InstantUpstream(httpx.AsyncBaseTransport):
    """Answer at once: of ten tokens one is refused, one throttled, one fails and seven have rows."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        number = int(request.headers["Authorization"].rpartition("-")[2])
        status = {0: 401, 1: 429, 2: 500}.get(number % 10, 200)
        ids = {name: request.headers[name] for name in ("MS-RequestId", "MS-CorrelationId")}
        body = json.dumps(envelope(rows(*range(10)), 10)).encode()
        return httpx.Response(status, headers=ids, stream=httpx.ByteStream(body))


def collections_in(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, Sized]]:
    """Yield every collection that a gateway object holds, directly or through other gateway objects."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (dict, set, list, frozenset)):
        yield path, value
        members: Iterable[object] = value.values() if isinstance(value, Mapping) else value
        for member in list(members)[:3]:
            yield from collections_in(member, f"{path}[]", seen)
    elif type(value).__module__.startswith("gateway."):
        names = [*vars(value)] if hasattr(value, "__dict__") else []
        names += [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        for name in names:
            yield from collections_in(getattr(value, name, None), f"{path}.{name}", seen)


async def test_memory_stays_within_the_bound_after_ten_thousand_tokens() -> None:
    """Everything stored per token is bounded, or removed when the last call has ended."""
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
        transport=InstantUpstream(),
    )
    cache = CachedPages(
        BlockReader(client, max_calls=60, operation_timeout_seconds=120),
        CacheConfig(CACHE_BYTES, 900, 3_600, first_block_rows=10, block_rows=10),
    )
    flights = SingleFlight(cache)
    outcomes: dict[str, int] = {}
    for number in range(TOKENS):
        try:
            await flights.fetch(page_query(), Caller(AccessToken(f"token-{number}")))
            outcome = "ok"
        except GatewayError as error:
            outcome = error.code
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
        assert cache.store.used_bytes <= CACHE_BYTES
    assert outcomes == {"UNAUTHENTICATED": 1_000, "RATE_LIMITED": 1_000, "UPSTREAM_UNAVAILABLE": 1_000, "ok": 7_000}
    sizes = {path: len(collection) for path, collection in collections_in(flights, "flights", set())}
    assert len(sizes) > 8, "the search missed some collections"
    # These are locators alone, of 7,000 accepted tokens.
    owners = [sizes.pop(path) for path in list(sizes) if path.endswith("accepted._owners")]
    assert max(owners) == MAX_OWNERS
    assert {path: size for path, size in sizes.items() if size > MOST_ENTRIES} == {}
    assert cache.store.evictions > 5_000
    for path in ("flights._flights", "flights._source.reads._by_token", "flights._source._refreshes._tasks"):
        assert sizes[path] == 0
    assert len(client.limiter) == 0


def test_the_search_for_collections_finds_one_that_grows() -> None:
    cooldowns = Cooldowns(SYSTEM_CLOCK)
    for number in range(5_000):
        cooldowns.start(str(number).encode(), 60)
    assert [len(collection) for _, collection in collections_in(cooldowns, "cooldowns", set())] == [5_000]
