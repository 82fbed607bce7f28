"""Bytes in Redis or Valkey: an aiocache store that never raises, never waits long, and leaves alone what is down.

The only place that touches aiocache's Redis cache and redis-py. Their logs tell keys, their locks leak and their
``clear`` empties the whole database, so that of aiocache no more is used than reading, setting and adding.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from aiocache.backends.redis import RedisCache
from aiocache.serializers import NullSerializer
from redis.asyncio import BlockingConnectionPool, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError

from gateway.cache.breaker import Breaker
from gateway.cache_address import RedisAddress

# FAULTS.md's bound of one operation, connecting included. Redis in the same data centre takes a hundredth of it.
OPERATION_TIMEOUT_SECONDS = 0.25

# Measured: a value of 10,000 rows has 0.1 to 0.4 MB. What is far beyond was not written by a gateway, or not worth it.
MAX_VALUE_BYTES = 8_388_608

# Our choice: many more than ever have an operation under way at once, and few for a server that many processes share.
MAX_CONNECTIONS = 32

# What a probe writes: how long it is kept, and how its key begins; the rest is the process's own.
PROBE_SECONDS, PROBE_PREFIX = 1.0, "pcg:probe:"

# Stands for what is there and cannot be of ours: it can be opened with no key.
UNUSABLE = b""

T = TypeVar("T")


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


class RedisStore:
    """Bytes by key, each with an expiry. Every method fails open: None, or False, when Redis cannot be had.

    ``on_return`` runs each time that Redis is back.
    """

    def __init__(
        self,
        address: RedisAddress,
        *,
        on_error: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._cache = _cache(address)
        self._probe_key = PROBE_PREFIX + secrets.token_hex(8)
        self._on_error = on_error
        self._breaker = Breaker(self._probe, on_close=self._returned, sleep=sleep)
        self.on_return: Callable[[], Awaitable[None]] = _nothing

    @property
    def is_left_out(self) -> bool:
        """True from when Redis failed until it answers again."""
        return self._breaker.is_open

    async def start(self) -> None:
        """See whether Redis is there. If not, the gateway starts all the same: the cache is never needed."""
        try:
            await self._probe()
        except Exception as error:  # no fault of Redis' may stop the start
            self._on_error()
            self._breaker.failed(error, at_once=True)

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None] | None:
        """The value of each key, None where there is none; None altogether when Redis cannot be had.

        One round trip. What is too long, or not a string, is :data:`UNUSABLE`.
        """

        async def read() -> list[bytes | None]:
            values = cast(list[bytes | None], await self._cache.multi_get(list(keys)))
            if len(values) != len(keys):
                raise ValueError("another number of values")
            return values

        return await self._guarded(read)

    async def set(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep ``value`` for ``ttl_seconds``; False when it was not kept."""
        return bool(await self._guarded(lambda: self._cache.set(key, value, ttl=_at_least_a_moment(ttl_seconds))))

    async def add(self, key: str, value: bytes, *, ttl_seconds: float) -> bool:
        """Keep ``value`` unless there is one; False when there is, or when Redis cannot be had."""

        async def write() -> bool:
            try:
                return bool(await self._cache.add(key, value, ttl=_at_least_a_moment(ttl_seconds)))
            except ValueError:
                # aiocache's way to say that there is one.
                return False

        return bool(await self._guarded(write))

    async def set_many(self, writes: Sequence[Write]) -> bool:
        """All of ``writes`` in one round trip; False when one of them failed, or when Redis cannot be had."""
        return bool(await self._guarded(lambda: self._cache.write_many(writes)))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._breaker.aclose()
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT_SECONDS):
                await self._cache.close()
        except Exception:  # a connection that does not close in order is closed with the process
            self._on_error()

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        if self._breaker.is_open:
            return None
        try:
            async with asyncio.timeout(OPERATION_TIMEOUT_SECONDS):
                found = await work()
        except Exception as error:  # garbage makes the library raise whatever its parser stumbles over
            self._on_error()
            # A server that says that it cannot (full, a replica, closed to us) is believed at once.
            self._breaker.failed(error, at_once=isinstance(error, ResponseError))
            return None
        self._breaker.succeeded()
        return found

    async def _probe(self) -> None:
        """Write, which a server that is full, loading, a replica or closed to us refuses, and read that. May raise."""
        value = secrets.token_bytes(8)
        async with asyncio.timeout(OPERATION_TIMEOUT_SECONDS):
            # Connections from before may hold half a reply, or lead to a server that is gone.
            await self._cache.client.connection_pool.disconnect(inuse_connections=False)
            await self._cache.set(self._probe_key, value, ttl=PROBE_SECONDS)
            if await self._cache.multi_get([self._probe_key]) != [value]:
                raise ValueError("another value")

    async def _returned(self) -> None:
        await self.on_return()


async def _nothing() -> None:
    """Nothing waits for Redis to come back."""


def _at_least_a_moment(seconds: float) -> float:
    # Redis refuses an expiry of no milliseconds; aiocache takes a float as seconds with fractions, an int without.
    return max(0.001, float(seconds))


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000))


def _tls() -> dict[str, Any]:
    # One for all connections: reading the machine's authorities takes 20 ms, which the library would spend on each.
    return {"connection_class": TLSConnection, "context": ssl.create_default_context()}


def _cache(address: RedisAddress) -> Any:
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
