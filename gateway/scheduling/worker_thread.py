"""One thread for long work that cannot be split into slices, such as compression, in rotation between tokens.

One thread, because more would take the processor from the event loop. Large installations run several processes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, TypeVarTuple

from gateway.scheduling.rotation import Rotation

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# A turn of work in pieces ends with the first piece that exceeds this CPU time (our choice). So turns of small and of
# large pieces are about as long. Time in which the thread waits for the event loop does not count: otherwise each small
# piece would be a turn.
TURN_SECONDS = 0.005


class InThread(Protocol):
    """Runs work in a thread, such as the worker thread for one owner."""

    def __call__(self, work: Callable[[*Ts], T], /, *arguments: *Ts) -> Awaitable[T]:
        """Return the result of ``work`` for ``arguments``."""
        ...


async def inline(work: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
    """Return the result of short ``work`` without a thread, which would cost more."""
    return work(*arguments)


async def in_pieces(
    in_thread: InThread, work: Generator[None, None, T], clock: Callable[[], float] = time.thread_time
) -> T:
    """Run ``work`` in turns of at least one piece, up to a ``yield``, and return its result.

    A canceled caller's work ends with the turn that is running.
    """
    result: list[T] = []
    while not await in_thread(_ended, work, result, clock):
        pass
    return result[0]


def _ended(work: Generator[None, None, T], result: list[T], clock: Callable[[], float]) -> bool:
    """Run pieces of ``work`` for one turn; if it has ended, append the result and return True."""
    end_of_turn = clock() + TURN_SECONDS
    try:
        next(work)
        while clock() < end_of_turn:
            next(work)
    except StopIteration as end:
        result.append(end.value)
        return True
    return False


class WorkerThread:
    """Runs long work in one thread. If several owners wait, each runs once before any runs a second time."""

    def __init__(self) -> None:
        self._turns = Rotation()
        # A canceled caller's work goes on, so its turn may end before the thread is free.
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gateway-work")

    def of(self, owner: bytes) -> InThread:
        """Return the function that runs work in the thread, in turns of ``owner``."""

        async def run(work: Callable[[*Ts], T], /, *arguments: *Ts) -> T:
            async with self._turns.turn(owner):
                return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

        return run
