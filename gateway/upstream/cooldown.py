"""Cool-downs of throttled tokens: calls in a cool-down fail at once, without an upstream request."""

from __future__ import annotations

import heapq
import math
from typing import Protocol

from gateway.access_token import AccessToken
from gateway.clocks.clock import Clock
from gateway.errors import RateLimited, UpstreamErrorFacts

# After a 429 the token's blocks are not read ahead for this long (our choice).
CALM_SECONDS = 600.0

# A cool-down takes about 200 bytes, so this many take a few megabytes; many more tokens than any one process serves.
MAX_COOLDOWNS = 10_000


class SharedCooldowns(Protocol):
    """Cool-downs shared with other processes. The methods never raise and return quickly."""

    async def until(self, token: AccessToken) -> float | None:
        """Return the end of the token's cool-down by the monotonic clock; None if unknown."""
        ...

    async def publish(self, token: AccessToken, until: float) -> None:
        """Share the end of a cool-down with other processes, unless a later one is shared already."""
        ...


class Cooldowns:
    """The end of each token's cool-down (by the monotonic clock), by the token's locator.

    With ``shared``, other processes' cool-downs apply here too.
    """

    def __init__(
        self,
        clock: Clock,
        max_cooldowns: int = MAX_COOLDOWNS,
        *,
        shared: SharedCooldowns | None = None,
    ) -> None:
        self._clock = clock
        self._shared = shared
        self._max_cooldowns = max_cooldowns
        self._until: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._until)

    def active(self) -> int:
        """Return the number of active cool-downs; thread-safe."""
        now = self._clock.monotonic()
        return sum(until > now for until in list(self._until.values()))

    def start(self, locator: bytes, seconds: float) -> float:
        """Start or extend the token's cool-down; return its end."""
        until = self._clock.monotonic() + seconds
        until = self._until[locator] = max(until, self._until.get(locator, until))
        if len(self._until) > self._max_cooldowns:
            self._prune()
        return until

    def require_passed(self, locator: bytes) -> None:
        until = self._until.get(locator)
        if until is None:
            return
        left_seconds = until - self._clock.monotonic()
        if left_seconds > 0:
            raise throttled(math.ceil(left_seconds))
        if left_seconds <= -CALM_SECONDS:
            del self._until[locator]

    def is_calm(self, locator: bytes) -> bool:
        """Return True if no cool-down of the token has ended within the last CALM_SECONDS."""
        return self._until.get(locator, -math.inf) <= self._clock.monotonic() - CALM_SECONDS

    async def start_everywhere(self, token: AccessToken, seconds: float) -> None:
        """Start a cool-down here and in all other processes."""
        until = self.start(token.locator, seconds)
        if self._shared is not None:
            await self._shared.publish(token, until)

    async def require_passed_everywhere(self, token: AccessToken) -> None:
        """Raise RateLimited during a cool-down of any process. Called once before each upstream request."""
        self.require_passed(token.locator)
        if self._shared is None:
            return
        until = await self._shared.until(token)
        if until is not None:
            self.start(token.locator, until - self._clock.monotonic())
        self.require_passed(token.locator)

    def _prune(self) -> None:
        now = self._clock.monotonic()
        live = ((until, locator) for locator, until in self._until.items() if until > now - CALM_SECONDS)
        # Free a tenth of the table at a time, so that a flood of tokens does not sort it at every step.
        longest = heapq.nlargest(self._max_cooldowns - self._max_cooldowns // 10, live)
        self._until = {locator: until for until, locator in longest}


def throttled(seconds: int, upstream: UpstreamErrorFacts | None = None) -> RateLimited:
    return RateLimited(
        f"The upstream throttles this token. Try again in {seconds} seconds.",
        retry_after_seconds=seconds,
        upstream=upstream,
    )
