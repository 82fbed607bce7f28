"""What traces and metrics have in common on their way to an OpenTelemetry collector. Imported only if there is one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from opentelemetry.sdk.resources import Resource

SERVICE = "partner-center-graphql"

# What is left at the end is sent within this time, or not at all: a third of what the manifests leave between the grace
# time and the kill.
FLUSH_SECONDS = 5.0

# How often the log tells that a collector cannot be reached (our choice; the exporters would say it at every attempt).
QUIET_SECONDS = 300.0


def resource_for(environment: Mapping[str, str]) -> Resource:
    """Who sends: the service's name unless ``environment`` has one, and an id that each process makes for itself."""
    named = "OTEL_SERVICE_NAME" in environment or "service.name" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({} if named else {"service.name": SERVICE})


class Seldom(logging.Filter):
    """Lets a line pass, and no other for ``QUIET_SECONDS``. ``clock`` is in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._quiet_until = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to tell ``record``."""
        now = self._clock()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + QUIET_SECONDS
        return True
