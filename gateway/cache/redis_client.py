"""Redis or Valkey as an aiocache store of bytes.

The only place that touches aiocache's Redis cache and redis-py. Their logs tell keys, their locks leak and their
``clear`` empties the whole database, so that of aiocache no more is used than reading, setting and adding.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiocache.backends.redis import RedisCache
from aiocache.serializers import NullSerializer
from redis.asyncio import BlockingConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from gateway.config.redis_url import RedisAddress

# FAULTS.md's bound of one operation, connecting included. Redis in the same data centre takes a hundredth of it.
OPERATION_TIMEOUT_SECONDS = 0.25

# Measured: a value of 10,000 rows has 0.1 to 0.4 MB. What is far beyond was not written by a gateway, or not worth it.
MAX_VALUE_BYTES = 8_388_608

# Our choice: many more than ever have an operation under way at once, and few for a server that many processes share.
MAX_CONNECTIONS = 32

# Stands for what is there and cannot be of ours: it can be opened with no key.
UNUSABLE = b""


class TLSConnection(SSLConnection):
    """redis-py's encrypted connection, with a ``context`` that was made before."""

    def __init__(self, *, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


@dataclass(frozen=True, slots=True)
class Write:
    """A value to keep under a key for a while; None to keep what is there for so long."""

    key: str
    value: bytes | None
    ttl_seconds: float


class BoundedRedisCache(RedisCache):  # type: ignore[misc]  # aiocache ships no types
    """aiocache's Redis cache for bytes, which reads no more of a value than could be one of ours."""

    async def _multi_get(self, keys: Sequence[str], encoding: str | None = None, _conn: Any = None) -> list[Any]:
        pipeline = self.client.pipeline(transaction=False)
        for key in keys:
            pipeline.getrange(key, 0, MAX_VALUE_BYTES)
        replies = await pipeline.execute(raise_on_error=False)
        return [_value(reply) for reply in replies]

    async def write_many(self, writes: Sequence[Write]) -> bool:
        """Like ``multi_set``, with an expiry for each key."""
        pipeline = self.client.pipeline(transaction=False)
        for write in writes:
            if write.value is None:
                pipeline.pexpire(write.key, _milliseconds(write.ttl_seconds))
            else:
                pipeline.psetex(write.key, _milliseconds(write.ttl_seconds), write.value)
        return all(await pipeline.execute())

    async def _close(self, *_: Any, **__: Any) -> None:
        await self.client.aclose()


def _value(reply: Any) -> bytes | None:
    # Somebody else's list or set under our key: as good as a damaged value.
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return UNUSABLE
    if isinstance(reply, Exception):
        raise reply
    if not isinstance(reply, bytes):
        raise TypeError("a reply of another kind")
    # GETRANGE gives nothing for what is not there.
    if not reply:
        return None
    return reply if len(reply) <= MAX_VALUE_BYTES else UNUSABLE


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000))


def _tls() -> dict[str, Any]:
    # One for all connections: reading the machine's authorities takes 20 ms, which the library would spend on each.
    return {"connection_class": TLSConnection, "context": ssl.create_default_context()}


def redis_cache(address: RedisAddress) -> Any:
    """The server's cache; nothing is connected yet, and every failure is an exception."""
    return BoundedRedisCache(
        serializer=NullSerializer(encoding=None),
        # Ours is around every operation, so that connecting counts, too.
        timeout=None,
        endpoint=address.host,
        port=address.port,
        db=address.database,
        password=address.password,
        pool_max_size=MAX_CONNECTIONS,
        create_connection_timeout=OPERATION_TIMEOUT_SECONDS,
        connection_pool_class=BlockingConnectionPool,
        connection_pool_kwargs={
            **(_tls() if address.tls else {}),
            "username": address.username,
            "timeout": OPERATION_TIMEOUT_SECONDS,
            "socket_timeout": OPERATION_TIMEOUT_SECONDS,
            "retry": Retry(NoBackoff(), 0),
            # The plain protocol, and nothing said about us: one round trip less for each connection.
            "protocol": 2,
            "driver_info": None,
        },
    )
