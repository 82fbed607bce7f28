"""Real servers for tests: the gateway and the sandbox upstream, each on its own socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from gateway.__main__ import build
from gateway.cache import memory, packer
from gateway.config.environment import read_settings
from gateway.sandbox import SandboxCall, create_sandbox
from gateway.server.http_protocol import BoundedHttpProtocol
from gateway.server.listener import MAX_HEAD_BYTES

# With fewer idle connections than threads, httpcore may close one that it has just assigned to another thread.
UNLIMITED = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest test first, so that other processes run the rest meanwhile."""
    items.sort(key=lambda item: item.get_closest_marker("soak") is None)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve ``app`` on a free loopback port in a separate thread; yield its address."""
    bound = socket.create_server(("127.0.0.1", 0), backlog=1_024)
    config = uvicorn.Config(
        app,
        http=BoundedHttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="on",
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


@dataclass
class Upstream:
    """A sandbox upstream on a socket, with a record of its requests."""

    url: str
    app: Starlette

    @property
    def calls(self) -> list[SandboxCall]:
        """Return all requests so far."""
        return list(self.app.state.calls)

    def calls_of(self, token: str) -> list[SandboxCall]:
        """Return all requests so far with ``token``."""
        return [call for call in self.calls if call.token == token]


@dataclass
class Gateway:
    """A gateway on a socket."""

    url: str
    client: httpx.Client

    def post(
        self, query: str, token: str | None = "contoso", variables: dict[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        """POST one operation."""
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.client.post("/graphql", json={"query": query, "variables": variables}, headers=headers)

    def ask(self, query: str, token: str | None = "contoso", **variables: Any) -> dict[str, Any]:
        """Return the JSON response to one operation."""
        result: dict[str, Any] = self.post(query, token, variables).json()
        return result

    def connection(
        self,
        arguments: str = "",
        token: str = "contoso",
        fields: str = "totalCount",
        dataset: str = "licenseDeployments",
    ) -> dict[str, Any]:
        """Return the connection of one query that must succeed."""
        result = self.ask(f"{{ {dataset}{f'({arguments})' if arguments else ''} {{ {fields} }} }}", token)
        assert "errors" not in result, result["errors"]
        connection: dict[str, Any] = result["data"][dataset]
        return connection


StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    """A sandbox upstream that all tests share; each test uses its own token (``contoso+as=…``)."""
    app = create_sandbox()
    with served(app) as url:
        yield Upstream(url, app)


@pytest.fixture
def start_gateway(upstream: Upstream) -> Iterator[StartGateway]:
    """Start gateways in front of ``upstream``; keyword arguments are settings by field name."""
    with ExitStack() as stack:

        def start(**settings: Any) -> Gateway:
            app = build(read_settings({}, {"upstream_url": upstream.url, **settings}))
            url = stack.enter_context(served(app))
            client = httpx.Client(base_url=url, timeout=60, trust_env=False, limits=UNLIMITED)
            return Gateway(url, stack.enter_context(client))

        yield start


@pytest.fixture
def no_hot_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gateways of this test pack every block at once, however small, so that each hit must be unpacked."""
    monkeypatch.setattr(memory, "PACKING_SHARE", 0.0)
    monkeypatch.setattr(memory, "HOT_SHARE", 0.0)
    monkeypatch.setattr(memory, "SMALL_BYTES", 0)
    monkeypatch.setattr(packer, "is_smaller", lambda packed, record: True)


@pytest.fixture(params=["hot", "packed"])
def both_tiers(request: pytest.FixtureRequest) -> str:
    """Run a test twice: with blocks that stay as they are, and with blocks that are packed at once."""
    tier: str = request.param
    if tier == "packed":
        request.getfixturevalue("no_hot_tier")
    return tier


@pytest.fixture(scope="session")
def gateway(upstream: Upstream) -> Iterator[Gateway]:
    """One shared gateway with default settings, for tests that do not depend on the state of its cache."""
    app = build(read_settings({}, {"upstream_url": upstream.url}))
    with served(app) as url, httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        yield Gateway(url, client)
