"""Origins (scheme://host:port): validation, and which hosts are loopback or private."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# No top-level domain has these names (RFC 6761, RFC 6762, ICANN's "internal", Kubernetes' ".svc").
_LOCAL_NAME = re.compile(r"(?!\d+$|0x)[a-z0-9_-]+|[a-z0-9_.-]+\.(?:local|internal|localhost|svc)", re.ASCII)

# A name, an IPv4 address, or an IPv6 address in brackets, as browsers write them.
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}

# Extensions and desktop clients have their own schemes: chrome-extension://…, altair://-, capacitor://localhost.
_APP_ORIGIN = re.compile(
    r"((?P<scheme>[a-z][a-z0-9+.-]*)://[A-Za-z0-9._-]+(?::[1-9][0-9]{0,4})?)(?:[/?#].*)?", re.ASCII
)

# No page has an origin with one of these schemes.
_PAGELESS_SCHEMES = frozenset({"about", "blob", "data", "file", "ftp", "javascript", "ws", "wss"})

# RFC 1918, section 3, and RFC 4193. Python's ``is_private`` has more, such as the addresses of cloud metadata services.
_PRIVATE_NETWORKS = [
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
]


def is_loopback(host: str) -> bool:
    """Return True if ``host`` is reachable only from this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def upstream_origin(value: str) -> str:
    """Return ``value`` as an upstream's origin, with a lower-case host. Raises ValueError with advice."""
    try:
        parts = urlsplit(value)
        is_origin = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin:
        raise ValueError("set it to `sandbox` or an origin such as https://api.partnercenter.microsoft.com")
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc or re.search(r"[\s\\?#]", value):
        raise ValueError("set only the origin, without path, query or user name; see GATEWAY_UPSTREAM_PATH_PREFIX")
    if parts.scheme == "http" and not _is_private(parts.hostname or ""):
        raise ValueError("plain http exposes the token, so it is only for loopback and private hosts; use https")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _is_private(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # A name without a dot, or under a suffix reserved for local use, is a service name such as compose's. A number
        # is an obfuscated address, and non-ASCII characters may be normalized to a dot.
        return _LOCAL_NAME.fullmatch(host) is not None
    return address.is_loopback or any(address in network for network in _PRIVATE_NETWORKS)


def check_browser_origin(value: str) -> None:
    """Raise ValueError, with the text to write instead, unless a browser could send ``value`` in its Origin header."""
    if "*" in value:
        raise ValueError("an origin cannot have a wildcard; list each host, such as https://app.example.com, or only *")
    try:
        sent = _as_sent(value)
    except ValueError:
        sent = None
    if sent is None:
        raise ValueError("write each as scheme://host or scheme://host:port, or *")
    if sent != value:
        raise ValueError(f"browsers send no path, final slash, capitals or default port; write {sent}")


def _as_sent(url: str) -> str | None:
    """Return the origin of ``url`` as browsers send it (RFC 6454, section 6.2), or None. May raise ValueError."""
    app = _APP_ORIGIN.fullmatch(url)
    # A scheme with only the letters of "https" is that one, misspelled.
    if app and app["scheme"] not in _PAGELESS_SCHEMES and not set(app["scheme"]) <= set("https"):
        return app[1]
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        return None
    if ":" in parts.hostname:
        host = f"[{ipaddress.IPv6Address(parts.hostname)}]"
    else:
        host = parts.hostname.encode("idna").decode("ascii")
    if not _HOST.fullmatch(host):
        return None
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"
