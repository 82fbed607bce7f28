"""Request lines of the text log, such as ``POST /graphql 200 31 ms ok miss 2,000 rows``."""

from __future__ import annotations

from typing import Any

import structlog

# The facts of an access log line, in this order; all others follow as name=value.
_SHOWN = ("method", "route", "status", "milliseconds", "outcome", "cache", "rows")


def as_request_line(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Processor that replaces the event ``request`` by its most important facts, and drops facts without a value."""
    if event["event"] != "request":
        return event
    words = [_word(name, event.pop(name, None)) for name in _SHOWN]
    event["event"] = " ".join(filter(None, words))
    return {name: value for name, value in event.items() if value is not None}


def _word(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if name == "milliseconds":
        return f"{value:,.0f} ms" if value >= 10 else f"{value} ms"
    if name == "rows":
        return f"{value:,} row{'' if value == 1 else 's'}"
    return str(value)
