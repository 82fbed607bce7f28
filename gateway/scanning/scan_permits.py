"""Permits for scans: how many at once may hold the rows of their queries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from gateway.scheduling.fair_permits import FairPermits
from gateway.scheduling.permits import Patience, never

# Our choice. Measured: a scan of 300,000 rows takes at most 35 MB with the sandbox's rows, so four take 140 MB. If each
# row has another customer, they take 133 MB each. One token leaves room for another one.
SCANS_PER_TOKEN = 2
SCANS = 4


class ScanPermit:
    """The permit of one scan, which it takes when its query turns out to have many rows, and keeps to its end.

    A scan that holds a permit never waits for another one. It then also waits for ``room`` for its table.
    """

    def __init__(
        self,
        permits: FairPermits,
        locator: bytes,
        is_patient: Patience = never,
        room: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._permits = permits
        self._locator = locator
        self._is_patient = is_patient
        self._room = room
        self._stack = AsyncExitStack()
        self.is_waiting = False
        self.is_held = False

    async def take(self) -> None:
        """Wait for the permit, for as long as it takes, unless it is held already."""
        if self.is_held:
            return
        self.is_waiting = True
        try:
            # The callers of the scan have deadlines; the scan itself has none.
            await self._stack.enter_async_context(self._permits.hold(self._locator, self._is_patient))
            if self._room is not None:
                await self._room()
        finally:
            self.is_waiting = False
        self.is_held = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        self.is_held = False
