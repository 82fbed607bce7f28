"""Origins (scheme://host:port): validation, and which hosts are loopback or private."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

# No top-level domain has these names (RFC 6761, RFC 6762, ICANN's "internal", Kubernetes' ".svc").
_LOCAL_NAME = re.compile(r"(?!\d+$|0x)[a-z0-9_-]+|[a-z0-9_.-]+\.(?:local|internal|localhost|svc)", re.ASCII)

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
    """Raise ValueError unless a browser could send ``value`` in its Origin header."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or f"{parts.scheme}://{parts.netloc}" != value:
        raise ValueError("write each as scheme://host or scheme://host:port, or *")
