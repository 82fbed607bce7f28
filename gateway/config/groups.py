"""Groups of settings for the parts of the gateway. Fields have the names of the settings, which describe them."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from gateway.config.proxies import Network, proxy_networks
from gateway.config.upstream_proxy import upstream_proxy
from gateway.network.proxies import ProxyAddress, route_of

if TYPE_CHECKING:
    from gateway.config.settings import Settings

# The address of the sandbox in this process; no real host name ends like this (RFC 6761).
EMBEDDED_SANDBOX_URL = "http://sandbox.invalid"

NEW_TOKEN = "Get a new one and try again."  # noqa: S105  # a sentence


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """The upstream's address, and the bounds of calls to it: the ``GATEWAY_UPSTREAM_*`` settings.

    ``token_remedy`` is a sentence that names the token to use; the error for a refused token contains it. ``proxy`` is
    the one that the setting or HTTPS_PROXY names. If ``names_host``, errors name the host that cannot be reached.
    """

    base_url: str
    path_prefix: str = "/partner/v1"
    trailing_slash: bool = False
    timeout_seconds: float = 60
    operation_timeout_seconds: float = 120
    max_retries: int = 2
    max_concurrency: int = 4
    max_connections: int = 100
    max_body_bytes: int = 67_108_864
    token_remedy: str = NEW_TOKEN
    proxy: ProxyAddress | None = None
    names_host: bool = False

    @property
    def is_embedded(self) -> bool:
        """True if the upstream is the sandbox in this process."""
        return self.base_url == EMBEDDED_SANDBOX_URL

    @property
    def route(self) -> str:
        """The upstream's host and port, and the proxy if there is one, for logs."""
        return "embedded sandbox" if self.is_embedded else route_of(self.base_url, self.proxy)

    @property
    def identity(self) -> str:
        """Text that is equal only for equal upstreams. Redis entries, cursors and snapshots are bound to it.

        The embedded sandbox has a base URL that no other upstream can have.
        """
        url = urlsplit(self.base_url)
        port = url.port or (443 if url.scheme == "https" else 80)
        slash = " with a trailing slash" if self.trailing_slash else ""
        return f"{url.scheme}://{url.hostname}:{port}{self.path_prefix}{slash}"

    @classmethod
    def of(cls, settings: Settings, token_remedy: str = NEW_TOKEN, *, names_host: bool = False) -> Self:
        """Return the group's settings."""
        others: dict[str, Any] = {"token_remedy": token_remedy, "names_host": names_host}
        others["base_url"] = EMBEDDED_SANDBOX_URL if settings.is_sandbox else settings.upstream_url
        others["operation_timeout_seconds"] = settings.operation_timeout_seconds
        others["proxy"] = upstream_proxy(settings.upstream_proxy, settings.upstream_url, os.environ)
        names = {field.name for field in fields(cls)} - others.keys()
        return cls(**{name: getattr(settings, f"upstream_{name}") for name in names}, **others)


@dataclass(frozen=True, slots=True)
class CacheConfig:
    """The size of the memory cache and of its blocks, and the periods in which a block is fresh and then stale."""

    memory_bytes: int
    fresh_seconds: float
    stale_seconds: float
    first_block_rows: int
    block_rows: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the group's settings."""
        return cls(
            settings.cache_memory_bytes,
            settings.cache_fresh_seconds,
            settings.cache_stale_seconds,
            settings.first_block_rows,
            settings.block_rows,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one operation."""

    max_first_rows: int
    max_filter_bytes: int
    max_upstream_calls: int
    operation_timeout_seconds: float
    max_query_depth: int
    max_query_tokens: int
    max_query_aliases: int
    max_query_root_fields: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the group's settings."""
        return cls(**{field.name: getattr(settings, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Which browsers may call, which proxies are believed, and whether ``/metrics`` is served.

    If ``is_sandbox``, responses say that their rows come from the sandbox.
    """

    is_sandbox: bool = False
    cors_origins: tuple[str, ...] = ()
    cors_headers: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    shows_metrics: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the group's settings."""
        networks = proxy_networks(settings.trusted_proxies)
        return cls(settings.is_sandbox, settings.cors_origins, settings.cors_headers, networks, settings.metrics)
