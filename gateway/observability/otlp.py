"""Shared parts of the OTLP export of traces and metrics. Imported only if an OpenTelemetry collector is configured."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource
from requests import Session
from requests.adapters import HTTPAdapter

from gateway.network.trust import trust_store
from gateway.version import DISTRIBUTION, VERSION

SERVICE = DISTRIBUTION

# At shutdown, remaining data is sent within this time or dropped: a third of the time between the end of the grace time
# and the kill in the manifests.
FLUSH_SECONDS = 5.0

# Shortest time between two log lines about an unreachable collector (our choice; the exporters log every attempt).
QUIET_SECONDS = 300.0


def resource_for(environment: Mapping[str, str]) -> Resource:
    """Return the resource: the service's name and version, unless ``environment`` has a name, and a random id."""
    named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": SERVICE, "service.version": VERSION})


def session() -> Session:
    """Return a session for an exporter that trusts whom the gateway trusts. Raises TrustFault."""
    session = Session()
    session.mount("https://", _TrustingAdapter())
    return session


class _TrustingAdapter(HTTPAdapter):
    """Replaces the certificate authorities that requests brings along; OTEL_EXPORTER_OTLP_CERTIFICATE adds to them."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=trust_store(), **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=trust_store(), **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        super().cert_verify(conn, url, verify, cert)
        if verify is True:
            conn.ca_certs = conn.ca_cert_dir = None


class Seldom(logging.Filter):
    """Log filter that passes one record per ``QUIET_SECONDS``. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_until = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        now = self._clock()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + QUIET_SECONDS
        return True
