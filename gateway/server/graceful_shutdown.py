"""Graceful shutdown: finish requests in flight, then close."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time

import uvicorn

# Polling interval during shutdown, the same as uvicorn's.
POLL_SECONDS = 0.1
# Time to send a response of a few hundred bytes; slow clients get no longer.
FLUSH_SECONDS = 1.0


class Server(uvicorn.Server):
    """A uvicorn server that keeps accepting connections while requests are in flight.

    On shutdown it first calls ``stopping`` in the lifespan's state, so that new requests get an error response. Plain
    uvicorn refuses connections at once. When the requests have finished, it closes everything.
    """

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the requests in flight, at most for the grace time, then close."""
        logging.getLogger("uvicorn.error").addFilter(_is_not_cancellation)
        stopping = self.lifespan.state.get("stopping")
        if stopping is not None:
            stopping()
            await self._drain()
        await super().shutdown(sockets)
        if self.force_exit:
            # After a second Ctrl-C, do not wait for requests. The application still closes its resources.
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        await self._flush_responses()

    async def _drain(self) -> None:
        end_seconds = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        left_seconds = end_seconds - time.monotonic()
        in_flight = set(self.server_state.tasks)
        while in_flight and left_seconds > 0 and not self.force_exit:
            _, in_flight = await asyncio.wait(in_flight, timeout=min(POLL_SECONDS, left_seconds))
            left_seconds = end_seconds - time.monotonic()
        # Requests that arrived during the shutdown get the rest of the grace time, if all earlier requests have
        # finished.
        self.config.timeout_graceful_shutdown = 0 if in_flight else max(1, math.ceil(left_seconds))

    async def _flush_responses(self) -> None:
        """Wait until canceled requests have sent their error responses: a worker exits right after this server."""
        end_seconds = time.monotonic() + FLUSH_SECONDS
        while (self.server_state.tasks or self.server_state.connections) and time.monotonic() < end_seconds:  # noqa: ASYNC110  # uvicorn has no event
            await asyncio.sleep(POLL_SECONDS / 10)


def _is_not_cancellation(record: logging.LogRecord) -> bool:
    """Return False for tracebacks of requests canceled after the grace time; another line logs their number."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
