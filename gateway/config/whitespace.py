"""Whitespace and control characters in a setting's value, such as those of a file that was edited on Windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES: Mapping[str, str] = {
    "\r": "a carriage return (CR)",
    "\n": "a line feed (LF)",
    "\t": "a tab",
    "\N{NO-BREAK SPACE}": "a no-break space",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "a byte order mark",
}


def trimmed(value: Any) -> Any:
    """Return ``value``; if it is text, without whitespace and byte order marks at its ends."""
    return value.strip().strip("\N{ZERO WIDTH NO-BREAK SPACE}").strip() if isinstance(value, str) else value


def control_character(text: str) -> str | None:
    """Return the name of the first forbidden character in ``text``, or None."""
    for character in text:
        if character in _NAMES or ord(character) < 0x20 or ord(character) == 0x7F:
            return _NAMES.get(character, f"the control character U+{ord(character):04X}")
    return None
