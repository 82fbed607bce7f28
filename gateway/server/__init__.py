"""The HTTP server: listener, protocol limits, graceful shutdown and process tuning."""
