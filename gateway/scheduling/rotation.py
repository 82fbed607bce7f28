"""Turns for work that many requests want to do at once: one turn at a time, in rotation between their tokens.

All requests of a process share one event loop. Long work is split into slices of a millisecond or two, each in its own
turn. Between two turns, the loop reads from the network and answers small requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

# Gives the turns of one owner.
Turns = Callable[[], AbstractAsyncContextManager[None]]


class Rotation:
    """Gives turns. If several owners wait, each gets one turn before any gets a second.

    After each turn, other tasks have the event loop for at least ``rest_share`` of the time that the turn took, with
    what its holder does directly after it.
    """

    def __init__(self, *, rest_share: float = 0.0) -> None:
        self._rest_share = rest_share
        # The waiting turns of each owner; the first owner is the next.
        self._waiting: dict[bytes, deque[asyncio.Future[None]]] = {}
        self._is_taken = False

    @asynccontextmanager
    async def turn(self, owner: bytes) -> AsyncIterator[None]:
        """Wait for a turn of ``owner``, and hold it during the context. The event loop runs other tasks first."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._give)
        started = None
        try:
            await turn
            started = loop.time()
            yield
        finally:
            # A turn that was cancelled before it was given has nothing to pass on.
            if not turn.cancelled():
                self._end(loop, started)

    def _end(self, loop: asyncio.AbstractEventLoop, started: float | None) -> None:
        """Let the next turn be given after the rest, if this rotation has rests and the turn was used."""
        if self._rest_share and started is not None:
            # The holder of the turn goes on at once, and its new tasks run in the next step: that time counts, too.
            loop.call_soon(loop.call_soon, self._rest, loop, started)
        else:
            loop.call_soon(self._give)

    def _rest(self, loop: asyncio.AbstractEventLoop, started: float) -> None:
        loop.call_later(self._rest_share * (loop.time() - started), self._give)

    def _give(self) -> None:
        """Give the next turn."""
        while self._waiting:
            owner = next(iter(self._waiting))
            turns = self._waiting.pop(owner)
            turn = turns.popleft()
            if turns:
                # To the end of the rotation.
                self._waiting[owner] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._is_taken = False
