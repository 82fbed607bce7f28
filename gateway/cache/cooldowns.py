"""Cool-downs of throttled tokens in Redis, sealed for each token, so that all processes keep to them."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from gateway.cache.redis_store import RedisStore
from gateway.cache.sealing import entry
from gateway.page import AccessToken

# CONTRACT 6: no cool-down is longer; what another process' clock says beyond it is not believed.
MAX_COOLDOWN_SECONDS = 600.0

_MOMENTS = msgspec.msgpack.Decoder(float)


class RedisCooldowns:
    """The cool-downs that all processes behind one Redis share. ``clock`` is in seconds since 1970.

    Without Redis nothing is known and nobody is told: each process then learns from the upstream by itself.
    """

    def __init__(self, store: RedisStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    async def until(self, token: AccessToken) -> float | None:
        """When the token may ask again (seconds since 1970), as far as is known; one round trip."""
        place = entry(token, "cool-down")
        values = await self._store.get_many([place.name])
        plain = place.open(values[0]) if values and values[0] else None
        if plain is None:
            return None
        try:
            until = _MOMENTS.decode(plain)
        except msgspec.MsgspecError:
            return None
        return min(until, self._clock() + MAX_COOLDOWN_SECONDS)

    async def publish(self, token: AccessToken, until: float) -> None:
        """Tell the others, unless they know of a longer one."""
        if until <= (await self.until(token) or 0):
            return
        place = entry(token, "cool-down")
        await self._store.set(place.name, place.seal(msgspec.msgpack.encode(until)), ttl_seconds=until - self._clock())
