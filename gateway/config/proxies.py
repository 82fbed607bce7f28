"""Networks of trusted proxies: validation, and which peers are in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def proxy_networks(values: Iterable[str]) -> tuple[Network, ...]:
    """Return each address or network of ``values``, an address as a network of one. Raises ValueError with advice."""
    return tuple(_network(value) for value in values)


def is_within(address: str, networks: Iterable[Network]) -> bool:
    """Return True if ``address`` is an IP address in one of ``networks``.

    A server that listens on all addresses sees IPv4 peers as mapped IPv6 addresses (RFC 4291, section 2.5.5.2).
    """
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks)


def _network(value: str) -> Network:
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        raise ValueError("write each as an IP address or a network, such as 10.0.0.5, 10.0.0.0/8 or fd00::/8") from None
    if interface.ip != interface.network.network_address:
        raise ValueError(f"one network starts in the middle; write {interface.network} or the address without a slash")
    return interface.network
