"""Applications behind real TLS on loopback, with a private certificate authority."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tests.certificates import Certificate, certificate


@dataclass(frozen=True, slots=True)
class TLSServer:
    """A running server: its port, and the files of its certificate."""

    port: int
    files: Certificate

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def tls_server(app: Any, folder: Path, *names: str) -> Iterator[TLSServer]:
    """Serve ``app`` in a separate thread with a certificate for ``names``, by default for 127.0.0.1."""
    files = certificate(folder, *(names or ("127.0.0.1",)))
    bound = socket.create_server(("127.0.0.1", 0), backlog=128)
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="on",
        ssl_certfile=files.chain,
        ssl_keyfile=files.key,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        thread.join(0.01)
    try:
        yield TLSServer(bound.getsockname()[1], files)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()
