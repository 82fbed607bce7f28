"""The settings of the upstream client, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UpstreamConfig:
    """The upstream's address and the limits of calls to it. The fields are the ``GATEWAY_UPSTREAM_*`` settings."""

    base_url: str
    path_prefix: str = "/partner/v1"
    trailing_slash: bool = False
    timeout_seconds: float = 60
    operation_timeout_seconds: float = 120
    max_retries: int = 2
    max_concurrency: int = 4
    max_connections: int = 100
    max_body_bytes: int = 67_108_864
