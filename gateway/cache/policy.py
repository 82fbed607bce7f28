"""Cache policy: pure decisions about serving and caching pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.config.groups import CacheConfig
from gateway.page import STALE_DATA, CacheState, Page, PageWarning
from gateway.query import PageQuery

# A doubtful page is cached only long enough to absorb a burst of requests (our choice: half a minute).
DOUBTFUL_SECONDS = 30.0


class Dated(Protocol):
    """Cached rows, with the time of their reading by the monotonic clock."""

    @property
    def fetched_at(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Freshness:
    """The periods in which a page is fresh, and then stale. A doubtful page is fresh briefly and never stale."""

    fresh_seconds: float
    stale_seconds: float

    @classmethod
    def of(cls, config: CacheConfig) -> Freshness:
        """Return the periods that ``config`` sets."""
        return cls(config.fresh_seconds, config.stale_seconds)

    def lifetime_seconds(self, *, doubtful: bool) -> float:
        """Return the seconds until a page must leave the cache."""
        return min(DOUBTFUL_SECONDS, self.fresh_seconds) if doubtful else self.fresh_seconds + self.stale_seconds

    def state(self, cached: Dated, now: float) -> CacheState:
        """Return HIT while ``cached`` is fresh, then STALE, and MISS after both periods."""
        age_seconds = now - cached.fetched_at
        if age_seconds < self.fresh_seconds:
            return CacheState.HIT
        return CacheState.STALE if age_seconds < self.fresh_seconds + self.stale_seconds else CacheState.MISS


def decide(page: Page | None, query: PageQuery, now: float, freshness: Freshness) -> CacheState:
    """Return the state of the cached ``page`` as the response to ``query``: MISS if it must be loaded.

    ``now`` is by the monotonic clock. The caller's token must not have expired.
    """
    if page is None or not page.reaches(query.skip + query.top):
        return CacheState.MISS
    return freshness.state(page, now)


def stale_warning(cached: Dated, now: float) -> PageWarning:
    return PageWarning(
        STALE_DATA,
        "The rows are stale. A refresh is under way.",
        age_seconds=int(now - cached.fetched_at),
    )
