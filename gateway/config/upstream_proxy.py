"""The proxy for the upstream, from ``GATEWAY_UPSTREAM_PROXY``, or else from HTTPS_PROXY and NO_PROXY."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from gateway.network.proxies import OFF, ProxyAddress, exempting_variable, proxy_address, proxy_for

_NAME = "GATEWAY_UPSTREAM_PROXY"


def checked_proxy(value: str | None) -> str | None:
    """Return the setting's value with a scheme. Raises ValueError with advice."""
    if not value:
        return None
    if value.lower() == OFF:
        return OFF
    proxy_address(value)
    return value if "://" in value else f"http://{value}"


def upstream_proxy(setting: str | None, upstream_url: str, environment: Mapping[str, str]) -> ProxyAddress | None:
    """Return the proxy for the upstream's origin. Raises ValueError, naming the variable."""
    if setting is None:
        return proxy_for(upstream_url, environment)
    if setting == OFF or "://" not in upstream_url:
        return None
    if not upstream_url.startswith("https:"):
        raise ValueError(f"{_NAME}: a proxy would see the token, because the upstream is plain http; set it to `off`")
    return replace(proxy_address(setting), variable=_NAME)


def described_route(setting: str | None, upstream_url: str, environment: Mapping[str, str]) -> str:
    """Return how the upstream will be reached, and the variable that decides it, for display. Raises ValueError."""
    if "://" not in upstream_url:
        return "embedded in this process"
    proxy = upstream_proxy(setting, upstream_url, environment)
    if proxy is not None:
        return f"through the proxy {proxy.place} ({proxy.variable})"
    deciding = _NAME if setting == OFF else exempting_variable(upstream_url, environment)
    return f"directly ({deciding})" if deciding else "directly"
