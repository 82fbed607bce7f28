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
    __slots__ = ("is_ending", "task", "waiters")

    def __init__(self, task: asyncio.Task[Page]) -> None:
        self.task = task
        self.waiters = 0
        # Nobody waits any longer; it is cancelled, which takes a moment.
        self.is_ending = False


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
        while (other := self._in_the_way(query, caller)) is not None:
            await asyncio.wait({other.task})
        anew = (replace(query, revalidate=True), caller)
        flight = self._flights.get((query, caller)) or self._flights.get(anew) or self._start((query, caller))
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
                flight.is_ending = True
                flight.task.cancel()

    def _in_the_way(self, query: PageQuery, caller: Caller) -> _Flight | None:
        """A call for the same rows that must end first: one that is being cancelled, or is not new enough to share."""
        for revalidate in (False, True):
            flight = self._flights.get((replace(query, revalidate=revalidate), caller))
            if flight is not None and (flight.is_ending or revalidate < query.revalidate):
                return flight
        return None

    def _start(self, key: tuple[PageQuery, Caller]) -> _Flight:
        query, caller = key
        shared = replace(caller, deadline=float("inf"), budget=Budget(caller.budget.max_calls))
        task = asyncio.create_task(self._source.fetch(query, shared), context=contextvars.Context())
        flight = self._flights[key] = _Flight(task)
        task.add_done_callback(lambda done: self._landed(key, done))
        return flight

    def _landed(self, key: tuple[PageQuery, Caller], task: asyncio.Task[Page]) -> None:
        del self._flights[key]
        if not task.cancelled():
            # Read it, or the loop complains about an exception that nobody was left to hear.
            task.exception()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
