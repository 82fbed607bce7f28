"""How long a page may be kept."""

from __future__ import annotations

import pytest

from gateway.cache.freshness import Freshness


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
