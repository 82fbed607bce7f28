"""The tier behind memory that several processes share through Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.policy import Freshness
from gateway.cache.redis_store import RedisStore
from gateway.cache.shared import Outcome, SharedPages
from gateway.config.redis_url import RedisAddress
from gateway.scheduling.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class RedisTier:
    """Pages and cool-downs in one store."""

    store: RedisStore
    pages: SharedPages
    cooldowns: RedisCooldowns

    @classmethod
    def at(
        cls,
        address: RedisAddress,
        upstream: str,
        freshness: Freshness,
        scheduler: Scheduler,
        *,
        on_error: Callable[[], None],
        observer: Callable[[Outcome], None],
    ) -> RedisTier:
        """Return the tier at ``address`` for the gateway's ``upstream``.

        ``on_error`` is called at each failure of Redis, ``observer`` with the outcome of each lookup and each store.
        """
        store = RedisStore(address, upstream, on_error=on_error)
        pages = SharedPages(store, freshness, scheduler=scheduler, observer=observer)
        return cls(store, pages, RedisCooldowns(store))
