"""The address of the shared cache, from ``GATEWAY_CACHE_URL``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

MEMORY = "memory://"

# Redis' own port (IANA, and its documentation).
DEFAULT_PORT = 6379


# redis-py's names in URLs.
_AUTHORITY, _CERTIFICATE, _KEY = "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """PEM files: the only authority to trust instead of the system's, and the gateway's own certificate and key."""

    authority: str | None = None
    certificate: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Address of a Redis or Valkey server, with the database to use."""

    host: str
    port: int = DEFAULT_PORT
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    tls_files: TLSFiles = TLSFiles()

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
    if parts.username and not parts.password:
        raise ValueError(
            "a user name needs a password, as in redis://user:password@host:port; for a password alone put a colon"
            " before it, as in redis://:password@host:port"
        )
    if parts.fragment or not re.fullmatch(r"/?|/\d{1,5}", parts.path, re.ASCII):
        raise ValueError(
            "after the host allow only a database number, as in redis://host:port/2; percent-encode the special"
            " characters of a password"
        )
    return RedisAddress(
        host=host,
        port=port or DEFAULT_PORT,
        database=int(parts.path[1:] or 0),
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        tls_files=_tls_files(parts.query, is_encrypted=parts.scheme == "rediss"),
    )


def _tls_files(query: str, *, is_encrypted: bool) -> TLSFiles:
    """Return the files that the URL's parameters name. Raises ValueError with advice."""
    parameters = dict(parse_qsl(query, keep_blank_values=True))
    unknown = parameters.keys() - {_AUTHORITY, _CERTIFICATE, _KEY}
    if unknown or not all(parameters.values()) or (parameters and not is_encrypted):
        raise ValueError(
            f"the only parameters are {_AUTHORITY}, {_CERTIFICATE} and {_KEY}, each the path of a PEM file, for rediss://"
        )
    files = TLSFiles(parameters.get(_AUTHORITY), parameters.get(_CERTIFICATE), parameters.get(_KEY))
    if files.key and not files.certificate:
        raise ValueError(f"{_KEY} needs {_CERTIFICATE}")
    return files
