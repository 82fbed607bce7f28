"""How the values of fault switches are read: from text to one value, or FaultError."""

from __future__ import annotations

import math
from collections.abc import Callable


class FaultError(ValueError):
    """A fault switch that the sandbox does not know, or a value that it cannot have; the message tells what it can."""


Parser = Callable[[str], object]


def flag(text: str) -> bool:
    """A switch without a value."""
    if text:
        raise FaultError("takes no value")
    return True


def count(text: str) -> int:
    """A whole number, zero or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise FaultError("takes a whole number")
    return int(text)


def seconds(text: str) -> float:
    """Seconds, with or without a fraction, up to a day."""
    try:
        value = float(text)
    except ValueError:
        raise FaultError("takes seconds, such as 2 or 0.5") from None
    if not (math.isfinite(value) and 0 <= value <= 86_400):
        raise FaultError("takes 0 to 86400 seconds")
    return value


def status(text: str) -> int:
    """An HTTP status from 200 to 599."""
    code = count(text)
    if not 200 <= code <= 599:
        raise FaultError("takes an HTTP status from 200 to 599")
    return code


def text_value(text: str) -> str:
    """Any text that is not empty and could stand in a header."""
    if not (text.isascii() and text.isprintable() and text):
        raise FaultError("takes a text of printable ASCII")
    return text


def choice(*known: str, default: str | None = None) -> Parser:
    """One of the words; the switch alone means the default, if there is one."""

    def parse(text: str) -> str:
        if not text and default is not None:
            return default
        if text not in known:
            raise FaultError(f"takes one of {', '.join(known)}")
        return text

    return parse


def pair(first: Parser, second: Parser, default: str | None = None) -> Parser:
    """Two values with a colon between them; the second may be left out if there is a default."""

    def parse(text: str) -> tuple[object, object]:
        left, colon, right = text.partition(":")
        if not colon:
            if default is None:
                raise FaultError("takes two values with a colon between them")
            right = default
        return first(left), second(right)

    return parse


def optional(parser: Parser, default: object) -> Parser:
    """A value that may be left out."""
    return lambda text: parser(text) if text else default
