"""Cool-downs of throttled tokens in Redis, sealed per token and respected by all processes."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.access_token import AccessToken
from gateway.cache.redis_store import RedisStore

# CONTRACT 6: the longest cool-down. It also limits the effect of a wrong clock of the server.
MAX_COOLDOWN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RedisCooldowns:
    """The cool-downs shared by all processes of one Redis and one upstream.

    In Redis, they end by the server's clock; here, by the monotonic clock. Without Redis, each process learns of a
    cool-down only from its own upstream responses.
    """

    store: RedisStore

    async def until(self, token: AccessToken) -> float | None:
        """Return the end of the token's cool-down, or None if unknown. Makes one round trip."""
        cooldown_entry = self.store.entry(token, "cool-down")
        values = await self.store.get_many([cooldown_entry])
        until = cooldown_entry.open_value(values[0], float) if values and values[0] else None
        if until is None:
            return None
        return min(self.store.server_clock.moment_of(until), self.store.clock.monotonic() + MAX_COOLDOWN_SECONDS)

    async def publish(self, token: AccessToken, until: float) -> None:
        """Share the end of a cool-down, unless a later one is shared already."""
        shared_until = await self.until(token)
        if shared_until is not None and until <= shared_until:
            return
        cooldown_entry = self.store.entry(token, "cool-down")
        value = cooldown_entry.seal_value(self.store.server_clock.time_of(until))
        await self.store.set(cooldown_entry, value, ttl_seconds=until - self.store.clock.monotonic())
