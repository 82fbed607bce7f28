"""Decisions of the cache policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.access_token import AccessToken
from gateway.cache.policy import Freshness, decide, expiry, stale_warning
from gateway.page import CacheState, Caller, Page
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.fakes import caller, query

FRESHNESS = Freshness(100, 1_000)
FULL = Page(tuple(range(10)), more=True, fetched_at=0)
SHORT = replace(FULL, rows=(1,))
ALL_ROWS = replace(SHORT, more=False)


@pytest.mark.parametrize(
    ("page", "now", "token", "decision"),
    [
        (None, 0, "opaque", CacheState.MISS),
        (FULL, 99, "opaque", CacheState.HIT),
        (FULL, 100, "opaque", CacheState.STALE),
        (FULL, 1_099, "opaque", CacheState.STALE),
        (FULL, 1_100, "opaque", CacheState.MISS),
        (SHORT, 0, "opaque", CacheState.MISS),
        (ALL_ROWS, 0, "opaque", CacheState.HIT),
        (FULL, 49, jwt(50), CacheState.HIT),
        (FULL, 50, jwt(50), CacheState.MISS),
    ],
)
def test_the_state_of_a_page_follows_its_age_rows_and_token(
    page: Page | None, now: float, token: str, decision: CacheState
) -> None:
    assert decide(page, query(0, 10), Caller(AccessToken(token)), now, FRESHNESS) is decision


def test_a_page_expires_no_later_than_its_token() -> None:
    assert expiry(caller(), 10, 100) == 110
    assert expiry(Caller(AccessToken(jwt(50))), 10, 100) == 50


def test_a_stale_warning_has_the_age_in_seconds() -> None:
    assert stale_warning(FULL, 150.9).age_seconds == 150
