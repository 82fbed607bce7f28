"""The generation of each token: what was kept under an earlier one is a miss."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.cache import generations
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import Entry, entry
from gateway.page import AccessToken

# How much longer a generation lasts than its blocks (our choice): clock differences must not revive old blocks.
EXTRA_SECONDS = 60.0

# The lifetime of a generation without blocks: as long as a slow read takes. Made-up tokens leave nothing else.
UNUSED_SECONDS = 600.0

# Refused tokens whose new generation Redis could not take yet, some 300 bytes each; many more than one process meets.
MAX_UNWRITTEN = 10_000


class TokenGenerations:
    """Token generations in Redis. ``clock`` is in seconds since 1970; nothing is kept for longer than ``keep_seconds``.

    A refused token gets a new generation. If Redis cannot store it, it is written once Redis is back. Until then this
    process serves no page of that token from Redis.
    """

    def __init__(self, store: RedisStore, keep_seconds: float, clock: Callable[[], float]) -> None:
        self._store = store
        self._generation_seconds = keep_seconds + EXTRA_SECONDS
        self._clock = clock
        # By name: until when (seconds since 1970) anything older than the refusal could still be there.
        self._unwritten: OrderedDict[str, float] = OrderedDict()
        store.on_return = self._write_all

    def place(self, token: AccessToken) -> Entry:
        """Where the token's generation is."""
        return entry(token, "token")

    def lifetime_seconds(self, token: AccessToken) -> float:
        """How long a generation of this token lasts; nothing of a token lasts longer than the token."""
        if token.expires_at is None:
            return self._generation_seconds
        return min(self._generation_seconds, token.expires_at - self._clock())

    async def current(self, token: AccessToken, seen: bytes | None) -> bytes | None:
        """Return the current generation, creating it unless ``seen`` in Redis; None if Redis cannot store it."""
        name, seconds = self.place(token).name, self.lifetime_seconds(token)
        if name in self._unwritten:
            return await self._put(name, seconds)
        if seen is not None and len(seen) == generations.GENERATION_BYTES:
            return seen
        if seen is not None:
            return await self._put(name, seconds)
        generation = generations.new_generation()
        if await self._store.add(name, generation, ttl_seconds=min(seconds, UNUSED_SECONDS)):
            return generation
        # Another process was quicker, and both are to use the same.
        values = await self._store.get_many([name])
        return values[0] if values else None

    async def replace(self, token: AccessToken) -> None:
        """Put a new generation, now or as soon as Redis takes it."""
        name, seconds = self.place(token).name, self.lifetime_seconds(token)
        if seconds <= 0:
            return
        self._unwritten[name] = self._clock() + seconds
        if len(self._unwritten) > MAX_UNWRITTEN:
            self._unwritten.popitem(last=False)
        await self._put(name, seconds)

    async def _put(self, name: str, seconds: float) -> bytes | None:
        generation = generations.new_generation()
        if not await self._store.set(name, generation, ttl_seconds=seconds):
            return None
        self._unwritten.pop(name, None)
        return generation

    async def _write_all(self) -> None:
        for name, until in list(self._unwritten.items()):
            left_seconds = until - self._clock()
            if left_seconds <= 0:
                self._unwritten.pop(name, None)
            elif await self._put(name, left_seconds) is None:
                return
