"""SingleFlight: concurrent identical fetches share one call.

It stands outside the cache, so that a call is shared until its result is stored; inside, a second upstream call would
slip through in between.
"""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import replace

from gateway.errors import ServiceUnavailable
from gateway.page import Budget, Caller, Page, PageSource
from gateway.query import PageQuery


class _Flight:
    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[Page]) -> None:
        self.task = task
        self.waiters = 0


class SingleFlight:
    """A PageSource whose identical fetches by one token and locale share a call while it is under way.

    The shared task inherits neither the first caller's deadline nor its context variables. A waiter that goes away
    harms no other; when the last one goes, the call is cancelled.
    """

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._flights: dict[tuple[PageQuery, Caller], _Flight] = {}

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """The page, from a call that others may share. Raises GatewayError."""
        key = (query, caller)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._start(key)
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.task.cancelled() and not _being_cancelled():
                raise ServiceUnavailable("The gateway is shutting down. Try again.") from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                self._forget(key, flight)
                flight.task.cancel()

    def _start(self, key: tuple[PageQuery, Caller]) -> _Flight:
        query, caller = key
        shared = replace(caller, deadline=float("inf"), budget=Budget(caller.budget.max_calls))
        task = asyncio.create_task(self._source.fetch(query, shared), context=contextvars.Context())
        flight = self._flights[key] = _Flight(task)
        task.add_done_callback(lambda done: self._landed(key, flight))
        return flight

    def _landed(self, key: tuple[PageQuery, Caller], flight: _Flight) -> None:
        self._forget(key, flight)
        if not flight.task.cancelled():
            # Read it, or the loop complains about an exception that nobody was left to hear.
            flight.task.exception()

    def _forget(self, key: tuple[PageQuery, Caller], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
