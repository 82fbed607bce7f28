"""OpenTelemetry export, if its standard variables configure it; otherwise the library is not imported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.observability.otlp_metrics import Metering
    from gateway.observability.tracing import Tracing


@dataclass(frozen=True, slots=True)
class OpenTelemetry:
    """The configured exports; None for those that are off."""

    tracing: Tracing | None = None
    metering: Metering | None = None

    async def aclose(self) -> None:
        """Send the remaining data, within the flush time."""
        await asyncio.gather(*(part.aclose() for part in (self.tracing, self.metering) if part))


NOTHING = OpenTelemetry()


def opentelemetry_for(environment: Mapping[str, str]) -> OpenTelemetry:
    traces, metrics = _is_configured("TRACES", environment), _is_configured("METRICS", environment)
    if not traces and not metrics:
        return NOTHING
    try:
        from gateway.observability import otlp_metrics as metering
        from gateway.observability import tracing
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        # Imported lazily, so that `gateway --help` is fast.
        import structlog

        structlog.get_logger("gateway").warning(
            "no traces and metrics: the extra 'otel' is not installed; run: pip install 'partner-center-graphql[otel]',"
            " or in a clone: pip install -c requirements.lock '.[otel]'"
        )
        return NOTHING
    return OpenTelemetry(
        tracing.exporting(environment) if traces else None, metering.exporting(environment) if metrics else None
    )


def _is_configured(signal: str, environment: Mapping[str, str]) -> bool:
    """Return True if OTLP is among the named exporters or, if none is named, if there is an endpoint."""
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporters = environment.get(f"OTEL_{signal}_EXPORTER", "")
    if exporters.strip():
        return "otlp" in [name.strip().lower() for name in exporters.split(",")]
    names = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    return any(environment.get(name) for name in names)
