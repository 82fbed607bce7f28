"""Logging, metrics, the access log, tracing and OpenTelemetry export."""
