"""The tier behind memory that several processes share through Redis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gateway.cache.cooldowns import RedisCooldowns
from gateway.cache.policy import Freshness
from gateway.cache.redis_store import RedisStore
from gateway.cache.shared import Outcome, SharedPages
from gateway.config.redis_url import RedisAddress
from gateway.scheduling.rotation import Rotation
from gateway.scheduling.worker_thread import WorkerThread


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
        slices: Rotation,
        thread: WorkerThread,
        *,
        on_error: Callable[[], None],
        observer: Callable[[Outcome], None],
    ) -> RedisTier:
        """Return the tier at ``address`` for the gateway's ``upstream``.

        ``on_error`` is called at each failure of Redis, ``observer`` with the outcome of each lookup and each store.
        """
        store = RedisStore(address, upstream, on_error=on_error)
        pages = SharedPages(store, freshness, slices=slices, thread=thread, observer=observer)
        return cls(store, pages, RedisCooldowns(store))
