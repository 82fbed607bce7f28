"""Ports of loopback for servers that cannot choose one themselves."""

from __future__ import annotations

import random
import socket

# Below the ports that Linux (32768) and others (49152) give to outgoing connections and to listeners on port 0. A port
# from there can be taken by any connection of another test before the server listens on it.
_PORTS = range(12_000, 32_000)

# Unlike the module's functions, not seeded by tests: two processes with one seed would draw the same ports.
_random = random.SystemRandom()
_given: set[int] = set()


def free_port() -> int:
    """Return a port on which nobody listens, and that this process has not returned before.

    Ports are drawn at random, so two processes of a test run seldom draw the same.
    """
    while True:
        port = _random.choice(_PORTS)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port


def _is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except OSError:
        return False
