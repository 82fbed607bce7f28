"""The query parameters of an export: the arguments of its query, and where and how to write its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.datastructures import QueryParams

from gateway.errors import BadUserInput
from schema.export.arguments import ARGUMENTS

_OPTIONS = ("raw", "incomplete", "offset", "snapshot")

# Longer numbers of rows cannot occur, and Python refuses to convert very long ones.
_MAX_OFFSET_DIGITS = 15


@dataclass(frozen=True, slots=True)
class ExportParameters:
    """``arguments`` are JSON values by name. ``raw`` leaves cells unchanged; ``incomplete`` accepts missing rows.

    ``offset`` is the number of rows that the client has of ``snapshot``; both are None for an export from the start.
    """

    arguments: Mapping[str, Any]
    raw: bool
    incomplete: bool
    offset: int | None
    snapshot: str | None


def read_parameters(query_string: bytes) -> ExportParameters:
    """Return the parameters of a request. An empty one counts as absent. Raises BadUserInput naming the parameter."""
    texts: dict[str, str] = {}
    for name, text in QueryParams(query_string).multi_items():
        if name not in (*ARGUMENTS, *_OPTIONS) or name in texts:
            raise BadUserInput(
                "A parameter is unknown or repeated. Give each of"
                f" {', '.join((*ARGUMENTS, *_OPTIONS[:-1]))} and {_OPTIONS[-1]} at most once.",
                argument=name[:100],
            )
        texts[name] = text
    given = {name: text for name, text in texts.items() if text}
    raw, incomplete = _switch(given, "raw"), _switch(given, "incomplete")
    offset, snapshot = given.pop("offset", None), given.pop("snapshot", None)
    if (offset is None) != (snapshot is None):
        raise BadUserInput(
            "'offset' and 'snapshot' go together: the number of rows that you have, and the X-Snapshot of the response"
            " that they come from.",
            argument="offset" if offset is None else "snapshot",
        )
    return ExportParameters(
        arguments={name: _value(name, text) for name, text in given.items()},
        raw=raw,
        incomplete=incomplete,
        offset=None if offset is None else _offset(offset),
        snapshot=snapshot,
    )


def _switch(given: dict[str, str], name: str) -> bool:
    text = given.pop(name, "0")
    if text not in ("0", "1"):
        raise BadUserInput(f"'{name}' is neither 0 nor 1. Give 1 to switch it on, or leave it out.", argument=name)
    return text == "1"


def _offset(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_OFFSET_DIGITS):
        raise BadUserInput("'offset' is not a number of rows. Give 0 or more.", argument="offset")
    return int(text)


def _value(name: str, text: str) -> Any:
    """Convert a parameter to the JSON value of its argument."""
    if name == "groupBy" and not text.startswith("["):
        return [part.strip() for part in text.split(",")]
    if name == "processedDateTime":
        return text
    try:
        return msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        example = '{"serviceCode": {"eq": "o365"}}' if name == "filter" else '["PRODUCT_NAME"]'
        raise BadUserInput(f"'{name}' is not JSON. Write it like {example}.", argument=name) from None
