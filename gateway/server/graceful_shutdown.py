"""Graceful shutdown: finish requests in flight, then close every connection without resetting it."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog
import uvicorn

log = structlog.get_logger("gateway")

# Polling interval during shutdown, the same as uvicorn's.
POLL_SECONDS = 0.1

# Time to send a response of a few hundred bytes; slow clients get no longer.
FLUSH_SECONDS = 1.0

# The time that idle connections stay open after the last request in flight. A request that arrives in this time gets an
# error response, which closes its connection.
LAST_CALL_SECONDS = 0.5


class Server(uvicorn.Server):
    """A uvicorn server that keeps accepting connections while requests are in flight.

    On shutdown it first calls ``stopping`` in the lifespan's state, so that new requests get an error response. Plain
    uvicorn refuses connections at once. When the requests have finished, it closes everything.
    """

    # Set if the supervisor has died. The port must then be free immediately for the next supervisor.
    is_orphan = False

    # True once the grace time is over.
    _is_overdue = False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Wait for the requests in flight, at most for the grace time, then close."""
        logging.getLogger("uvicorn.error").addFilter(self._is_wanted)
        if self.is_orphan:
            await self._stop_listening(sockets or [])
        stopping = self.lifespan.state.get("stopping")
        if stopping is not None:
            seconds = self.config.timeout_graceful_shutdown
            log.info("stopping", requests_in_flight=len(self.server_state.tasks), grace_seconds=seconds)
            stopping()
            self._announce_closing()
            await self._drain()
        await self._stop_listening(sockets or [])
        if not self._is_overdue:
            await self._last_call()
        await super().shutdown(sockets)
        if self.force_exit:
            # After a second Ctrl-C no request is waited for, but the application still closes its resources.
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()
        self._reset_connections(only_unread=True)
        await self._flush_responses()
        self._reset_connections(only_unread=False)

    def _reset_connections(self, *, only_unread: bool) -> None:
        """Reset all connections, or only those of clients that do not read, which would otherwise stay open."""
        connections: list[Any] = list(self.server_state.connections)
        for connection in connections:
            if connection.flow.write_paused or not only_unread:
                connection.transport.abort()

    def _announce_closing(self) -> None:
        """Let responses in flight close their connections, unless more requests wait behind them."""
        for connection in self.server_state.connections:
            announce = getattr(connection, "announce_closing", None)
            if announce is not None:
                announce()

    async def _drain(self) -> None:
        end_seconds = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        left_seconds = end_seconds - time.monotonic()
        in_flight = set(self.server_state.tasks)
        is_announced = False
        while in_flight and left_seconds > 0 and not self.force_exit:
            _, in_flight = await asyncio.wait(in_flight, timeout=min(POLL_SECONDS, left_seconds))
            left_seconds = end_seconds - time.monotonic()
            if in_flight and not is_announced:
                _announce_wait(len(in_flight), math.ceil(left_seconds))
                is_announced = True
        self._is_overdue = bool(in_flight)
        # If the others have finished, newer requests get the rest of the grace time.
        self.config.timeout_graceful_shutdown = 0 if in_flight else max(1, math.ceil(left_seconds))

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        """Return False for uvicorn's log records that are wrong or useless during a shutdown."""
        # Tracebacks of requests canceled after the grace time; another line logs their number.
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return False
        # uvicorn logs an exceeded timeout even if a second Ctrl-C has ended the wait before.
        return not (self.force_exit and str(record.msg).startswith("Cancel "))

    async def _stop_listening(self, sockets: Sequence[socket.socket]) -> None:
        """Close the listening sockets, but serve the connections that the kernel has accepted already."""
        # Duplicates, because the loop closes the sockets, which would reset the connections that wait in them.
        duplicates = [bound.dup() for bound in sockets if bound.fileno() >= 0]
        for server in self.servers:
            server.close()
        for bound in sockets:
            bound.close()
        connections = [connection for duplicate in duplicates for connection in _closed(duplicate)]
        loop = asyncio.get_running_loop()
        for connection in connections:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        protocol: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # as in uvicorn
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def _last_call(self) -> None:
        """Wait until clients have closed their connections, or until those that remain are idle."""
        end_seconds = time.monotonic() + LAST_CALL_SECONDS
        while self.server_state.connections and time.monotonic() < end_seconds and not self.force_exit:  # noqa: ASYNC110  # the same
            await asyncio.sleep(POLL_SECONDS / 10)

    async def _flush_responses(self) -> None:
        """Wait until canceled requests have sent their error responses: a worker exits right after this server."""
        end_seconds = time.monotonic() + FLUSH_SECONDS
        while (self.server_state.tasks or self.server_state.connections) and time.monotonic() < end_seconds:  # noqa: ASYNC110  # uvicorn has no event
            await asyncio.sleep(POLL_SECONDS / 10)


def _closed(listening: socket.socket) -> list[socket.socket]:
    """Close a listening socket, and return the connections that waited in it."""
    connections = []
    listening.setblocking(False)
    with listening, suppress(OSError):  # accept() raises when no connection waits
        while True:
            connections.append(listening.accept()[0])
    return connections


def _announce_wait(requests: int, seconds: int) -> None:
    counted = f"{requests} request{'' if requests == 1 else 's'}"
    log.info(f"Waiting up to {seconds} s for {counted}; Ctrl-C again stops now.")
