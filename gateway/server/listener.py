"""Run an application as a listening server: sockets, banner and signals."""

from __future__ import annotations

import errno
import math
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from gateway.server.graceful_shutdown import Server

# Request line and headers: a token of 16 kB, and headers of browsers and proxies.
MAX_HEAD_BYTES = 65_536

# Builds the application in a worker process.
Factory = Callable[[], ASGIApp]

# Proxies must close idle connections first: a POST that crosses the server's close is lost, because no proxy repeats
# it. nginx and AWS keep connections for 60 s, Traefik 90 s, Caddy and Azure 120 s, and Google Cloud, which recommends
# this value, 600 s.
KEEP_ALIVE_SECONDS = 620

# The longest time that sent data may stay unread in the kernel; reader_watch.py covers data that the server holds. The
# gateway promises a minute. Measured: the kernel notices up to three seconds late.
UNREAD_SECONDS = 50

# Errors that another port can fix: the port is in use, or needs more privileges.
_PORT_ERRORS = frozenset({errno.EADDRINUSE, errno.EACCES})


class CannotListen(Exception):
    """Listening on the address failed; the message says what to do."""


def _number(error: Exception) -> int:
    return (error.errno or 0) if isinstance(error, OSError) else 0


def _reason(error: Exception) -> str:
    # Python's own message for a failed bind repeats the address.
    number = _number(error)
    if number == errno.EADDRINUSE:
        return "it is in use"
    return os.strerror(number).lower() if number in errno.errorcode else "there is no such address"


@dataclass(frozen=True, slots=True)
class Listener:
    """Address to listen on, grace time for requests in flight, and whether responses get a Date header."""

    host: str
    port: int
    shutdown_grace_seconds: float = 25.0
    date_header: bool = True

    def bind(self) -> socket.socket:
        """Return a bound socket. Raises CannotListen."""
        is_ipv6 = ":" in self.host
        try:
            bound = socket.create_server(
                (self.host.strip("[]"), self.port),
                family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
                backlog=2_048,
                # "::" means every address, those of IPv4 included.
                dualstack_ipv6=is_ipv6 and socket.has_dualstack_ipv6(),
            )
        except (OSError, UnicodeError) as error:
            raise CannotListen(
                f"Cannot listen on {self.host} port {self.port}: {_reason(error)}. Choose another with"
                f" {'--port' if _number(error) in _PORT_ERRORS else '--host'}."
            ) from None
        _limit_unread_time(bound)
        return bound

    def config(self, app: ASGIApp | Factory, *, workers: int = 1, kind: type[uvicorn.Config] = uvicorn.Config) -> Any:
        """Return the uvicorn configuration for ``app``. Several workers need a factory, which is pickled."""
        return kind(
            app,
            factory=workers > 1,
            workers=workers,
            lifespan="on",
            http=_http(),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing depends on the client's address or scheme, so headers about them are ignored.
            proxy_headers=False,
            date_header=self.date_header,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(self.shutdown_grace_seconds),
        )


def _limit_unread_time(bound: socket.socket) -> None:
    """Let the kernel reset connections whose client does not read the data in the kernel's buffer; see tcp(7)."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        bound.setsockopt(socket.IPPROTO_TCP, option, UNREAD_SECONDS * 1_000)


def _http() -> Any:
    """Return our protocol over httptools; without httptools, uvicorn's h11, which limits heads itself."""
    try:
        from gateway.server.http_protocol import BoundedHttpProtocol
    except ImportError:
        return "h11"
    return BoundedHttpProtocol


class _AnnouncedServer(Server):
    """A server that announces its address once it accepts connections."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


def url_of(bound: socket.socket) -> str:
    """Return the URL of a bound socket, with a host name for users."""
    host, port = bound.getsockname()[:2]
    names = {"0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104  # read, not bound
    shown = names.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def end_quietly_on_signals() -> None:
    """Install handlers that end the process with exit code 0 on Ctrl-C and SIGTERM.

    A running server has its own handlers, and raises the signal again after its shutdown.
    """

    def exit_process(*_: Any) -> None:
        sys.exit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, exit_process)


def run_one(app: ASGIApp, listener: Listener, announce: Callable[[str], None]) -> None:
    """Serve until a signal stops it. Raises CannotListen, and SystemExit if the application cannot start."""
    bound = listener.bind()
    _AnnouncedServer(listener.config(app), lambda: announce(url_of(bound))).run(sockets=[bound])
