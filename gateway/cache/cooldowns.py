"""Cool-downs of throttled tokens in Redis, sealed per token and respected by all processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway.access_token import AccessToken
from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import entry

# CONTRACT 6: the longest cool-down. It also limits the effect of another process's wrong clock.
MAX_COOLDOWN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RedisCooldowns:
    """The cool-downs shared by all processes of one Redis. ``clock`` is in seconds since 1970.

    Without Redis, each process learns of a cool-down only from its own upstream responses.
    """

    store: RedisStore
    clock: Callable[[], float] = time.time

    async def until(self, token: AccessToken) -> float | None:
        """Return the end of the token's cool-down (seconds since 1970), or None if unknown. Makes one round trip."""
        cooldown_entry = entry(token, "cool-down")
        values = await self.store.get_many([cooldown_entry.name])
        until = cooldown_entry.open_value(values[0], float) if values and values[0] else None
        return None if until is None else min(until, self.clock() + MAX_COOLDOWN_SECONDS)

    async def publish(self, token: AccessToken, until: float) -> None:
        """Share the end of a cool-down, unless a later one is shared already."""
        if until <= (await self.until(token) or 0):
            return
        cooldown_entry = entry(token, "cool-down")
        value = cooldown_entry.seal_value(until)
        await self.store.set(cooldown_entry.name, value, ttl_seconds=until - self.clock())
