"""A request to the upstream that is held until the test lets it go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.gateway.upstream.scripted import GOOD, Asked


class Held:
    """A step that answers when it is told to; it knows whether the asker hung up before."""

    def __init__(self) -> None:
        self.begun, self.hung_up = threading.Event(), threading.Event()
        self._released: Callable[[], Any] = lambda: None

    async def step(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """Hold the request until it is released."""
        loop, released = asyncio.get_running_loop(), asyncio.Event()
        self._released = lambda: loop.call_soon_threadsafe(released.set)
        self.begun.set()
        try:
            await released.wait()
        except asyncio.CancelledError:
            self.hung_up.set()
            raise
        return await GOOD(asked, writer)

    def release(self) -> None:
        """Let the request that is held be answered."""
        self._released()
