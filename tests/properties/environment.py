"""Processes that share one Redis, a clock that only the schedule advances, and the running queries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.access_token import AccessToken
from gateway.errors import GatewayError
from schema.connection import ConnectionResult
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.cache.troubled_redis import TroubledRedis
from tests.gateway.fakes import Clock
from tests.properties.gated_backends import Call
from tests.properties.processes import Process, RunningQuery
from tests.properties.timeline import Rows, Timeline
from tests.redis_server import RedisServer

# After this many loop iterations without an event, every task is waiting. The longest chain of awaits takes a dozen.
QUIET_TURNS = 40


class Environment:
    """All processes, tokens and running queries. ``on_…`` are called for each upstream call, answer and error."""

    def __init__(self, server: RedisServer, proxy: TroubledRedis, memory_bytes: list[int]) -> None:
        self.server, self.proxy = server, proxy
        self.clock = Clock()
        self.is_troubled = False
        self.timelines: dict[str, Timeline] = {}
        self.queries: list[RunningQuery] = []
        # The tokens that were used so far.
        self.query_tokens: set[str] = set()
        # By token and filter: a cursor, its offset, and the matching rows when it was returned.
        self.cursors: dict[tuple[str, int], list[tuple[str, int, Rows]]] = {}
        # The names under which each Redis value has been stored.
        self.entry_names: dict[bytes, set[str]] = {}
        self.on_call: Callable[[Process, Call], None] = lambda process, call: None
        self.on_answer: Callable[[RunningQuery, ConnectionResult], None] = lambda query, answer: None
        self.on_error: Callable[[RunningQuery, GatewayError], None] = lambda query, error: None
        self.failures: list[BaseException] = []
        self._events = 0
        self._pauses: list[asyncio.Future[None]] = []
        self._add_token("one", rows=12)
        self._add_token("two", rows=23, max_page_rows=4)
        self._add_token(jwt(self.clock() + 150), rows=7)
        self._add_token("four", rows=14, has_total=False)
        self.processes = [Process(self, size) for size in memory_bytes]

    def _add_token(self, name: str, *, rows: int, **facts: Any) -> None:
        timeline = self.timelines[name] = Timeline(AccessToken(name), f"customer of {name[-9:]}", **facts)
        timeline.process(self.clock(), rows)

    def note_event(self) -> None:
        """Record that something has happened, for ``settle``."""
        self._events += 1

    async def pause(self, seconds: float) -> None:
        """Stand in for the circuit breaker's sleep: wait until Redis is healed."""
        self._pauses.append(asyncio.get_running_loop().create_future())
        await self._pauses[-1]

    @property
    def pending(self) -> list[tuple[Process, Call]]:
        """Return all upstream calls that wait for a response."""
        return [(process, call) for process in self.processes for call in process.upstream.pending]

    def start_query(self, query: RunningQuery) -> None:
        """Start a query."""
        self.queries.append(query)
        self.query_tokens.add(query.timeline.token.reveal())
        query.task = asyncio.create_task(self._run_checked(query))

    async def _run_checked(self, query: RunningQuery) -> None:
        try:
            answer = await query.answer()
            self.on_answer(query, answer)
        except GatewayError as error:
            self.collect(partial(self.on_error, query, error))
        except Exception as failure:
            self.failures.append(failure)
        finally:
            self.queries.remove(query)
            self.note_event()

    def collect(self, check: Callable[[], None]) -> None:
        """Run ``check`` and collect its failure, so that the schedule fails wherever it was called from."""
        try:
            check()
        except AssertionError as failure:
            self.failures.append(failure)

    async def settle(self) -> None:
        """Run until everything has finished or waits for the upstream or for a held Redis."""
        quiet, seen = 0, -1
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            is_busy = any(process.redis.running for process in self.processes)
            quiet = 0 if is_busy or seen != self._events else quiet + 1
            seen = self._events
        if self.failures:
            raise self.failures[0]

    async def advance(self, seconds: float) -> None:
        """Advance the clock. Release Redis first: none of its operations waits that long."""
        if seconds >= 0.2:
            for process in self.processes:
                process.redis.release()
            await self.settle()
        self.clock.seconds += seconds

    async def heal(self) -> None:
        """End the Redis fault, and wait until every process uses Redis again."""
        self.proxy.trouble = None
        self.is_troubled = False
        async with asyncio.timeout(20):
            while any(process.redis.is_left_out for process in self.processes):
                pauses, self._pauses = self._pauses, []
                for pause in pauses:
                    if not pause.done():
                        pause.set_result(None)
                await asyncio.sleep(0.001)
        for process in self.processes:
            process.redis_errors = 0
        await self.settle()

    async def aclose(self) -> None:
        """Cancel all queries and close every process."""
        for query in list(self.queries):
            assert query.task is not None
            query.task.cancel()
        await self.settle()
        for process in self.processes:
            await process.aclose()
