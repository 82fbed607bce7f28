"""Parsers for the values of fault switches. Each returns one value or raises FaultError."""

from __future__ import annotations

import math
from collections.abc import Callable


class FaultError(ValueError):
    """An unknown fault switch or an invalid value. The message names the valid ones."""


Parser = Callable[[str], object]


def flag(text: str) -> bool:
    """Parse a switch that takes no value."""
    if text:
        raise FaultError("takes no value")
    return True


def count(text: str) -> int:
    """Parse a non-negative whole number."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise FaultError("takes a whole number")
    return int(text)


def seconds(text: str) -> float:
    """Parse seconds, with or without a fraction, up to one day."""
    try:
        value = float(text)
    except ValueError:
        raise FaultError("takes seconds, such as 2 or 0.5") from None
    if not (math.isfinite(value) and 0 <= value <= 86_400):
        raise FaultError("takes 0 to 86400 seconds")
    return value


def status(text: str) -> int:
    """Parse an HTTP status from 200 to 599."""
    code = count(text)
    if not 200 <= code <= 599:
        raise FaultError("takes an HTTP status from 200 to 599")
    return code


def text_value(text: str) -> str:
    """Parse a non-empty text that is valid in a header."""
    if not (text.isascii() and text.isprintable() and text):
        raise FaultError("takes a text of printable ASCII")
    return text


def choice(*known: str, default: str | None = None) -> Parser:
    """Build a parser for one of the words. An empty text selects the default, if there is one."""

    def parse(text: str) -> str:
        if not text and default is not None:
            return default
        if text not in known:
            raise FaultError(f"takes one of {', '.join(known)}")
        return text

    return parse


def pair(first: Parser, second: Parser, default: str | None = None) -> Parser:
    """Build a parser for two values separated by a colon. With a default, the second value is optional."""

    def parse(text: str) -> tuple[object, object]:
        left, colon, right = text.partition(":")
        if not colon:
            if default is None:
                raise FaultError("takes two values with a colon between them")
            right = default
        return first(left), second(right)

    return parse


def optional(parser: Parser, default: object) -> Parser:
    """Build a parser for an optional value."""
    return lambda text: parser(text) if text else default
