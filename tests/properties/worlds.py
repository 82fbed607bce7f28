"""Processes behind one Redis, with a clock that only the schedule moves, and all that is asked of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.errors import GatewayError
from gateway.page import AccessToken
from schema.connection import ConnectionResult
from tests.gateway.cache.test_cached_pages import jwt
from tests.gateway.cache.troubled_redis import TroubledRedis
from tests.gateway.fakes import Clock
from tests.properties.gates import Call
from tests.properties.processes import Process, Question
from tests.properties.timeline import Rows, Timeline
from tests.redis_server import RedisServer

# Turns of the loop without any event, after which none will come: the longest chain of awaits takes a dozen.
QUIET_TURNS = 40


class World:
    """All processes, tokens and questions. ``judge_…`` are told of every end and every upstream call."""

    def __init__(self, server: RedisServer, proxy: TroubledRedis, memory_bytes: list[int]) -> None:
        self.server, self.proxy = server, proxy
        self.clock = Clock()
        self.is_troubled = False
        self.timelines: dict[str, Timeline] = {}
        self.questions: list[Question] = []
        # The tokens that ever asked.
        self.asked: set[str] = set()
        # By token and filter: a cursor's text, its offset, and the rows of the question when it was given.
        self.cursors: dict[tuple[str, int], list[tuple[str, int, Rows]]] = {}
        # Under which names a value was in Redis before somebody copied it.
        self.homes: dict[bytes, set[str]] = {}
        self.on_call: Callable[[Process, Call], None] = lambda process, call: None
        self.on_answer: Callable[[Question, ConnectionResult], None] = lambda question, answer: None
        self.on_error: Callable[[Question, GatewayError], None] = lambda question, error: None
        self.failures: list[BaseException] = []
        self._stirs = 0
        self._pauses: list[asyncio.Future[None]] = []
        self._add_token("one", rows=12)
        self._add_token("two", rows=23, cap_rows=4)
        self._add_token(jwt(self.clock() + 150), rows=7)
        self._add_token("four", rows=14, tells_total=False)
        self.processes = [Process(self, size) for size in memory_bytes]

    def _add_token(self, name: str, *, rows: int, **facts: Any) -> None:
        timeline = self.timelines[name] = Timeline(AccessToken(name), f"customer of {name[-9:]}", **facts)
        timeline.process(self.clock(), rows)

    def stir(self) -> None:
        """Note that something has happened."""
        self._stirs += 1

    async def pause(self, seconds: float) -> None:
        """What the breaker sleeps: until Redis is healed."""
        self._pauses.append(asyncio.get_running_loop().create_future())
        await self._pauses[-1]

    @property
    def pending(self) -> list[tuple[Process, Call]]:
        """All upstream calls that wait."""
        return [(process, call) for process in self.processes for call in process.upstream.pending]

    def ask(self, question: Question) -> None:
        """Begin."""
        self.questions.append(question)
        self.asked.add(question.timeline.token.reveal())
        question.task = asyncio.create_task(self._judged(question))

    async def _judged(self, question: Question) -> None:
        try:
            answer = await question.answer()
            self.on_answer(question, answer)
        except GatewayError as error:
            self.collect(partial(self.on_error, question, error))
        except Exception as failure:
            self.failures.append(failure)
        finally:
            self.questions.remove(question)
            self.stir()

    def collect(self, judge: Callable[[], None]) -> None:
        """Note what a judge complains of; wherever it was called from, the schedule ends there."""
        try:
            judge()
        except AssertionError as failure:
            self.failures.append(failure)

    async def settle(self) -> None:
        """Until everything waits: for the upstream, for a held Redis, or for nothing."""
        quiet, seen = 0, -1
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            is_busy = any(process.redis.running for process in self.processes)
            quiet = 0 if is_busy or seen != self._stirs else quiet + 1
            seen = self._stirs
        if self.failures:
            raise self.failures[0]

    async def advance(self, seconds: float) -> None:
        """Move the clock; no operation of Redis' waits so long."""
        if seconds >= 0.2:
            for process in self.processes:
                process.redis.let_go()
            await self.settle()
        self.clock.seconds += seconds

    async def heal(self) -> None:
        """Redis works again, and everybody has noticed."""
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
        """End every process."""
        for question in list(self.questions):
            assert question.task is not None
            question.task.cancel()
        await self.settle()
        for process in self.processes:
            await process.aclose()
