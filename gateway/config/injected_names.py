"""Environment variables that look like settings, but that Kubernetes or Docker sets for a service called "gateway"."""

from __future__ import annotations

import re
from collections.abc import Mapping

INJECTED = re.compile(r"GATEWAY_(SERVICE_.*|PORT_\d+_.*|NAME|ENV_.*)")


def injected_names(environment: Mapping[str, str]) -> list[str]:
    """Return ``GATEWAY_`` names that Kubernetes or Docker injects; they are ignored, and logged once."""
    return sorted(name for name in environment if INJECTED.fullmatch(name) or _is_injected_port(name, environment))


def _is_injected_port(name: str, environment: Mapping[str, str]) -> bool:
    return name == "GATEWAY_PORT" and environment[name].startswith(("tcp://", "udp://"))
