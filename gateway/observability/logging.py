"""Logging to standard error, as JSON or text. No log line holds a token or a filter."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
from collections import deque
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec
import structlog

from gateway.observability.request_lines import as_request_line


class LineWriter:
    """Write log lines to ``stream``, batching all lines of one event-loop iteration into one write.

    Otherwise every request would cost a system call. Without a running loop, and at process exit, lines are written
    immediately.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: deque[str] = deque()
        atexit.register(self._flush)

    def write(self, line: str) -> None:
        """Queue ``line`` to be written in this event-loop iteration."""
        self._lines.append(line)
        if len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_soon(self._flush)
            except RuntimeError:
                self._flush()

    # structlog calls a logger by these method names.
    debug = info = warning = error = critical = exception = fatal = msg = log = failure = err = write

    def _flush(self) -> None:
        lines = []
        # Popped one by one because other threads may append at the same time.
        while self._lines:
            lines.append(self._lines.popleft())
        if lines:
            self._stream.write("\n".join([*lines, ""]))
            self._stream.flush()


_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def is_json(log_format: str) -> bool:
    """Return True if the log has this format: ``auto`` means text on a terminal, else JSON."""
    return log_format == "json" or (log_format == "auto" and not sys.stderr.isatty())


def configure_logging(log_format: str, level: str) -> None:
    """Configure structlog and the standard library to log to standard error, as JSON or text."""
    processors: list[structlog.typing.Processor]
    writer = LineWriter(sys.stderr)
    logger_class = structlog.make_filtering_bound_logger(logging.getLevelName(level.upper()))
    if not is_json(log_format):
        # Tracebacks omit local variables, which may include a token.
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        processors = [as_request_line, *_SHARED, renderer]
    else:
        processors = [_json_line]
        logger_class = type("JsonLogger", (_JsonLines, logger_class), {})
    structlog.configure(
        processors=processors,
        logger_factory=lambda *_: writer,
        wrapper_class=logger_class,
    )
    _configure_standard_library(level, processors[-1])


def log_unforeseen(error: BaseException, correlation_id: str) -> None:
    """Log a bug with its traceback, through the standard library: agents such as Sentry listen there."""
    facts = {"correlation_id": correlation_id}
    logging.getLogger("gateway").error("unforeseen error", exc_info=error, extra=facts)


def _json_line(logger: Any, name: str, event: structlog.typing.EventDict) -> str:
    """Render an event as one line of JSON, in a single processor because a chain of processors is slower."""
    event["level"] = name
    event["timestamp"] = datetime.now(UTC)
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, name, event)
    return msgspec.json.encode(event, enc_hook=repr).decode()


class _JsonLines:
    """Mixin for a structlog logger with a single processor; it halves the time per event."""

    _context: structlog.typing.Context
    _logger: LineWriter

    def _proxy_to_logger(self, method_name: str, event: str | None = None, **facts: Any) -> None:
        self._logger.write(_json_line(self._logger, method_name, {**self._context, **facts, "event": event}))


def _configure_standard_library(level: str, renderer: structlog.typing.Processor) -> None:
    """Format the lines of libraries like the gateway's own."""
    handler = logging.StreamHandler(sys.stderr)
    # Set on the handler too, because the loggers below have their own levels.
    handler.setLevel(level.upper())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=["correlation_id"]), *_SHARED],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # At their default levels these log URLs, which hold filters and customer names; aiocache even logs values.
    for name in ("httpx", "httpcore", "aiocache", "redis", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
