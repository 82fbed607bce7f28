"""SingleFlight: concurrent identical fetches share one call.

It wraps the cache, so that a call is shared until its result is stored. Inside the cache, a second upstream call could
start before the first result is stored.
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
        # No waiter is left, and the task is being canceled.
        self.is_ending = False


class SingleFlight:
    """A PageSource that shares one call between concurrent identical fetches of one token and locale.

    The shared task inherits neither the first caller's deadline nor its context variables. Canceling one waiter does
    not affect the others; canceling the last one cancels the call.
    """

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._flights: dict[tuple[PageQuery, Caller], _Flight] = {}

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return the page, from a call that other waiters may share. Raises GatewayError."""
        while (other := self._blocking_flight(query, caller)) is not None:
            await asyncio.wait({other.task})
        revalidation = (replace(query, revalidate=True), caller)
        flight = self._flights.get((query, caller)) or self._flights.get(revalidation) or self._start((query, caller))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.task.cancelled() and not _being_cancelled():
                raise ServiceUnavailable("The gateway is shutting down. Retry.") from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.is_ending = True
                flight.task.cancel()

    def _blocking_flight(self, query: PageQuery, caller: Caller) -> _Flight | None:
        """Return a call for the same rows to wait for: it is being canceled, or does not revalidate."""
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
            # Retrieve the exception, or asyncio logs that it was never retrieved.
            task.exception()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
