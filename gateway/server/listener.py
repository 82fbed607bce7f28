"""From an application to a listening server: sockets, workers, banner and an orderly end."""

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

# A request line and headers: a token of 16 kB, and what browsers and proxies add.
MAX_HEAD_BYTES = 65_536

# Makes an application in a process of its own.
Factory = Callable[[], ASGIApp]

# Idle keep-alive connections; longer than the 60 s of common load balancers, so that they close first.
KEEP_ALIVE_SECONDS = 75

# What another port may mend: it is in use, or needs rights that we lack.
_PORT_FAULTS = frozenset({errno.EADDRINUSE, errno.EACCES})


class CannotListen(Exception):
    """The address cannot be listened on; the message says what to do."""


def _number(error: Exception) -> int:
    return (error.errno or 0) if isinstance(error, OSError) else 0


def _reason(error: Exception) -> str:
    # Python's own text for a failed bind repeats the address.
    number = _number(error)
    if number == errno.EADDRINUSE:
        return "it is in use"
    return os.strerror(number).lower() if number in errno.errorcode else "there is no such address"


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
            raise CannotListen(
                f"Cannot listen on {self.host} port {self.port}: {_reason(error)}. Choose another with"
                f" {'--port' if _number(error) in _PORT_FAULTS else '--host'}."
            ) from None

    def config(self, app: ASGIApp | Factory, *, workers: int = 1) -> uvicorn.Config:
        """How uvicorn is to serve ``app``; several workers need a factory, which is pickled."""
        kind = _WorkerConfig if workers > 1 else uvicorn.Config
        return kind(
            app,
            factory=workers > 1,
            workers=workers,
            lifespan="on",
            http=_http(),
            log_config=None,
            access_log=False,
            server_header=False,
            # Nothing here depends on the client's address or scheme, so no header is believed about them.
            proxy_headers=False,
            date_header=self.date_header,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=math.ceil(self.shutdown_grace_seconds),
        )


def _http() -> Any:
    """Ours over httptools; where that is not at hand, uvicorn's over h11, which bounds heads by itself."""
    try:
        from gateway.server.http_protocol import BoundedHttpProtocol
    except ImportError:
        return "h11"
    return BoundedHttpProtocol


class _AnnouncedServer(Server):
    """A server that says where it is once it can be reached."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()


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


def run_one(app: ASGIApp, listener: Listener, announce: Callable[[str], None]) -> None:
    """Serve until told to stop. Raises CannotListen, and SystemExit when the application cannot start."""
    bound = listener.bind()
    _AnnouncedServer(listener.config(app), lambda: announce(url_of(bound))).run(sockets=[bound])


class _WorkerConfig(uvicorn.Config):
    """A worker's configuration; it is loaded once the server's own signal handlers are in place."""

    def load(self) -> None:
        # The supervisor makes plain servers, and lets nobody else make them; by its handler this one is known.
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if type(server) is uvicorn.Server:
            server.__class__ = Server
        # A Ctrl-C that came before is the supervisor's business: ignored for a moment, it is forgotten.
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        signal.signal(signal.SIGINT, handler)
        super().load()


class _AnnouncedWorkers(Multiprocess):
    """Workers that say where they are once one of them can be reached."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], announce: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._announce: Callable[[], None] | None = announce

    def init_processes(self) -> None:
        # Started with the first worker otherwise, and its start lets Ctrl-C through again.
        resource_tracker.ensure_running()
        with _ctrl_c_held():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        with _ctrl_c_held():
            super().keep_subprocess_alive()
        workers = () if self.signal_queue else self.processes
        if self._announce and any(worker.process.is_alive() and worker.is_ready() for worker in workers):
            self._announce()
            self._announce = None


@contextmanager
def _ctrl_c_held() -> Iterator[None]:
    """Ctrl-C waits until the end of the block, and in a process started inside until it loads its configuration.

    A terminal sends it to the workers, too, and one that is still importing would end with a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run_several(factory: Factory, listener: Listener, workers: int, announce: Callable[[str], None]) -> None:
    """Serve with several processes behind one socket until told to stop. Raises CannotListen."""
    bound = listener.bind()
    config = listener.config(factory, workers=workers)
    _AnnouncedWorkers(config, [bound], lambda: announce(url_of(bound))).run()
