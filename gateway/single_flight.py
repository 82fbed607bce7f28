"""SingleFlight: concurrent identical fetches share one call.

It wraps the cache, so that a call is shared until its result is stored. Inside the cache, a second upstream call could
start before the first result is stored.
"""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import replace

from gateway.access_token import AccessToken
from gateway.caller import Budget, Caller
from gateway.errors import GatewayError, ServiceUnavailable
from gateway.page import Page, PageSource
from gateway.query import PageQuery

_Key = tuple[PageQuery, Caller]


class _Flight:
    __slots__ = ("ahead", "is_ending", "key", "task", "waiters")

    def __init__(self, key: _Key, task: asyncio.Task[Page]) -> None:
        self.key = key
        self.task = task
        self.ahead = key[1].ahead
        self.waiters = 0
        # No waiter is left, and the task is being canceled.
        self.is_ending = False

    def note_need(self, caller: Caller) -> None:
        """Note that ``caller`` waits for the call: it is needed as soon as the caller's rows are."""
        if self.ahead is None or self.ahead is caller.ahead:
            return
        if caller.ahead is None:
            self.ahead.need()
        else:
            caller.ahead.wait_for(self.ahead)


class SingleFlight:
    """A PageSource that shares one call between concurrent identical fetches of one token and locale.

    The shared task inherits neither the first caller's deadline nor its context variables, but counts into its cost.
    Canceling one waiter does not affect the others; canceling the last one cancels the call.
    """

    def __init__(self, source: PageSource) -> None:
        self._source = source
        self._flights: dict[bytes, dict[_Key, _Flight]] = {}

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return the page, from a call that other waiters may share. Raises GatewayError.

        The error of a call that was made ahead reaches no one who needs the page: the call is then made again.
        """
        while True:
            flight = await self._flight(query, caller)
            try:
                return await self._landing(flight)
            except GatewayError:
                if flight.ahead is None or caller.ahead is not None:
                    raise
            # Its callback may not have run yet.
            self._remove(flight, caller.token.locator)

    async def _flight(self, query: PageQuery, caller: Caller) -> _Flight:
        """Return the call that ``caller`` may share, or a new one."""
        while (other := self._blocking_flight(query, caller)) is not None:
            other.note_need(caller)
            await asyncio.wait({other.task})
        flights = self._flights.get(caller.token.locator, {})
        revalidation = (replace(query, revalidate=True), caller)
        flight = flights.get((query, caller)) or flights.get(revalidation) or self._start((query, caller))
        flight.note_need(caller)
        return flight

    async def _landing(self, flight: _Flight) -> Page:
        """Wait for the result of ``flight``; cancel it if nobody else waits."""
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if flight.task.cancelled() and not being_cancelled():
                raise ServiceUnavailable("The gateway is shutting down. Retry.") from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters and not flight.task.done():
                flight.is_ending = True
                flight.task.cancel()

    def forget(self, token: AccessToken) -> None:
        """Stop sharing the running calls of ``token`` with later callers: the upstream has refused the token."""
        self._flights.pop(token.locator, None)

    def _blocking_flight(self, query: PageQuery, caller: Caller) -> _Flight | None:
        """Return a call for the same rows that must end first: it is being canceled, or does not revalidate."""
        flights = self._flights.get(caller.token.locator, {})
        for revalidate in (False, True):
            flight = flights.get((replace(query, revalidate=revalidate), caller))
            if flight is not None and (flight.is_ending or revalidate < query.revalidate):
                return flight
        return None

    def _start(self, key: _Key) -> _Flight:
        query, caller = key
        # The call counts once: for the caller that starts it.
        budget = Budget(caller.budget.max_calls, caller.budget.cost)
        shared = replace(caller, deadline=float("inf"), budget=budget)
        task = asyncio.create_task(self._source.fetch(query, shared), context=contextvars.Context())
        flights = self._flights.setdefault(caller.token.locator, {})
        flight = flights[key] = _Flight(key, task)
        task.add_done_callback(lambda _: self._landed(flight, caller.token.locator))
        return flight

    def _remove(self, flight: _Flight, locator: bytes) -> None:
        flights = self._flights.get(locator, {})
        if flights.get(flight.key) is flight:
            del flights[flight.key]
        if not flights:
            self._flights.pop(locator, None)

    def _landed(self, flight: _Flight, locator: bytes) -> None:
        self._remove(flight, locator)
        if not flight.task.cancelled():
            # Retrieve the exception, or asyncio logs that it was never retrieved.
            flight.task.exception()


def being_cancelled() -> bool:
    """Return True if the current task itself is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
