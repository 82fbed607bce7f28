"""The lifetime of cached pages."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.config.groups import CacheConfig
from gateway.page import INCOMPLETE, CacheState, Page

# A doubtful page is cached only long enough to absorb a burst of requests (our choice: half a minute).
DOUBTFUL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """The fresh period of a page and the stale period after it, in seconds.

    A doubtful page is fresh briefly and never stale.
    """

    fresh_seconds: float
    stale_seconds: float

    @classmethod
    def of(cls, config: CacheConfig) -> Freshness:
        """Return the periods that ``config`` sets."""
        return cls(config.fresh_seconds, config.stale_seconds)

    def lifetime_seconds(self, *, doubtful: bool) -> float:
        """Return the seconds until a page must leave the cache."""
        return min(DOUBTFUL_SECONDS, self.fresh_seconds) if doubtful else self.fresh_seconds + self.stale_seconds

    def state(self, page: Page, now: float) -> CacheState:
        """Return HIT while the page is fresh, then STALE, and MISS after both periods."""
        age_seconds = now - page.fetched_at
        if age_seconds < self.fresh_seconds:
            return CacheState.HIT
        return CacheState.STALE if age_seconds < self.fresh_seconds + self.stale_seconds else CacheState.MISS


def is_incomplete(page: Page) -> bool:
    """Return True if the upstream promised more rows than it returned."""
    return any(warning.code == INCOMPLETE.code for warning in page.warnings)
