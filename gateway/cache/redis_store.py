"""A store of bytes in Redis or Valkey that never raises, never waits long, and avoids a failed server."""

from __future__ import annotations

import asyncio
import contextvars
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from redis.exceptions import ResponseError

from gateway.access_token import AccessToken
from gateway.cache.redis_causes import redis_cause
from gateway.cache.redis_client import OPERATION_TIMEOUT_SECONDS, Write, redis_cache
from gateway.cache.sealing import Entry, entry
from gateway.cache.server_clock import ServerClock
from gateway.clocks.clock import SYSTEM_CLOCK, Clock
from gateway.config.redis_url import RedisAddress

# The expiry of a probe's value, and the prefix of its key; the rest of the key is random per process.
PROBE_SECONDS, PROBE_PREFIX = 1.0, "pcg:probe:"

# A single failure may be a pause of this process. After two in a row, do not wait for the service again.
FAILURES_TO_OPEN = 2

# Our choice: one probe per second, so that the service is used again within a second of its recovery.
PAUSE_SECONDS = 1.0

T = TypeVar("T")


class RedisStore:
    """Bytes by entry, each with an expiry. Every method returns None or False if Redis is unavailable.

    ``upstream`` identifies the gateway's upstream; gateways with another upstream have other entries. ``on_return``
    runs each time Redis becomes available again.
    """

    def __init__(
        self,
        address: RedisAddress,
        upstream: str,
        *,
        clock: Clock = SYSTEM_CLOCK,
        on_error: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        timeout_seconds: float = OPERATION_TIMEOUT_SECONDS,
    ) -> None:
        self.clock = clock
        self.server_clock = ServerClock(clock)
        self._upstream = upstream
        self._timeout_seconds = timeout_seconds
        self._cache = redis_cache(address, timeout_seconds)
        self._probe_key = PROBE_PREFIX + secrets.token_hex(8)
        self._on_error = on_error
        self._breaker = Breaker(self._probe, address.place, on_close=self._returned, sleep=sleep)
        self.on_return: Callable[[], Awaitable[None]] | None = None

    @property
    def is_left_out(self) -> bool:
        """True from the failure of Redis until it answers again."""
        return self._breaker.is_open

    async def start(self) -> None:
        """Check whether Redis is available. The gateway starts even if it is not: the cache is optional."""
        try:
            await self._probe()
        except Exception as error:  # no failure of Redis may prevent the start
            self._on_error()
            self._breaker.failed(error, at_once=True)

    def entry(self, token: AccessToken, kind: str, about: bytes = b"") -> Entry:
        """Return the entry of ``kind`` for a token and the subject ``about``."""
        return entry(self._upstream, token, kind, about)

    async def get_many(self, entries: Sequence[Entry], *, default: Write | None = None) -> list[bytes | None] | None:
        """Return the value of each entry, None if it is missing; None instead of the list if Redis is unavailable.

        Makes one round trip, which first stores ``default`` unless its entry exists, and also reads the server's clock.
        Values that are too long, or not strings, are replaced by UNUSABLE.
        """

        async def read() -> list[bytes | None]:
            moment = self.clock.monotonic()
            values, server_seconds = await self._cache.read_many([entry.name for entry in entries], default=default)
            self._adjust_clock(server_seconds, moment)
            return list(values)

        return await self._guarded(read)

    async def set(self, entry: Entry, value: bytes, *, ttl_seconds: float) -> bool:
        """Store ``value`` for ``ttl_seconds``; return False if that failed."""
        return bool(await self._guarded(lambda: self._cache.set(entry.name, value, ttl=_positive(ttl_seconds))))

    async def set_many(self, writes: Sequence[Write]) -> bool:
        """Make all ``writes`` in one round trip; return False if one failed or Redis is unavailable."""
        return bool(await self._guarded(lambda: self._cache.write_many(writes)))

    async def aclose(self) -> None:
        await self._breaker.aclose()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._cache.close()
        except Exception:  # the process closes the connections when it ends
            self._on_error()

    def _adjust_clock(self, server_seconds: float, moment: float) -> None:
        self.server_clock.adjust(server_seconds, moment)

    async def _guarded(self, work: Callable[[], Awaitable[T]]) -> T | None:
        if self._breaker.is_open:
            return None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                result = await work()
        except Exception as error:  # on malformed data, the library's parser may raise any exception
            self._on_error()
            # An error from the server itself (out of memory, replica, no permission) opens the breaker at once.
            self._breaker.failed(error, at_once=isinstance(error, ResponseError))
            return None
        self._breaker.succeeded()
        return result

    async def _probe(self) -> None:
        """Write a value and read it back. Writing fails on a server that is full, loading, a replica or read-only."""
        value = secrets.token_bytes(8)
        async with asyncio.timeout(self._timeout_seconds):
            # Idle connections may hold a partial response or lead to a server that no longer exists.
            await self._cache.client.connection_pool.disconnect(inuse_connections=False)
            await self._cache.set(self._probe_key, value, ttl=PROBE_SECONDS)
            values, _ = await self._cache.read_many([self._probe_key])
            if values != [value]:
                raise ValueError("unexpected value")

    async def _returned(self) -> None:
        if self.on_return is not None:
            await self.on_return()


def _positive(seconds: float) -> float:
    # Redis rejects an expiry of 0 ms. aiocache sends a float in milliseconds, but an int in whole seconds.
    return max(0.001, float(seconds))


class Breaker:
    """Opens after consecutive failures. While open, it repeats ``probe``, and closes once that raises no exception.

    The probe is not a caller's request, so callers never wait for a failed service. ``on_close`` runs at each closing.
    The log names the service by ``place``.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        place: str,
        *,
        on_close: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._place = place
        self._on_close = on_close
        self._sleep = sleep
        self._failures = 0
        self._recovery: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("gateway")

    @property
    def is_open(self) -> bool:
        """True while the service must not be used."""
        return self._recovery is not None

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, error: Exception, *, at_once: bool = False) -> None:
        """Record a failed operation. Open after FAILURES_TO_OPEN in a row, or ``at_once``."""
        self._failures += 1
        if self._recovery is None and (at_once or self._failures >= FAILURES_TO_OPEN):
            # Log only the class name: a library's message may contain a key, an address or part of a value.
            cause = redis_cause(error)
            facts = {"reason": type(error).__name__, "host": self._place, "cause": cause.text}
            if cause.remedy:
                facts["remedy"] = cause.remedy
            self._log.warning("redis is not used until it answers again", **facts)
            self._recovery = asyncio.create_task(self._recover(), context=contextvars.Context())

    async def aclose(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            await self._sleep(PAUSE_SECONDS)
            try:
                await self._probe()
            except Exception:  # noqa: S112  # any failure means that the service is still down
                continue
            break
        self._failures = 0
        self._recovery = None
        self._log.info("redis is used again")
        await self._on_close()
