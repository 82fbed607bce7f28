"""Decisions of the cache policy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.access_token import AccessToken
from gateway.cache.policy import Freshness, decide, stale_warning
from gateway.page import CacheState, Page
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.fakes import query

FRESHNESS = Freshness(100, 1_000)
FULL = Page(tuple(range(10)), more=True, fetched_at=0)
SHORT = replace(FULL, rows=(1,))
ALL_ROWS = replace(SHORT, more=False)


@pytest.mark.parametrize(
    ("page", "now", "decision"),
    [
        (None, 0, CacheState.MISS),
        (FULL, 99, CacheState.HIT),
        (FULL, 100, CacheState.STALE),
        (FULL, 1_099, CacheState.STALE),
        (FULL, 1_100, CacheState.MISS),
        (SHORT, 0, CacheState.MISS),
        (ALL_ROWS, 0, CacheState.HIT),
    ],
)
def test_the_state_of_a_page_follows_its_age_and_rows(page: Page | None, now: float, decision: CacheState) -> None:
    assert decide(page, query(0, 10), now, FRESHNESS) is decision


def test_the_seconds_until_a_token_expires_are_known_if_it_can_be_read() -> None:
    assert AccessToken("opaque").seconds_left(10) == float("inf")
    assert [AccessToken(jwt(50)).seconds_left(wall) for wall in (10, 50, 60)] == [40, 0, -10]


def test_a_stale_warning_has_the_age_in_seconds() -> None:
    assert stale_warning(FULL, 150.9).age_seconds == 150
