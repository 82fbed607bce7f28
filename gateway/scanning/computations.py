"""Computations over the rows of views: orders, searches, conditions, groups and totals.

They run in pieces, and one over many rows keeps arrays from piece to piece. So few of them are under way at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway.scheduling.fair_permits import FairPermits
from gateway.scheduling.worker_thread import InThread, WorkerThread

# Computations over at most so many rows do not wait for those over more (our choice: two pages).
FEW_ROWS = 20_000

# Our choice: there is one thread, and one token should not wait for another one's long search. Measured: a computation
# over 300,000 rows holds at most 28 MB with the sandbox's rows, and 63 MB if each row has another customer.
LARGE_COMPUTATIONS, SMALL_COMPUTATIONS = 2, 8

# Our choice: several computations. A token that was alone for a while then waits for new ones no longer than that.
HALF_LIFE_SECONDS = 1.0


# Our choice: four tables of 250,000 rows. Callers beyond it wait before they hold a table.
MAX_WAITING_BYTES = 50_331_648


class Tabular(Protocol):
    """A caller's reason to hold a table: a view."""

    @property
    def uncounted(self) -> tuple[int, int]:
        """The identity of the table and its bytes, 0 if it is cached: the cache counts it."""
        ...


class Computations:
    """Runs computations in ``thread``: one at a time of each token over few rows, and one over many.

    Callers that wait for a permit hold tables, perhaps of views that the cache has driven out. While those take more
    than ``max_waiting_bytes``, ``room`` lets no further table be built or unpacked.
    """

    def __init__(self, thread: WorkerThread, max_waiting_bytes: int = MAX_WAITING_BYTES) -> None:
        self._thread = thread
        self._max_waiting_bytes = max_waiting_bytes
        self._waiting: dict[object, Tabular] = {}
        self._has_less = asyncio.Event()
        self._small = FairPermits(1, SMALL_COMPUTATIONS, HALF_LIFE_SECONDS)
        self._large = FairPermits(1, LARGE_COMPUTATIONS, HALF_LIFE_SECONDS)

    @property
    def under_way(self) -> int:
        """The number of computations that have begun and not ended."""
        return self._small.held + self._large.held

    @property
    def waiting_bytes(self) -> int:
        """The memory of the tables that only waiting callers hold."""
        return sum(dict(view.uncounted for view in self._waiting.values()).values())

    async def room(self) -> None:
        """Wait until the callers that wait for permits hold few tables."""
        while self.waiting_bytes > self._max_waiting_bytes:
            self._has_less.clear()
            await self._has_less.wait()

    @contextmanager
    def waiting(self, view: Tabular) -> Iterator[None]:
        """Count the table of ``view`` until the context ends."""
        waiting = object()
        self._waiting[waiting] = view
        try:
            yield
        finally:
            del self._waiting[waiting]
            self._has_less.set()

    def of(self, locator: bytes) -> TokenComputations:
        """Return the computations of one token."""
        return TokenComputations(self._thread.of(locator), locator, self)

    def permits(self, rows: int) -> FairPermits:
        """Return the permits of computations over ``rows`` rows."""
        return self._small if rows <= FEW_ROWS else self._large


@dataclass(frozen=True, slots=True)
class TokenComputations:
    """Computations of one token. ``in_thread`` runs work in its turns of the worker thread."""

    in_thread: InThread
    _locator: bytes
    _all: Computations

    @asynccontextmanager
    async def permit(self, view: Tabular, rows: int, *, is_further: bool = False) -> AsyncIterator[None]:
        """Wait for the permit of a computation over the ``rows`` rows of ``view``, and hold it during the context.

        If it ``is_further``, it comes before the token's others: the rows were grouped for it, and perhaps no cache
        counts the groups.
        """
        async with AsyncExitStack() as stack:
            with self._all.waiting(view):
                await stack.enter_async_context(self._all.permits(rows).hold(self._locator, is_further=is_further))
            yield
