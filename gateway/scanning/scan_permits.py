"""Permits for scans: how many at once may hold the rows of their queries."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from gateway.scheduling.permits import Patience, never
from gateway.upstream.concurrency import ConcurrencyLimiter

# Our choice. Measured: a scan of 300,000 rows takes at most 35 MB with the sandbox's rows, so four take 140 MB. If each
# row has another customer, they take 133 MB each. One token leaves room for another one.
SCANS_PER_TOKEN = 2
SCANS = 4


def scan_limiter(per_token: int = SCANS_PER_TOKEN, total: int = SCANS) -> ConcurrencyLimiter:
    """Return a new limiter of scans: those of one token, and of the whole process."""
    return ConcurrencyLimiter(per_token=per_token, total=total)


class ScanPermit:
    """The permit of one scan, which it takes when its query turns out to have many rows, and keeps to its end.

    Scans wait in the order of their arrival. At most SCANS_PER_TOKEN scans of a token wait for the process, so its
    other scans do not delay other tokens. A scan that holds a permit never waits for another one.
    """

    def __init__(self, limiter: ConcurrencyLimiter, locator: bytes, is_patient: Patience = never) -> None:
        self._limiter = limiter
        self._locator = locator
        self._is_patient = is_patient
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
            hold = self._limiter.hold(self._locator, float("inf"), is_patient=self._is_patient)
            await self._stack.enter_async_context(hold)
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
