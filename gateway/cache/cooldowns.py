"""Cool-downs of throttled tokens in Redis, sealed per token and respected by all processes."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from gateway.access_token import AccessToken
from gateway.cache.redis_store import RedisStore
from gateway.cache.server_clock import MAX_AHEAD_SECONDS

# CONTRACT 6: the longest cool-down.
MAX_COOLDOWN_SECONDS = 600.0


class SealedCooldown(msgspec.Struct, array_like=True, frozen=True):
    """A cool-down: its end by the server's clock (seconds since 1970), and its length when it was stored."""

    ends_at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class RedisCooldowns:
    """The cool-downs shared by all processes of one Redis and one upstream.

    Redis stores their ends by its server's clock; the methods use the monotonic clock. Without Redis, each process
    learns of a cool-down only from its own upstream responses.
    """

    store: RedisStore

    async def until(self, token: AccessToken) -> float | None:
        """Return the end of the token's cool-down, or None if unknown. Makes one round trip.

        Ignore a cool-down that would last longer than when it was stored: the server's clock was set back.
        """
        cooldown_entry = self.store.entry(token, "cool-down")
        values = await self.store.get_many([cooldown_entry])
        cooldown = cooldown_entry.open_value(values[0], SealedCooldown) if values and values[0] else None
        if cooldown is None:
            return None
        until = self.store.server_clock.moment_of(cooldown.ends_at)
        left_seconds = until - self.store.clock.monotonic()
        return None if left_seconds > min(cooldown.seconds, MAX_COOLDOWN_SECONDS) + MAX_AHEAD_SECONDS else until

    async def publish(self, token: AccessToken, until: float) -> None:
        """Share the end of a cool-down, unless a later one is shared already."""
        shared_until = await self.until(token)
        if shared_until is not None and until <= shared_until:
            return
        cooldown_entry, seconds = self.store.entry(token, "cool-down"), until - self.store.clock.monotonic()
        value = cooldown_entry.seal_value(SealedCooldown(self.store.server_clock.time_of(until), seconds))
        await self.store.set(cooldown_entry, value, ttl_seconds=seconds)
