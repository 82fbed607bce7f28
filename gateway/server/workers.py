"""Serve with several processes on one socket, under a supervisor that restarts them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from threading import Thread

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from gateway.server.graceful_shutdown import Server
from gateway.server.listener import Factory, Listener, url_of

# The time for a worker to start (our choice). uvicorn's health checks, of five seconds, begin at once: an overloaded
# machine would replace workers while they start, again and again, which adds to the load.
START_SECONDS = 60.0


# Windows lacks it, and with it the way in which a terminal's Ctrl-C is kept from workers that still start.
CAN_RUN_SEVERAL = hasattr(signal, "pthread_sigmask")


class _WorkerConfig(uvicorn.Config):
    """A worker's configuration, loaded after the server has installed its signal handlers."""

    def load(self) -> None:
        # The supervisor always creates plain servers. Get this worker's server through its signal handler.
        server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if type(server) is uvicorn.Server:
            server.__class__ = Server
            Thread(target=_end_with_supervisor, args=(server,), daemon=True).start()
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
        # Otherwise the resource tracker starts with the first worker, and its start unblocks Ctrl-C.
        resource_tracker.ensure_running()
        with _ctrl_c_blocked():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        for worker in self.processes:
            _let_start(worker)
        with _ctrl_c_blocked():
            super().keep_subprocess_alive()
        workers = () if self.signal_queue else self.processes
        if self._announce and any(worker.process.is_alive() and worker.is_ready() for worker in workers):
            self._announce()
            self._announce = None

    def terminate_all(self) -> None:
        # Otherwise the kernel would accept connections after the last worker has closed the socket, and reset them.
        for bound in self.sockets:
            bound.close()
        super().terminate_all()


def _let_start(worker: Process) -> None:
    """Let ``worker`` miss health checks until it is ready, but not for longer than START_SECONDS."""
    if "is_alive" in vars(worker):
        return
    is_alive, give_up, is_ready = worker.is_alive, time.monotonic() + START_SECONDS, False

    def is_alive_or_starting(timeout: float) -> bool:
        nonlocal is_ready
        if is_ready or time.monotonic() > give_up:
            return is_alive(timeout)
        is_ready = worker.process.is_alive() and worker.is_ready(timeout=0.1)
        return worker.process.is_alive()

    worker.is_alive = is_alive_or_starting  # type: ignore[method-assign,assignment]  # uvicorn creates the worker


def _end_with_supervisor(server: Server) -> None:
    """End this worker gracefully if its supervisor dies. Workers get no signal if it is killed (kill -9)."""
    supervisor = parent_process()
    if supervisor is not None:
        supervisor.join()
        server.is_orphan = True
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Block Ctrl-C until the block ends; processes started inside unblock it when they load their configuration.

    A terminal also sends Ctrl-C to the workers, and a worker that is still importing would end with a traceback.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def run_several(factory: Factory, listener: Listener, workers: int, announce: Callable[[str], None]) -> None:
    """Serve with several processes on one socket until a signal stops them. Raises CannotListen."""
    bound = listener.bind()
    config = listener.config(factory, workers=workers, kind=_WorkerConfig)
    _AnnouncedWorkers(config, [bound], lambda: announce(url_of(bound))).run()
