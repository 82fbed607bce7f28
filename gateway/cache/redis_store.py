"""Bytes in Redis or Valkey, from a store that never raises, never waits long, and leaves alone what is down."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from redis.exceptions import ResponseError

from gateway.cache.breaker import Breaker
from gateway.cache.redis_client import OPERATION_TIMEOUT_SECONDS, Write, redis_cache
from gateway.config.redis_url import RedisAddress

# What a probe writes: how long it is kept, and how its key begins; the rest is the process's own.
PROBE_SECONDS, PROBE_PREFIX = 1.0, "pcg:probe:"

T = TypeVar("T")


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
        self._cache = redis_cache(address)
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

        One round trip. What is too long, or not a string, cannot be opened by anyone.
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
