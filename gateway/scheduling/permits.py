"""Permits for work that only a number of callers may do at once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

# Says whether a waiting caller is patient now.
Patience = Callable[[], bool]


def never() -> bool:
    """Return False: the caller is never patient."""
    return False


class Permits:
    """A semaphore whose patient callers wait until no other caller does. A waiting caller may lose its patience."""

    __slots__ = ("_free", "_waiting")

    def __init__(self, permits: int) -> None:
        self._free = permits
        # Each waiting caller's turn and patience. While a permit is free, nobody waits.
        self._waiting: OrderedDict[asyncio.Future[None], Patience] = OrderedDict()

    @asynccontextmanager
    async def hold(
        self, deadline: float, timeout_error: Callable[[], Exception], *, is_patient: Patience = never
    ) -> AsyncIterator[None]:
        """Hold a permit during the context; wait for it until ``deadline`` on the loop's clock.

        Raises what ``timeout_error`` returns.
        """
        try:
            async with asyncio.timeout_at(deadline):
                await self._acquire(is_patient)
        except TimeoutError:
            raise timeout_error() from None
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, is_patient: Patience) -> None:
        if self._free:
            self._free -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = is_patient
        try:
            await turn
        except asyncio.CancelledError:
            self._waiting.pop(turn, None)
            if not turn.cancelled() and turn.exception() is None:
                self._release()
            raise

    def refuse_waiting(self, error: Callable[[], Exception]) -> None:
        """Let everybody who waits for a permit fail with what ``error`` returns."""
        waiting, self._waiting = self._waiting, OrderedDict()
        for turn in waiting:
            if not turn.done():
                turn.set_exception(error())

    def _release(self) -> None:
        turn = self._next()
        if turn is None:
            self._free += 1
            return
        del self._waiting[turn]
        turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        """Return the turn of the first caller that is not patient, or of the first patient one."""
        patient: asyncio.Future[None] | None = None
        for turn, is_patient in self._waiting.items():
            # A canceled caller leaves the queue when it runs again.
            if turn.cancelled():
                continue
            if not is_patient():
                return turn
            patient = patient or turn
        return patient


class _Queue:
    """The callers of one token, both holding a permit and waiting."""

    __slots__ = ("callers", "permits", "refusal", "refusals")

    def __init__(self, permits: int) -> None:
        self.permits = Permits(permits)
        self.callers = 0
        self.refusals = 0
        self.refusal: Callable[[], Exception] | None = None

    def refuse_waiting(self, error: Callable[[], Exception]) -> None:
        """Let everybody who waits fail with what ``error`` returns, and whoever now waits for another permit, too."""
        self.refusals += 1
        self.refusal = error
        self.permits.refuse_waiting(error)

    def check(self, refusals: int) -> None:
        """Raise the error of the last refusal if there were others than ``refusals``."""
        if self.refusal is not None and self.refusals != refusals:
            raise self.refusal()


class TokenPermits:
    """The same number of permits for each token. A token takes memory only while it has callers."""

    def __init__(self, per_token: int) -> None:
        self._per_token = per_token
        self._queues: dict[bytes, _Queue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    @property
    def callers(self) -> int:
        """The callers of all tokens, both holding a permit and waiting; thread-safe."""
        return sum(queue.callers for queue in list(self._queues.values()))

    def refuse_waiting(self, locator: bytes, error: Callable[[], Exception]) -> None:
        """Let everybody who waits for a permit of a token fail with what ``error`` returns."""
        queue = self._queues.get(locator)
        if queue is not None:
            queue.refuse_waiting(error)

    @asynccontextmanager
    async def hold(
        self, locator: bytes, deadline: float, timeout_error: Callable[[], Exception], *, is_patient: Patience = never
    ) -> AsyncIterator[Callable[[], None]]:
        """Hold a permit of a token during the context, as ``Permits.hold`` does.

        The context's function raises the error of ``refuse_waiting`` if it was called meanwhile.
        """
        queue = self._queues.get(locator)
        if queue is None:
            queue = self._queues[locator] = _Queue(self._per_token)
        queue.callers += 1
        try:
            async with queue.permits.hold(deadline, timeout_error, is_patient=is_patient):
                yield partial(queue.check, queue.refusals)
        finally:
            queue.callers -= 1
            if not queue.callers:
                del self._queues[locator]
