"""The rows of all accounts in one dataset. The first request for an account generates its rows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.engine import Engine

_T = TypeVar("_T")


def _pool() -> ThreadPoolExecutor:
    # A separate pool: generating 250,000 rows must not block other work in threads.
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="sandbox")


@dataclass(frozen=True, slots=True)
class Store:
    """One engine per account. All engines together take about 40 MB."""

    dataset: SandboxDataset
    engines: dict[str, Engine] = field(default_factory=dict)
    locks: dict[str, threading.Lock] = field(default_factory=lambda: {name: threading.Lock() for name in ACCOUNTS})
    pool: ThreadPoolExecutor = field(default_factory=_pool)

    def engine(self, account: str) -> Engine:
        """Return the engine of an account. The first call generates its rows; a large account takes seconds."""
        with self.locks[account]:
            if account not in self.engines:
                self.engines[account] = Engine(self.dataset, ACCOUNTS[account])
            return self.engines[account]

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Run ``work`` in a worker thread of the sandbox and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, work)
