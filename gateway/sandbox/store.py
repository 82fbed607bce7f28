"""The rows of all accounts, each made when it is first asked for, by one thread while the others wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.sandbox.engine import Engine
from gateway.sandbox.rows import ACCOUNTS

_T = TypeVar("_T")


def _pool() -> ThreadPoolExecutor:
    # Its own threads: making a quarter million rows must not hold up what else the process does in threads.
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="sandbox")


@dataclass(frozen=True, slots=True)
class Store:
    """One engine per known account, hence bounded memory: about 40 MB when all are filled."""

    engines: dict[str, Engine] = field(default_factory=dict)
    locks: dict[str, threading.Lock] = field(default_factory=lambda: {name: threading.Lock() for name in ACCOUNTS})
    pool: ThreadPoolExecutor = field(default_factory=_pool)

    def engine(self, account: str) -> Engine:
        """The engine of a known account; the first call makes its rows and takes seconds for a large one."""
        with self.locks[account]:
            if account not in self.engines:
                self.engines[account] = Engine(ACCOUNTS[account])
            return self.engines[account]

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """The result of work done in one of the sandbox's threads."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)
