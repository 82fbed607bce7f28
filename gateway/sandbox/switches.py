"""Fault switches: their declaration as fields, and the parsers of their values, which raise FaultError."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


class FaultError(ValueError):
    """An unknown fault switch or an invalid value. The message names the valid ones."""


Parser = Callable[[str], object]


def count(text: str) -> int:
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


def http_status(text: str) -> int:
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


@dataclass(frozen=True, slots=True)
class Switch:
    """One fault. ``example`` is its form in a token."""

    example: str
    parse: Parser
    help: str

    @property
    def name(self) -> str:
        return self.example.partition("=")[0]


def switch(example: str, parse: Parser, text: str, default: Any = None, also: Switch | None = None) -> Any:
    """Declare a field with the switch that sets it. ``also`` is a second switch that sets it."""
    switches = (Switch(example, parse, text), *((also,) if also else ()))
    return field(default=default, metadata={"switches": switches})


def flag(example: str, text: str) -> Any:
    return switch(example, _nothing, text, default=False)


def _nothing(text: str) -> bool:
    if text:
        raise FaultError("takes no value")
    return True


def form(name: str, text: str, forms: Iterable[str], example: str, default: str | None = None) -> Any:
    """Declare a field that holds the name of one of several forms."""
    return switch(f"{name}={example}", choice(*forms), f"{text}: {', '.join(forms)}", default)
