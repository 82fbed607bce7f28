"""A circuit breaker: what keeps failing is left alone until a probe says that it is back."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import structlog

# One failure may be a hiccup of this process; the second in a row is not waited for again.
FAILURES_TO_OPEN = 2

# Our choice: back in use a second after it has recovered, at the price of a probe a second while it has not.
PAUSE_SECONDS = 1.0


class Breaker:
    """Opens after failures in a row, and closes when ``probe``, repeated while it is open, ends without an exception.

    Nobody's request is the probe, so nobody waits for what is down. ``on_close`` runs each time it has closed.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        *,
        on_close: Callable[[], Awaitable[None]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._probe = probe
        self._on_close = on_close
        self._sleep = sleep
        self._failures = 0
        self._recovery: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("gateway")

    @property
    def is_open(self) -> bool:
        """True while nothing should be tried."""
        return self._recovery is not None

    def succeeded(self) -> None:
        """Note that something worked."""
        self._failures = 0

    def failed(self, error: Exception, *, at_once: bool = False) -> None:
        """Note that something did not; opens when it was one of several in a row, or ``at_once``."""
        self._failures += 1
        if self._recovery is None and (at_once or self._failures >= FAILURES_TO_OPEN):
            # The kind of failure alone: a library's message may hold a key, an address or a piece of a value.
            self._log.warning("redis is left out until it answers again", reason=type(error).__name__)
            self._recovery = asyncio.create_task(self._recover(), context=contextvars.Context())

    async def aclose(self) -> None:
        """End the probing."""
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            await self._sleep(PAUSE_SECONDS)
            try:
                await self._probe()
            except Exception:  # noqa: S112  # whatever it was, it is not back
                continue
            break
        self._failures = 0
        self._recovery = None
        self._log.info("redis is used again")
        await self._on_close()
