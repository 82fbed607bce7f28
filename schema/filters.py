"""Convert the GraphQL filter input to the gateway's Filter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from gateway.errors import BadUserInput
from gateway.query import Comparison, Filter, Junction, canonical, comparisons, encoded, negate

ARGUMENT = "filter"

# A flat filter can replace deeper nesting; the limit stays far below Python's recursion limit (our choice).
MAX_DEPTH = 50

# Duplicates are removed after a filter is read, so reading stops only at this multiple of the size limit (our choice).
READ_FACTOR = 4

# The encoded `` or `` between two comparisons.
_JOINT_BYTES = 8

# Unicode's control characters (Cc) and lone surrogates (Cs).
_UNSENDABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@strawberry.input(
    description="Conditions on one text field. Several are joined by AND; with none, every row matches. Null equals"
    " nothing: `eq` never matches it, `ne` always does."
)
class StringFilter:
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


def to_filter(filter_input: Any, *, max_bytes: int) -> Filter:
    """Return the canonical filter of an input object such as ``LicenseDeploymentFilter``.

    ``max_bytes`` limits its percent-encoded text. Raises BadUserInput for null operands, control characters, filters
    nested deeper than 50 levels and texts over the limit.
    """
    reader = _FilterReader(max_bytes)
    row_filter = canonical(reader.group(filter_input, ARGUMENT, 0, negated=False))
    if _levels(row_filter) > MAX_DEPTH:
        raise _too_deep()
    size_bytes = len(encoded(row_filter.text()))
    if size_bytes > max_bytes:
        raise _too_long(f"is {size_bytes} bytes long once encoded", size_bytes, comparisons(row_filter), max_bytes)
    return row_filter


def _too_long(what: str, size_bytes: int, values: int, max_bytes: int) -> BadUserInput:
    return BadUserInput(
        f"The filter {what}, more than {max_bytes}. About {values * max_bytes // size_bytes} of its {values} values"
        " fit; split it over several queries.",
        argument=ARGUMENT,
    )


def _levels(part: Filter) -> int:
    """Return the nesting depth of the filter's junctions; the outermost one counts, although it has no parentheses."""
    return 0 if isinstance(part, Comparison) else 1 + max(map(_levels, part.operands), default=0)


def _too_deep() -> BadUserInput:
    return BadUserInput(f"The filter is nested deeper than {MAX_DEPTH} levels. Flatten it.", argument=ARGUMENT)


def not_null(value: Any, path: str, argument: str = ARGUMENT) -> Any:
    """Return ``value``. Raises BadUserInput that names the path if it is null."""
    if value is None:
        raise BadUserInput(
            f"{path} is null. Leave it out if it should not count: ignoring it would match more rows.",
            argument=argument,
        )
    return value


def set_fields(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield the schema name and the value of each field that the caller set."""
    for field in part.__strawberry_definition__.fields:
        value = getattr(part, field.python_name)
        if value is not UNSET:
            yield field.graphql_name or to_camel_case(field.python_name), value


class _FilterReader:
    """Reads one filter input, and stops early once it is certain to exceed the limit.

    ``negated`` is True under an odd number of ``not``. De Morgan's laws apply on the way down, so that each object is
    negated at most once, however deep it lies.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._max_read_bytes = READ_FACTOR * max_bytes
        self._read_bytes = 0
        self._values = 0

    def group(self, part: Any, path: str, depth: int, *, negated: bool) -> Filter:
        if depth > MAX_DEPTH:
            raise _too_deep()
        conditions = [
            self._condition(name, not_null(value, f"{path}.{name}"), path, depth, negated)
            for name, value in set_fields(part)
        ]
        return _joined("and", conditions, negated)

    def _condition(self, name: str, value: Any, path: str, depth: int, negated: bool) -> Filter:
        here = f"{path}.{name}"
        if name == "and" or name == "or":
            operands = [
                self.group(not_null(item, f"{here}[{i}]"), f"{here}[{i}]", depth + 1, negated=negated)
                for i, item in enumerate(value)
            ]
            return _joined("and" if name == "and" else "or", operands, negated)
        if name == "not":
            return self.group(value, here, depth + 1, negated=not negated)
        parts = [self._comparison(name, operator, operand, here, negated) for operator, operand in set_fields(value)]
        return _joined("and", parts, negated)

    def _comparison(self, field: str, operator: str, operand: Any, path: str, negated: bool) -> Filter:
        here = f"{path}.{operator}"
        values = operand if isinstance(operand, list) else [operand]
        matches = tuple(self._match(field, _text(not_null(value, here), here)) for value in values)
        any_match = Junction("or", matches)
        return any_match if (operator in ("eq", "in")) != negated else negate(any_match)

    def _match(self, field: str, text: str) -> Comparison:
        comparison = Comparison(field, "eq", text)
        self._values += 1
        # Encoding never shortens a text, so encoding its beginning suffices to find it too long.
        self._read_bytes += len(encoded(comparison.text()[: self._max_read_bytes])) + _JOINT_BYTES
        if self._read_bytes > self._max_read_bytes:
            what = f"has over {self._read_bytes} bytes in its first {self._values} values alone"
            raise _too_long(what, self._read_bytes, self._values, self._max_bytes)
        return comparison


def _joined(operator: Literal["and", "or"], operands: Sequence[Filter], negated: bool) -> Junction:
    """Join the operands, each already negated if ``negated``, by De Morgan's laws."""
    return Junction(operator if not negated else "or" if operator == "and" else "and", tuple(operands))


def _text(value: str, path: str) -> str:
    if _UNSENDABLE.search(value):
        raise BadUserInput(
            f"{path} holds a control character or a lone surrogate. Remove it, or filter by another field.",
            argument=ARGUMENT,
        )
    return value
