"""The lifetime of cached pages."""

from __future__ import annotations

import pytest

from gateway.cache.policy import Freshness
from gateway.page import CacheState, Page


@pytest.mark.parametrize(
    ("fresh_seconds", "stale_seconds", "doubtful", "sound"),
    [(900, 3_600, 30, 4_500), (30, 0, 30, 30), (10, 3_600, 10, 3_610), (0, 3_600, 0, 3_600), (0, 0, 0, 0)],
)
def test_a_doubtful_page_never_outlives_the_fresh_period(
    fresh_seconds: float, stale_seconds: float, doubtful: float, sound: float
) -> None:
    freshness = Freshness(fresh_seconds, stale_seconds)
    assert freshness.lifetime_seconds(doubtful=True) == doubtful
    assert freshness.lifetime_seconds(doubtful=False) == sound


@pytest.mark.parametrize(
    ("age_seconds", "state"),
    [
        (0, CacheState.HIT),
        (9.9, CacheState.HIT),
        (10, CacheState.STALE),
        (29.9, CacheState.STALE),
        (30, CacheState.MISS),
    ],
)
def test_at_the_end_of_a_period_the_next_one_begins(age_seconds: float, state: CacheState) -> None:
    assert Freshness(10, 20).state(Page((), fetched_at=1_000), 1_000 + age_seconds) is state
