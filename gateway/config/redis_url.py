"""The address of the shared cache, from ``GATEWAY_CACHE_URL``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

MEMORY = "memory://"

# Redis' own port (IANA, and its documentation).
DEFAULT_PORT = 6379


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Address of a Redis or Valkey server, with the database to use."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False

    @property
    def place(self) -> str:
        """Host and port for display, without user name and password."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def cache_address(url: str) -> RedisAddress | None:
    """Return the server in ``url``, or None for ``memory://``. Raises ValueError with advice."""
    if url == MEMORY:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or not url.startswith(("redis://", "rediss://")) or re.search(r"\s", url):
        raise ValueError(
            "set it to `memory://`, or to redis://host:port or rediss://host:port (with TLS); a password goes before"
            " the host, as in redis://:password@host:port, with its special characters percent-encoded"
        )
    if parts.query or parts.fragment or not re.fullmatch(r"/?|/\d{1,5}", parts.path, re.ASCII):
        raise ValueError("after the host allow only a database number, as in redis://host:port/2")
    return RedisAddress(
        host=host,
        port=port or DEFAULT_PORT,
        database=int(parts.path[1:] or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
    )
