"""Resources that all exports of a process share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.errors import RateLimited
from gateway.paging.read_ahead import ReadAhead
from gateway.scheduling.permits import TokenPermits
from gateway.scheduling.rotation import Rotation

# The time for which an export waits for others of its token to end (our choice; clients time out after a minute).
WAIT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Shares:
    """The event loop, the exports of one token, and the blocks loaded ahead."""

    slices: Rotation
    of_token: TokenPermits
    ahead: ReadAhead

    @classmethod
    def of(cls, slices: Rotation, per_token: int, ahead: ReadAhead) -> Shares:
        """Return the shares for ``per_token`` exports of one token at once."""
        return cls(slices, TokenPermits(per_token), ahead)

    @asynccontextmanager
    async def hold(self, locator: bytes) -> AsyncIterator[None]:
        """Wait until an export of the token may run. Raises RateLimited after WAIT_SECONDS."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        async with self.of_token.hold(locator, deadline, _too_many):
            yield


def _too_many() -> RateLimited:
    message = "This token's other exports are still running. Retry when one of them has ended."
    return RateLimited(message, retry_after_seconds=int(WAIT_SECONDS))
