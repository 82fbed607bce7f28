"""Error messages for invalid settings."""

from __future__ import annotations

from typing import get_args, get_origin

from pydantic.fields import FieldInfo


def remedy(field: FieldInfo) -> str:
    """Return advice for ``field`` from its type and limits. The invalid value is not repeated."""
    kind = field.annotation
    if kind is bool:
        return "set it to on or off"
    if kind is int:
        return f"set it to a whole number{_bounds(field)}"
    if kind is float:
        return f"set it to a number{_bounds(field)}"
    if choices := get_args(kind) if get_origin(kind) is not tuple else ():
        return f"set it to {', '.join(choices[:-1])} or {choices[-1]}"
    if any(getattr(bound, "pattern", None) for bound in field.metadata):
        return f"write it as {field.default}: plain segments, each behind a slash"
    return "give it a value"


def _bounds(field: FieldInfo) -> str:
    low, above, high = (
        next((bound for item in field.metadata if (bound := getattr(item, name, None)) is not None), None)
        for name in ("ge", "gt", "le")
    )
    if above is not None:
        return f" above {above}, up to {high}"
    return f" from {low} up" if high is None else f" from {low} to {high}"
