"""How long a page is answered from the cache."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.page import INCOMPLETE, CacheState, Page

# A doubtful page is kept just long enough to take the edge off a burst (our choice: half a minute).
DOUBTFUL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """The periods in seconds: fresh, then stale, then gone. A doubtful page is fresh briefly and never stale."""

    fresh_seconds: float
    stale_seconds: float

    def lifetime_seconds(self, *, doubtful: bool) -> float:
        """How long a page may be kept at all."""
        return min(DOUBTFUL_SECONDS, self.fresh_seconds) if doubtful else self.fresh_seconds + self.stale_seconds

    def state(self, page: Page, now: float) -> CacheState:
        """HIT while fresh, STALE after that, MISS once past both periods."""
        age_seconds = now - page.fetched_at
        if age_seconds < self.fresh_seconds:
            return CacheState.HIT
        return CacheState.STALE if age_seconds < self.fresh_seconds + self.stale_seconds else CacheState.MISS


def is_incomplete(page: Page) -> bool:
    """True when the upstream promised more rows than it gave."""
    return any(warning.code == INCOMPLETE.code for warning in page.warnings)
