"""Reads under way: background refreshes of stale pages, and reads whose token may be refused before they end."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gateway.cache.block import Block
from gateway.caller import Budget
from gateway.errors import GatewayError
from gateway.page import Page


class Refreshes:
    """At most one refresh per block, and none while the block is being loaded for a caller."""

    def __init__(self, load: Callable[[Block], Coroutine[Any, Any, Page]]) -> None:
        self._load = load
        self._tasks: dict[str, asyncio.Task[Page]] = {}
        # The token of each running refresh that later callers may wait for.
        self._locators: dict[str, bytes] = {}
        self._loading: set[str] = set()

    def running(self, key: str) -> asyncio.Task[Page] | None:
        """Return the refresh of a block that callers may wait for."""
        return self._tasks.get(key) if key in self._locators else None

    def forget(self, locator: bytes) -> None:
        """Stop sharing the running refreshes of a token with later callers: the upstream has refused the token."""
        for key in [key for key, owner in self._locators.items() if owner == locator]:
            del self._locators[key]

    @contextmanager
    def paused(self, key: str) -> Iterator[None]:
        """Start no refresh of this block until the context ends or ``resume`` is called."""
        self._loading.add(key)
        try:
            yield
        finally:
            self._loading.discard(key)

    def resume(self, key: str) -> None:
        """Allow refreshes of this block again."""
        self._loading.discard(key)

    def start(self, block: Block) -> None:
        """Refresh ``block`` in the background unless it is being refreshed or loaded already."""
        key, caller = block.key, block.caller
        if key in self._tasks or key in self._loading:
            return
        # The refresh outlives the request, so it inherits neither its context variables nor its budget and deadline.
        # Callers that need the rows may wait for it, so it is not a call made ahead.
        heir = replace(caller, budget=Budget(caller.budget.max_calls), deadline=float("inf"), ahead=None)
        task = asyncio.create_task(self._load(replace(block, caller=heir)), context=contextvars.Context())
        self._tasks[key], self._locators[key] = task, caller.token.locator
        task.add_done_callback(lambda done: self._finish(key, done))

    async def aclose(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _finish(self, key: str, task: asyncio.Task[Page]) -> None:
        del self._tasks[key]
        self._locators.pop(key, None)
        # A coded failure leaves the stale page in place. Anything else is a bug: the loop's handler reports it.
        if not task.cancelled() and isinstance(task.exception(), Exception):
            error = task.exception()
            if not isinstance(error, GatewayError):
                asyncio.get_running_loop().call_exception_handler({"message": "a refresh failed", "exception": error})


class PendingRead:
    """A read under way; ``void`` once its token was refused."""

    __slots__ = ("void",)

    def __init__(self) -> None:
        self.void = False


class PendingReads:
    def __init__(self) -> None:
        self._by_token: dict[bytes, set[PendingRead]] = {}

    @contextmanager
    def under_way(self, locator: bytes) -> Iterator[PendingRead]:
        """Register a read of this token until the context ends."""
        read = PendingRead()
        reads = self._by_token.setdefault(locator, set())
        reads.add(read)
        try:
            yield read
        finally:
            reads.discard(read)
            if not reads and self._by_token.get(locator) is reads:
                del self._by_token[locator]

    def void(self, locator: bytes) -> None:
        """Mark all reads of this token as void, so that their results are not cached."""
        for read in self._by_token.get(locator, ()):
            read.void = True
