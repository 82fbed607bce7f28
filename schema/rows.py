"""The rows of a dataset: the struct that upstream rows are decoded to, and the dataset's declaration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any

import msgspec
from strawberry.utils.str_converters import to_camel_case

from gateway.dataset import Dataset, Derived, Measure, Rate
from schema.scalars import LONG_MAX, DateTime, Long


def row_type(node: type, derived: tuple[Derived, ...] = ()) -> type[msgspec.Struct]:
    """Return the struct that rows are decoded to: flat, frozen, with the fields of the GraphQL type ``node``.

    Derived measures are properties, so they take neither memory nor time until they are read.
    """
    kinds: dict[Any, Any] = {Long: Measure}
    stored = _stored(node, derived)
    fields = [(name, kinds.get(bare(kind), str) | None, None) for name, kind in stored.items()]
    attributes = {to_camel_case(name): name for name in kinds_of(node)}
    namespace = {attributes[each.name]: property(_computation(each, attributes)) for each in derived}
    return msgspec.defstruct(f"{node.__name__}Row", fields, rename="camel", frozen=True, gc=False, namespace=namespace)


def dataset(
    node: type,
    *,
    name: str,
    path: str,
    service: str,
    derived: tuple[Derived, ...] = (),
    not_additive: tuple[str, ...] = (),
    other_spellings: Mapping[str, str] | None = None,
) -> Dataset:
    """Return the Dataset of a GraphQL type: its dimensions are text, its measures Longs, its date a DateTime.

    ``other_spellings`` maps names that the upstream may use as well to the fields that they stand for.
    """
    kinds = {to_camel_case(field): bare(kind) for field, kind in _stored(node, derived).items()}
    (date,) = (field for field, kind in kinds.items() if kind is DateTime)
    return Dataset(
        name=name,
        path=path,
        row=row_type(node, derived),
        dimensions=tuple(field for field, kind in kinds.items() if kind is str),
        measures=tuple(field for field, kind in kinds.items() if kind is Long),
        date=date,
        service=service,
        derived=derived,
        not_additive=not_additive,
        other_spellings=tuple((other_spellings or {}).items()),
    )


def _computation(derived: Derived, attributes: Mapping[str, str]) -> Callable[[Any], int | float | None]:
    """Return the function that computes a derived measure of a row."""
    if isinstance(derived, Rate):
        return _rate(attrgetter(attributes[derived.dividend]), attrgetter(attributes[derived.divisor]))
    return _excess(attrgetter(attributes[derived.larger]), attrgetter(attributes[derived.smaller]))


def _excess(larger: Callable[[Any], int | None], smaller: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
    def excess(row: Any) -> int | None:
        one, other = larger(row), smaller(row)
        if one is None or other is None or one - other > LONG_MAX:
            return None
        return max(0, one - other)

    return excess


def _rate(dividend: Callable[[Any], int | None], divisor: Callable[[Any], int | None]) -> Callable[[Any], float | None]:
    def rate(row: Any) -> float | None:
        upper, lower = dividend(row), divisor(row)
        # Adding 0 turns -0.0 into 0.0.
        return None if not lower or upper is None else upper / lower + 0.0

    return rate


def out_of_range(rows: Iterable[Any], dataset: Dataset, names: Collection[str]) -> int:
    """Count the values of the excesses ``names`` that are null because they do not fit into 64 bits."""
    excesses = [excess for excess in dataset.excesses if excess.name in names]
    operands = [attrgetter(dataset.members[each.larger], dataset.members[each.smaller]) for each in excesses]
    pairs = (operand(row) for row in rows for operand in operands)
    return sum(None not in pair and pair[0] - pair[1] > LONG_MAX for pair in pairs)


def _stored(node: type, derived: tuple[Derived, ...]) -> dict[str, Any]:
    """Return the fields of ``node`` that the upstream sends, with their types."""
    computed = [each.name for each in derived]
    return {name: kind for name, kind in kinds_of(node).items() if to_camel_case(name) not in computed}


def kinds_of(node: type) -> dict[str, Any]:
    """Return the types of the fields of ``node``, by attribute."""
    return {field.python_name: field.type_annotation.annotation for field in node.__strawberry_definition__.fields}  # type: ignore[attr-defined]


def bare(kind: Any) -> Any:
    """Return ``kind`` without None."""
    return next((part for part in getattr(kind, "__args__", (kind,)) if part is not type(None)), kind)
