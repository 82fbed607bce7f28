"""How many upstream calls may be in flight: a few for one token, more for the whole process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.errors import DeadlineExceeded, GatewayError, ServiceUnavailable


class _Line:
    """The callers of one token: those in flight and those that wait."""

    __slots__ = ("places", "users")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.users = 0


class Slots:
    """Places for upstream calls, ``held`` so many. A token's line exists only while somebody stands in it."""

    def __init__(self, *, per_token: int, total: int) -> None:
        self._per_token = per_token
        self._all = asyncio.Semaphore(total)
        self._lines: dict[bytes, _Line] = {}
        self.held = 0

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def waiting(self) -> int:
        """Callers that hold no place yet."""
        return sum(line.users for line in list(self._lines.values())) - self.held

    @asynccontextmanager
    async def hold(self, locator: bytes, deadline: float) -> AsyncIterator[None]:
        """Hold a place, waiting for it until ``deadline`` on the loop's clock.

        Raises DeadlineExceeded when the token's own places stay taken, ServiceUnavailable when the process's do.
        """
        line = self._lines.setdefault(locator, _Line(self._per_token))
        line.users += 1
        try:
            await _take(line.places, deadline, _token_is_busy)
            try:
                await _take(self._all, deadline, no_connection_left)
                self.held += 1
                try:
                    yield
                finally:
                    self.held -= 1
                    self._all.release()
            finally:
                line.places.release()
        finally:
            line.users -= 1
            if not line.users:
                del self._lines[locator]


async def _take(places: asyncio.Semaphore, deadline: float, otherwise: Callable[[], GatewayError]) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await places.acquire()
    except TimeoutError:
        raise otherwise() from None


def _token_is_busy() -> GatewayError:
    return DeadlineExceeded(
        "This token's other upstream calls took all the time. Ask for less at once, or again later."
    )


def no_connection_left() -> GatewayError:
    """For calls that found every upstream connection of the process taken."""
    return ServiceUnavailable("The gateway has no upstream connection left. Ask again later.")
