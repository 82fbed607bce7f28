"""From the GraphQL filter input to the gateway's Filter."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

import strawberry
from strawberry import UNSET

from gateway.errors import BadUserInput
from gateway.query import Comparison, Filter, Junction, canonical, comparisons, encoded, negate

ARGUMENT = "filter"

# Deeper nesting says nothing that a flat filter could not; the bound keeps recursion far from Python's (our choice).
MAX_DEPTH = 50


@strawberry.input(
    description="Conditions on one text field. Several are joined by AND; with none, every row matches. Null equals"
    " nothing: `eq` never matches it, `ne` always does."
)
class StringFilter:
    """See the description, which is for the schema's readers."""

    eq: str | None = strawberry.field(
        default=UNSET, description="The field equals this value. The upstream decides about upper and lower case."
    )
    ne: str | None = strawberry.field(default=UNSET, description="The field differs from this value, or is null.")
    in_: list[str] | None = strawberry.field(
        name="in", default=UNSET, description="The field equals one of these values; with none, no row matches."
    )
    not_in: list[str] | None = strawberry.field(
        default=UNSET, description="The field differs from each of these values; with none, every row matches."
    )


def to_filter(given: Any, *, max_bytes: int) -> Filter:
    """The canonical filter of an input object such as ``LicenseDeploymentFilter``.

    ``max_bytes`` bounds its percent-encoded text. Raises BadUserInput for null operands, control characters, filters
    nested deeper than 50 levels and texts over the bound.
    """
    found = canonical(_group(given, ARGUMENT, 0))
    if _levels(found) > MAX_DEPTH:
        raise _too_deep()
    size_bytes = len(encoded(found.text()))
    if size_bytes > max_bytes:
        fit = comparisons(found) * max_bytes // size_bytes
        raise BadUserInput(
            f"The filter is {size_bytes} bytes long once encoded, more than {max_bytes}. About {fit} of its"
            f" {comparisons(found)} values fit; ask in several questions.",
            argument=ARGUMENT,
        )
    return found


def _levels(part: Filter) -> int:
    """How many junctions lie in one another: parentheses in the text, and the whole."""
    return 0 if isinstance(part, Comparison) else 1 + max(map(_levels, part.operands), default=0)


def _too_deep() -> BadUserInput:
    return BadUserInput(f"The filter is nested deeper than {MAX_DEPTH} levels. Flatten it.", argument=ARGUMENT)


def _given(part: Any) -> Iterator[tuple[str, Any]]:
    """Name in the schema and value of each field that the caller wrote."""
    for field in part.__strawberry_definition__.fields:
        value = getattr(part, field.python_name)
        if value is not UNSET:
            yield field.graphql_name or _camel(field.python_name), value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _group(part: Any, path: str, depth: int) -> Filter:
    if depth > MAX_DEPTH:
        raise _too_deep()
    return Junction(
        "and", tuple(_condition(name, _not_null(value, f"{path}.{name}"), path, depth) for name, value in _given(part))
    )


def _condition(name: str, value: Any, path: str, depth: int) -> Filter:
    here = f"{path}.{name}"
    if name == "and" or name == "or":
        operands = (_group(_not_null(item, f"{here}[{i}]"), f"{here}[{i}]", depth + 1) for i, item in enumerate(value))
        return Junction("and" if name == "and" else "or", tuple(operands))
    if name == "not":
        return negate(_group(value, here, depth + 1))
    return Junction("and", tuple(_comparison(name, operator, operand, here) for operator, operand in _given(value)))


def _comparison(field: str, operator: str, operand: Any, path: str) -> Filter:
    here = f"{path}.{operator}"
    values = operand if isinstance(operand, list) else [operand]
    texts = [_text(_not_null(value, here), here) for value in ([None] if operand is None else values)]
    matches = tuple(Comparison(field, "eq", text) for text in texts)
    found = Junction("or", matches)
    return found if operator in ("eq", "in") else negate(found)


def _not_null(value: Any, path: str) -> Any:
    if value is None:
        raise BadUserInput(
            f"{path} is null. Leave it out if it should not count: dropping it silently would widen the answer.",
            argument=ARGUMENT,
        )
    return value


def _text(value: str, path: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise BadUserInput(f"{path} holds a control character or half a character. Remove it.", argument=ARGUMENT)
    return value
