"""A real Redis on a free port of loopback, for tests."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import redis

from gateway.cache.redis_store import PROBE_PREFIX
from tests.ports import free_port

START_SECONDS = 20.0


@dataclass
class RedisServer:
    """A server, its address, and a client to inspect it."""

    port: int
    # Any, because the library's types also cover clients that decode strings.
    client: Any
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the value for ``GATEWAY_CACHE_URL``."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start an empty server."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += options
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        limit = time.monotonic() + START_SECONDS
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self.process.poll() is None, f"redis-server ended; is port {self.port} taken?"
                assert time.monotonic() < limit, "redis-server does not listen"
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """Kill the server; its contents are lost."""
        self.client.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def contents(self) -> dict[bytes, bytes]:
        """Return all keys and values except probes, which are temporary."""
        keys = [key for key in self.client.keys("*") if not key.startswith(PROBE_PREFIX.encode())]
        return {key: self.client.get(key) or b"" for key in keys}

    def put(self, contents: dict[bytes, bytes]) -> None:
        """Replace everything with ``contents``."""
        self.client.flushall()
        for key, value in contents.items():
            self.client.set(key, value, ex=100)


@contextmanager
def redis_server(*options: str) -> Iterator[RedisServer]:
    """Run a server until the end of the block. Without redis-server the test is skipped; in CI it fails."""
    if shutil.which("redis-server") is None:
        assert not os.environ.get("CI"), "redis-server is not installed"
        pytest.skip("redis-server is not installed")
    port = free_port()
    server = RedisServer(port, redis.Redis(port=port))
    server.start(*options)
    try:
        yield server
    finally:
        server.stop()


async def until(holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true, for effects of other tasks and servers."""
    async with asyncio.timeout(START_SECONDS):
        while not holds():  # noqa: ASYNC110  # they set no event
            await asyncio.sleep(0.005)
