"""A circuit breaker: stop using a failing service until a probe succeeds."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

import structlog

# A single failure may be a pause of this process. After two in a row, do not wait for the service again.
FAILURES_TO_OPEN = 2

# Our choice: the service is used again within a second of its recovery, at the cost of one probe per second.
PAUSE_SECONDS = 1.0


class Breaker:
    """Opens after consecutive failures. While open, it repeats ``probe``, and closes once that raises no exception.

    The probe is not a caller's request, so no caller waits for a failed service. ``on_close`` runs after each closing.
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
        """True while the service must not be used."""
        return self._recovery is not None

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self, error: Exception, *, at_once: bool = False) -> None:
        """Record a failed operation. Open after FAILURES_TO_OPEN in a row, or ``at_once``."""
        self._failures += 1
        if self._recovery is None and (at_once or self._failures >= FAILURES_TO_OPEN):
            # Log only the class name: a library's message may contain a key, an address or part of a value.
            self._log.warning("redis is left out until it answers again", reason=type(error).__name__)
            self._recovery = asyncio.create_task(self._recover(), context=contextvars.Context())

    async def aclose(self) -> None:
        if self._recovery is not None:
            self._recovery.cancel()
            await asyncio.gather(self._recovery, return_exceptions=True)

    async def _recover(self) -> None:
        while True:
            await self._sleep(PAUSE_SECONDS)
            try:
                await self._probe()
            except Exception:  # noqa: S112  # any failure means that the service is still down
                continue
            break
        self._failures = 0
        self._recovery = None
        self._log.info("redis is used again")
        await self._on_close()
