"""Cache policy: pure decisions about serving and caching pages."""

from __future__ import annotations

from enum import IntEnum

from gateway.cache.freshness import Freshness
from gateway.page import Caller, Page, PageWarning
from gateway.query import PageQuery


class Decision(IntEnum):
    """The treatment of a cached page, best first. SERVE and SERVE_STALE equal the CacheState they lead to."""

    SERVE = 0
    SERVE_STALE = 1
    LOAD = 2


def decide(page: Page | None, query: PageQuery, caller: Caller, now: float, freshness: Freshness) -> Decision:
    """Return how to answer ``query`` given the cached ``page``; ``now`` is in seconds since 1970."""
    if page is None or not page.reaches(query.skip + query.top) or is_expired(caller, now):
        return Decision.LOAD
    return Decision(freshness.state(page, now))


def is_expired(caller: Caller, now: float) -> bool:
    """Return True once the caller's token has expired."""
    expires_at = caller.token.expires_at
    return expires_at is not None and expires_at <= now


def expiry(caller: Caller, now: float, lifetime_seconds: float) -> float:
    """Return when a page loaded now must leave the cache: no later than its token expires."""
    expires_at = now + lifetime_seconds
    return expires_at if caller.token.expires_at is None else min(expires_at, caller.token.expires_at)


def stale_warning(page: Page, now: float) -> PageWarning:
    """Return the warning that accompanies a stale page."""
    return PageWarning(
        "STALE_DATA",
        "The rows are stale. A refresh is under way.",
        age_seconds=int(now - page.fetched_at),
    )
