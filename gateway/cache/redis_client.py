"""Redis or Valkey as an aiocache store of bytes.

Only this module uses aiocache's Redis cache, and only it and redis_causes use redis-py. Their logs reveal keys, their
locks leak, and their ``clear`` empties the whole database. So the gateway only reads, sets and adds values.
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

from gateway.cache.sealing import Entry
from gateway.config.redis_url import RedisAddress, TLSFiles
from gateway.network.trust import private_context

# FAULTS.md: the limit of one operation, connecting included. Redis in the same data center takes a hundredth of it.
OPERATION_TIMEOUT_SECONDS = 0.25

# Measured: 10,000 rows take 0.1 to 0.4 MB. Much larger values come from other programs, or are not worth storing.
MAX_VALUE_BYTES = 8_388_608

# Our choice: more than a process uses at once, and few enough for a server shared by many processes.
MAX_CONNECTIONS = 32

# Replaces a value that no gateway can have stored. Decrypting it fails with every key.
UNUSABLE = b""


class TLSConnection(SSLConnection):
    """redis-py's TLS connection with an existing ``context``."""

    def __init__(self, *, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = context


@dataclass(frozen=True, slots=True)
class Write:
    """A value to store for ``ttl_seconds``; a value of None only renews the expiry of the stored one."""

    entry: Entry
    value: bytes | None
    ttl_seconds: float


class BoundedRedisCache(RedisCache):  # type: ignore[misc]  # aiocache ships no types
    """aiocache's Redis cache for bytes that reads at most MAX_VALUE_BYTES + 1 of a value."""

    async def read_many(self, keys: Sequence[str], *, default: Write | None = None) -> tuple[list[bytes | None], float]:
        """Return the values of ``keys``, and the server's time in seconds since 1970.

        First stores ``default`` unless its entry exists.
        """
        pipeline = self.client.pipeline(transaction=False)
        if default is not None:
            pipeline.set(default.entry.name, default.value, px=_milliseconds(default.ttl_seconds), nx=True)
        pipeline.time()
        for key in keys:
            pipeline.getrange(key, 0, MAX_VALUE_BYTES)
        results = await pipeline.execute(raise_on_error=False)
        if default is not None and isinstance(failure := results.pop(0), Exception):
            raise failure
        time, *results = results
        if len(results) != len(keys):
            raise ValueError("unexpected number of values")
        return [_value(result) for result in results], _seconds(time)

    async def write_many(self, writes: Sequence[Write]) -> bool:
        """Store all ``writes``, each with its own expiry."""
        pipeline = self.client.pipeline(transaction=False)
        for write in writes:
            if write.value is None:
                pipeline.pexpire(write.entry.name, _milliseconds(write.ttl_seconds))
            else:
                pipeline.psetex(write.entry.name, _milliseconds(write.ttl_seconds), write.value)
        return all(await pipeline.execute())

    async def _close(self, *_: Any, **__: Any) -> None:
        await self.client.aclose()


def _value(result: Any) -> bytes | None:
    # A foreign list or set under this key: treat it as a damaged value.
    if isinstance(result, ResponseError) and str(result).startswith("WRONGTYPE"):
        return UNUSABLE
    if isinstance(result, Exception):
        raise result
    if not isinstance(result, bytes):
        raise TypeError("unexpected type of value")
    # GETRANGE returns an empty string for a missing key.
    if not result:
        return None
    return result if len(result) <= MAX_VALUE_BYTES else UNUSABLE


def _seconds(time: Any) -> float:
    """Return the result of TIME in seconds."""
    if isinstance(time, Exception):
        raise time
    seconds, microseconds = time
    return float(seconds + microseconds / 1_000_000)


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000))


def _tls(files: TLSFiles) -> dict[str, Any]:
    # All connections share one context. Otherwise the library would load the system's certificates for each, in 20 ms.
    context = private_context(files.authority, files.certificate, files.key)
    return {"connection_class": TLSConnection, "context": context}


def redis_cache(address: RedisAddress, timeout_seconds: float) -> Any:
    """Return the cache of a server, not connected yet. Its methods raise an exception for every failure."""
    return BoundedRedisCache(
        serializer=NullSerializer(encoding=None),
        # RedisStore limits every operation, connecting included.
        timeout=None,
        endpoint=address.host,
        port=address.port,
        db=address.database,
        password=address.password,
        pool_max_size=MAX_CONNECTIONS,
        create_connection_timeout=timeout_seconds,
        connection_pool_class=BlockingConnectionPool,
        connection_pool_kwargs={
            **(_tls(address.tls_files) if address.tls else {}),
            "username": address.username,
            "timeout": timeout_seconds,
            "socket_timeout": timeout_seconds,
            "retry": Retry(NoBackoff(), 0),
            # RESP2 without client information saves a round trip per connection.
            "protocol": 2,
            "driver_info": None,
        },
    )
