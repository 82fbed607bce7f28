"""One thread for long work that cannot be split into slices, such as compression, in rotation between tokens.

One thread, because more would take the processor from the event loop. Large installations run several processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar, TypeVarTuple

from gateway.scheduling.rotation import Rotation

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class InThread(Protocol):
    """Runs work in a thread, such as the worker thread for one owner."""

    def __call__(self, work: Callable[[*Ts], T], /, *arguments: *Ts) -> Awaitable[T]:
        """Return the result of ``work`` for ``arguments``."""
        ...


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
