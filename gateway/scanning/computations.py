"""Computations over the rows of views: orders, searches, conditions, groups and totals.

They run in pieces, and one over many rows keeps arrays from piece to piece. So few of them are under way at once.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from gateway.scheduling.fair_permits import FairPermits
from gateway.scheduling.worker_thread import InThread, WorkerThread

# Computations over at most so many rows do not wait for those over more (our choice: two pages).
FEW_ROWS = 20_000

# Our choice: there is one thread, and one token should not wait for another one's long search. Measured: a computation
# over 300,000 rows holds at most 28 MB with the sandbox's rows, and 63 MB if each row has another customer.
LARGE_COMPUTATIONS, SMALL_COMPUTATIONS = 2, 8

# Our choice: several computations. A token that was alone for a while then waits for new ones no longer than that.
HALF_LIFE_SECONDS = 1.0


class Computations:
    """Runs computations in ``thread``: one at a time of each token over few rows, and one over many."""

    def __init__(self, thread: WorkerThread) -> None:
        self._thread = thread
        self._small = FairPermits(1, SMALL_COMPUTATIONS, HALF_LIFE_SECONDS)
        self._large = FairPermits(1, LARGE_COMPUTATIONS, HALF_LIFE_SECONDS)

    @property
    def under_way(self) -> int:
        """The number of computations that have begun and not ended."""
        return self._small.held + self._large.held

    def of(self, locator: bytes) -> TokenComputations:
        """Return the computations of one token."""
        return TokenComputations(self._thread.of(locator), locator, self._small, self._large)


@dataclass(frozen=True, slots=True)
class TokenComputations:
    """Computations of one token. ``in_thread`` runs work in its turns of the worker thread."""

    in_thread: InThread
    _locator: bytes
    _small: FairPermits
    _large: FairPermits

    def permit(self, rows: int, *, is_further: bool = False) -> AbstractAsyncContextManager[None]:
        """Wait for the permit of a computation over ``rows`` rows, and hold it during the context.

        If it ``is_further``, it comes before the token's others: the rows were grouped for it, and perhaps no cache
        counts the groups.
        """
        permits = self._small if rows <= FEW_ROWS else self._large
        return permits.hold(self._locator, is_further=is_further)
