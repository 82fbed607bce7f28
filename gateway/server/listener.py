"""Run an application as a listening server: sockets, workers, banner and signals."""

from __future__ import annotations

import errno
import math
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.supervisors import Multiprocess

from gateway.server.graceful_shutdown import Server

# Request line and headers: a token of 16 kB, and headers of browsers and proxies.
MAX_HEAD_BYTES = 65_536

# Builds the application in a worker process.
Factory = Callable[[], ASGIApp]

# Longer than the 60 s of common load balancers, so that they close idle keep-alive connections first.
KEEP_ALIVE_SECONDS = 75

# Errors that another port can fix: the port is in use, or needs more privileges.
_PORT_ERRORS = frozenset({errno.EADDRINUSE, errno.EACCES})


class CannotListen(Exception):
    """Listening on the address failed; the message says what to do."""


def _reason(number: int) -> str:
    # Python's own message for a failed bind repeats the address.
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
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            return socket.create_server((self.host.strip("[]"), self.port), family=family, backlog=2_048)
        except (OSError, UnicodeError) as error:
            number = getattr(error, "errno", None) or 0
            raise CannotListen(
                f"Cannot listen on {self.host} port {self.port}: {_reason(number)}. Choose another with"
                f" {'--port' if number in _PORT_ERRORS else '--host'}."
            ) from None

    def config(self, app: ASGIApp | Factory, *, workers: int = 1) -> uvicorn.Config:
        """Return the uvicorn configuration for ``app``. Several workers need a factory, which is pickled."""
        config_class = _WorkerConfig if workers > 1 else uvicorn.Config
        return config_class(
            app,
            factory=workers > 1,
            workers=workers,
            lifespan="on",
            http=_http(),
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


def _http() -> Any:
    """Return BoundedHttpProtocol, or uvicorn's h11 protocol if httptools is missing; h11 itself limits heads."""
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


class _WorkerConfig(uvicorn.Config):
    """A worker's configuration, loaded after the server has installed its signal handlers."""

    def load(self) -> None:
        # The supervisor always creates plain servers. This worker's server is found through its signal handler.
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if type(server) is uvicorn.Server:
            server.__class__ = Server
        # Discard an earlier Ctrl-C by ignoring the signal briefly: the supervisor handles it.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, handler)
        super().load()


class _AnnouncedWorkers(Multiprocess):
    """Workers that announce their address once one of them accepts connections."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], announce: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._announce: Callable[[], None] | None = announce

    def init_processes(self) -> None:
        # Start the resource tracker first. The first worker would start it otherwise, and its start unblocks Ctrl-C.
        resource_tracker.ensure_running()
        with _ctrl_c_blocked():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        with _ctrl_c_blocked():
            super().keep_subprocess_alive()
        workers = () if self.signal_queue else self.processes
        if self._announce and any(worker.process.is_alive() and worker.is_ready() for worker in workers):
            self._announce()
            self._announce = None


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Block Ctrl-C until the block ends; processes started inside unblock it when they load their configuration.

    A terminal also sends it to the workers, and one that is still importing would end with a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run_several(factory: Factory, listener: Listener, workers: int, announce: Callable[[str], None]) -> None:
    """Serve with several processes on one socket until a signal stops them. Raises CannotListen."""
    bound = listener.bind()
    config = listener.config(factory, workers=workers)
    _AnnouncedWorkers(config, [bound], lambda: announce(url_of(bound))).run()
