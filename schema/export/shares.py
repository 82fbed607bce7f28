"""What the exports of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import RateLimited, ServiceUnavailable
from gateway.paging.read_ahead import ReadAhead
from gateway.scheduling.permits import TokenPermits
from gateway.scheduling.rotation import Rotation
from gateway.scheduling.weighted_permits import WeightedPermits

# The time for which an export waits for others to end (our choice; clients time out after a minute).
WAIT_SECONDS = 30.0

# The exports of a process, each of which holds a block of some 7 MB (our choice).
MAX_EXPORTS = 16


@dataclass(frozen=True, slots=True)
class Shares:
    """The event loop, the exports of one token, those of all tokens, and the blocks loaded ahead."""

    slices: Rotation
    of_token: TokenPermits
    of_process: WeightedPermits
    ahead: ReadAhead

    @classmethod
    def of(cls, slices: Rotation, per_token: int, ahead: ReadAhead) -> Shares:
        """Return the shares for ``per_token`` exports of one token at once."""
        # A token gets half of the permits, which must suffice for its own limit.
        return cls(slices, TokenPermits(per_token), WeightedPermits(max(MAX_EXPORTS, 2 * per_token)), ahead)

    @asynccontextmanager
    async def hold(self, locator: bytes) -> AsyncIterator[None]:
        """Wait until an export of the token may run. Raises RateLimited and ServiceUnavailable after WAIT_SECONDS."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        async with (
            self.of_token.hold(locator, deadline, _too_many_of_token),
            self.of_process.hold(locator, 1, WAIT_SECONDS, _too_many),
        ):
            yield


def _too_many_of_token() -> RateLimited:
    message = "This token's other exports are still running. Retry when one of them has ended."
    return RateLimited(message, retry_after_seconds=int(WAIT_SECONDS))


def _too_many() -> ServiceUnavailable:
    message = "Too many exports are running. Retry when one of them has ended."
    return ServiceUnavailable(message, retry_after_seconds=int(WAIT_SECONDS))
