"""Redis for the tests of the cache."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A server shared by all tests that leave it running."""
    with redis_server() as server:
        yield server


@pytest.fixture
def redis(shared_redis: RedisServer) -> RedisServer:
    """An empty running server."""
    shared_redis.client.config_resetstat()
    shared_redis.client.flushall()
    return shared_redis
