"""Concurrency limits for upstream calls: per token and for the whole process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

from gateway.errors import DeadlineExceeded, GatewayError, ServiceUnavailable

_token_is_busy = partial(
    DeadlineExceeded,
    "Timed out waiting for this token's other upstream requests. Retry later, or request less at once.",
)
no_connection_left = partial(ServiceUnavailable, "All upstream connections of the gateway are in use. Retry later.")


class _TokenQueue:
    """The callers of one token, both in flight and waiting."""

    __slots__ = ("permits", "users")

    def __init__(self, permits: int) -> None:
        self.permits = asyncio.Semaphore(permits)
        self.users = 0


class ConcurrencyLimiter:
    """Limits concurrent upstream calls; ``held`` counts those in flight. A token's queue exists only while in use."""

    def __init__(self, *, per_token: int, total: int) -> None:
        self._per_token = per_token
        self._all = asyncio.Semaphore(total)
        self._queues: dict[bytes, _TokenQueue] = {}
        self.held = 0

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def waiting(self) -> int:
        return sum(queue.users for queue in list(self._queues.values())) - self.held

    @asynccontextmanager
    async def hold(self, locator: bytes, deadline: float) -> AsyncIterator[None]:
        """Hold a permit during the context, waiting for it until ``deadline`` on the loop's clock.

        Raises DeadlineExceeded if the token's limit is the obstacle, ServiceUnavailable if the process's limit is.
        """
        queue = self._queues.setdefault(locator, _TokenQueue(self._per_token))
        queue.users += 1
        try:
            async with (
                _permit(queue.permits, deadline, _token_is_busy),
                _permit(self._all, deadline, no_connection_left),
            ):
                self.held += 1
                try:
                    yield
                finally:
                    self.held -= 1
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[locator]


@asynccontextmanager
async def _permit(
    permits: asyncio.Semaphore, deadline: float, timeout_error: Callable[[], GatewayError]
) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            await permits.acquire()
    except TimeoutError:
        raise timeout_error() from None
    try:
        yield
    finally:
        permits.release()
