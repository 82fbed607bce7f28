"""An upstream request that is held until the test releases it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.gateway.upstream.scripted import GOOD, UpstreamRequest


class HeldRequest:
    """Answer a request after ``release``. Events show that it has started, and that its client disconnected."""

    def __init__(self) -> None:
        self.started, self.disconnected = threading.Event(), threading.Event()
        self._released: Callable[[], Any] = lambda: None

    async def step(self, request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        """Hold the request until it is released."""
        loop, released = asyncio.get_running_loop(), asyncio.Event()
        self._released = lambda: loop.call_soon_threadsafe(released.set)
        self.started.set()
        try:
            await released.wait()
        except asyncio.CancelledError:
            self.disconnected.set()
            raise
        return await GOOD(request, writer)

    def release(self) -> None:
        """Let the held request be answered."""
        self._released()
