"""Outgoing proxies: their addresses, and which connections use one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import unquote, urlsplit

OFF = "off"

# For a proxy without a port: those of the scheme.
_DEFAULT_PORTS = {"http": 80, "https": 443}

_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_ADDRESS_START = re.compile(r"(\d{1,3}\.){1,3}\*?(\.\*)*")


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """A proxy that tunnels connections (CONNECT; RFC 9110, 9.3.6), spoken to in plain or over TLS."""

    host: str
    port: int
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    # The environment variable that named it.
    variable: str = field(default="HTTPS_PROXY", compare=False)

    @property
    def place(self) -> str:
        """Host and port for display, without user name and password."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def proxy_address(text: str) -> ProxyAddress:
    """Return the address in ``text``, a URL or a host and port. Raises ValueError with advice, without ``text``."""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    is_address = bool(host) and port != 0 and not re.search(r"\s", text)
    if not is_address or parts.scheme not in _DEFAULT_PORTS or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "set it to a proxy's address such as http://proxy.example:8080, with http or https; a user name and a"
            " password go before the host, as in http://user:password@proxy.example:8080, with their special characters"
            " percent-encoded"
        )
    return ProxyAddress(
        host or "",
        port or _DEFAULT_PORTS[parts.scheme],
        None if parts.username is None else unquote(parts.username),
        None if parts.password is None else unquote(parts.password),
        parts.scheme == "https",
    )


def route_of(url: str, proxy: ProxyAddress | None) -> str:
    """Return host and port of ``url``, and the proxy if there is one, for display: without user name and password."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return place if proxy is None else f"{place} through the proxy {proxy.place}"


def proxy_for(url: str, environment: Mapping[str, str]) -> ProxyAddress | None:
    """Return the proxy that HTTPS_PROXY and NO_PROXY name for ``url``; None for plain http. Raises ValueError.

    As in other programs, the lower-case names win. Plain http goes to loopback and private hosts only, and a proxy
    would see its token.
    """
    if not url.startswith("https:"):
        return None
    name, text = _variable("HTTPS_PROXY", environment)
    if not text.strip() or exempting_variable(url, environment):
        return None
    try:
        return replace(proxy_address(text.strip()), variable=name)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def exempting_variable(url: str, environment: Mapping[str, str]) -> str | None:
    """Return the name of the variable that exempts ``url`` from HTTPS_PROXY; None if it is not exempt."""
    name, exemptions = _variable("NO_PROXY", environment)
    proxy = _variable("HTTPS_PROXY", environment)[1]
    return name if proxy.strip() and url.startswith("https:") and _is_exempt(url, exemptions) else None


def _variable(name: str, environment: Mapping[str, str]) -> tuple[str, str]:
    used = name.lower() if name.lower() in environment else name
    return used, environment.get(used, "")


def _is_exempt(url: str, exemptions: str) -> bool:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    return any(_names(entry, host, port) for entry in re.split(r"[,\s]+", exemptions.lower()) if entry)


def _names(entry: str, host: str, port: int) -> bool:
    """Return True if an entry of NO_PROXY names ``host``: itself, a domain above it, or a network around it."""
    if entry == "*":
        return True
    # The beginning of an IPv4 address, such as 192.168.* or 10., as browsers and Java take it.
    if _ADDRESS_START.fullmatch(entry) and _ADDRESS.fullmatch(host):
        return host.startswith(entry.rstrip("*.") + ".")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass
    name, separator, its_port = entry.rpartition(":")
    if separator and its_port.isdecimal() and (name.startswith("[") or ":" not in name):
        if int(its_port) != port:
            return False
        entry = name
    entry = entry.strip("[]").removeprefix("*").lstrip(".")
    # A dot at the end makes a name absolute (RFC 1034, section 3.1).
    entry, host = entry.rstrip("."), host.rstrip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))
