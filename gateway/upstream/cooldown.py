"""Throttled tokens: until a token's cool-down has passed, it is told so at once, without an upstream call."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Protocol

from gateway.errors import RateLimited, UpstreamReply
from gateway.page import AccessToken

# A cool-down takes about 200 bytes, so this many take a few megabytes; many more tokens than any one process serves.
MAX_COOLDOWNS = 10_000


class SharedCooldowns(Protocol):
    """Cool-downs that other processes know of. Neither method raises, and neither waits long."""

    async def until(self, token: AccessToken) -> float | None:
        """When the token may ask again (seconds since 1970), as far as is known."""
        ...

    async def publish(self, token: AccessToken, until: float) -> None:
        """Tell the others, unless they know of a longer one."""
        ...


class Cooldowns:
    """When each throttled token may ask again, by the token's locator. ``clock`` is in seconds since 1970.

    With ``shared``, other processes' cool-downs hold here, too.
    """

    def __init__(
        self,
        clock: Callable[[], float],
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

    def lasting(self) -> int:
        """How many tokens' cool-downs have not passed; may be asked from another thread."""
        now = self._clock()
        return sum(until > now for until in list(self._until.values()))

    def start(self, locator: bytes, seconds: float) -> float:
        """Begin, or lengthen, the token's cool-down; gives its end."""
        until = self._clock() + seconds
        until = self._until[locator] = max(until, self._until.get(locator, until))
        if len(self._until) > self._max_cooldowns:
            self._prune()
        return until

    def require_passed(self, locator: bytes) -> None:
        """Raise RateLimited while the token's cool-down lasts."""
        until = self._until.get(locator)
        if until is None:
            return
        left_seconds = until - self._clock()
        if left_seconds > 0:
            raise throttled(math.ceil(left_seconds))
        del self._until[locator]

    async def start_everywhere(self, token: AccessToken, seconds: float) -> None:
        """As ``start``, for other processes, too."""
        until = self.start(token.locator, seconds)
        if self._shared is not None:
            await self._shared.publish(token, until)

    async def require_passed_everywhere(self, token: AccessToken) -> None:
        """As ``require_passed``, also for what other processes have met. Asked once before each upstream call."""
        self.require_passed(token.locator)
        if self._shared is None:
            return
        until = await self._shared.until(token)
        if until is not None:
            self.start(token.locator, until - self._clock())
        self.require_passed(token.locator)

    def _prune(self) -> None:
        now = self._clock()
        live = ((until, locator) for locator, until in self._until.items() if until > now)
        # A tenth is freed at a time, so that a flood of tokens does not sort the table at every step.
        longest = heapq.nlargest(self._max_cooldowns - self._max_cooldowns // 10, live)
        self._until = {locator: until for until, locator in longest}


def throttled(seconds: int, upstream: UpstreamReply | None = None) -> RateLimited:
    """The one wording for a throttled token."""
    return RateLimited(
        f"The upstream throttles this token. Ask again in {seconds} seconds.",
        retry_after_seconds=seconds,
        upstream=upstream,
    )
