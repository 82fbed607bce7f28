"""A server that ends in an orderly way."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time

import uvicorn

# How often a server that stops looks whether it was told so again; as often as uvicorn does.
LOOK_SECONDS = 0.1
# What a reply of a few hundred bytes needs to leave the process; a client that does not read is not waited for.
FAREWELL_SECONDS = 1.0


class Server(uvicorn.Server):
    """uvicorn's, which would refuse connections as soon as it is told to stop.

    This one tells the application first (``stopping`` in the lifespan's state) and listens on while requests
    are in flight, so that whoever asks meanwhile is told, too. Then it closes everything.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the requests in flight come to their end, for so long as the grace time lasts, and close."""
        logging.getLogger("uvicorn.error").addFilter(_is_news)
        stopping = self.lifespan.state.get("stopping")
        if stopping is not None:
            stopping()
            await self._drain()
        await super().shutdown(sockets)
        if self.force_exit:
            # A second Ctrl-C waits for no request, but what the application holds is closed all the same.
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        await self._farewell()

    async def _drain(self) -> None:
        end_seconds = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        left_seconds = end_seconds - time.monotonic()
        in_flight = set(self.server_state.tasks)
        while in_flight and left_seconds > 0 and not self.force_exit:
            _, in_flight = await asyncio.wait(in_flight, timeout=min(LOOK_SECONDS, left_seconds))
            left_seconds = end_seconds - time.monotonic()
        # The rest of the grace time is for those that came since, if the others are done.
        self.config.timeout_graceful_shutdown = 0 if in_flight else max(1, math.ceil(left_seconds))

    async def _farewell(self) -> None:
        """Let what was cut off say so: a worker process dies as soon as this server has ended."""
        end_seconds = time.monotonic() + FAREWELL_SECONDS
        while (self.server_state.tasks or self.server_state.connections) and time.monotonic() < end_seconds:  # noqa: ASYNC110  # uvicorn has no event
            await asyncio.sleep(LOOK_SECONDS / 10)


def _is_news(record: logging.LogRecord) -> bool:
    """False for a request that was cut off at the end of the grace time; another line tells how many were."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
