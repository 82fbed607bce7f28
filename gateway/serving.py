"""From an application to a listening server: sockets, workers, banner and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

# A request's headers: a token of 16 kB and what browsers add (h11 refuses more; httptools has no bound of its own).
MAX_HEADER_BYTES = 65_536

# Idle keep-alive connections; longer than the 60 s of common load balancers, so that they close first.
KEEP_ALIVE_SECONDS = 75


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where to listen, how long requests in flight have at the end, and whether replies get a Date header."""

    host: str
    port: int
    shutdown_grace_seconds: float = 25.0
    date_header: bool = True

    def bind(self) -> socket.socket:
        """The bound socket. Raises CannotListen."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host.strip("[]"), self.port), family=family, backlog=2_048)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "there is no such address"
            raise CannotListen(
                f"Cannot listen on {self.host} port {self.port}: {reason}. Choose another with --port."
            ) from None

    def config(self, app: ASGIApp | str, *, workers: int = 1) -> uvicorn.Config:
        """How uvicorn is to serve ``app``; an import string names a factory, which several workers need."""
        return uvicorn.Config(
            app,
            factory=isinstance(app, str),
            workers=workers,
            lifespan="on",
            http=_http(),
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here depends on the client's address or scheme, so no header is believed about them.
            proxy_headers=False,
            date_header=self.date_header,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(self.shutdown_grace_seconds)),
        )


def _http() -> Any:
    """Ours over httptools; where that is not at hand, uvicorn's over h11, which bounds heads by itself."""
    try:
        from gateway.http_protocol import BoundedHttpProtocol
    except ImportError:
        return "h11"
    return BoundedHttpProtocol


class _AnnouncedServer(uvicorn.Server):
    """A server that says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            # A second Ctrl-C waits for no request, but what the application holds is closed all the same.
            for task in self.server_state.tasks:
                task.cancel()
            await self.lifespan.shutdown()


def url_of(bound: socket.socket) -> str:
    """The address of a bound socket as a person types it."""
    host, port = bound.getsockname()[:2]
    names = {"0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104  # read, not bound
    shown = names.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def end_quietly_on_signals() -> None:
    """From now on Ctrl-C and SIGTERM end the process with exit code 0.

    A server has its own handlers while it runs; it raises the signal again once it has ended in order.
    """

    def leave(*_: Any) -> None:
        sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)


def _is_news(record: logging.LogRecord) -> bool:
    """False for a request that was cut off at the end of the grace time; another line tells how many were."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def run_one(app: ASGIApp, listener: Listener, announce: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises CannotListen, and SystemExit when the application cannot start."""
    bound = listener.bind()
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    _AnnouncedServer(listener.config(app), lambda: announce(url_of(bound))).run(sockets=[bound])


def run_several(factory: str, listener: Listener, workers: int, announce: Callable[[str], None]) -> None:
    """Serve with several processes behind one socket until told to stop. Raises CannotListen."""
    bound = listener.bind()
    config = listener.config(factory, workers=workers)
    announce(url_of(bound))
    Multiprocess(config, sockets=[bound]).run()
