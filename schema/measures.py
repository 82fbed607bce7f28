"""The measures of a row, declared once: order, conditions and totals follow from the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from schema.dimensions import dimension_descriptions, junctions
from schema.rows import bare, kinds_of
from schema.scalars import Long

_METADATA_KEY = "measure"


@strawberry.input(
    description="Conditions on one number. Several are joined by AND; with none, every row matches. Each is false for"
    " null."
)
class LongCondition:
    eq: Long | None = strawberry.field(default=UNSET, description="The number equals this.")
    ne: Long | None = strawberry.field(default=UNSET, description="The number differs from this, and is not null.")
    gt: Long | None = strawberry.field(default=UNSET, description="The number is greater than this.")
    gte: Long | None = strawberry.field(default=UNSET, description="The number is this or greater.")
    lt: Long | None = strawberry.field(default=UNSET, description="The number is less than this.")
    lte: Long | None = strawberry.field(default=UNSET, description="The number is this or less.")


@strawberry.input(
    description="Conditions on one rate. Several are joined by AND; with none, every row matches. Each is false for"
    " null."
)
class FloatCondition:
    gt: float | None = strawberry.field(default=UNSET, description="The rate is greater than this.")
    gte: float | None = strawberry.field(default=UNSET, description="The rate is this or greater.")
    lt: float | None = strawberry.field(default=UNSET, description="The rate is less than this.")
    lte: float | None = strawberry.field(default=UNSET, description="The rate is this or less.")


@strawberry.enum(description="Ascending or descending.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("ASC", description="Smallest first, texts from A to Z. Nulls come last.")
    DESC = strawberry.enum_value("DESC", description="Largest first, texts from Z to A. Nulls come last.")


@dataclass(frozen=True, slots=True)
class _Noun:
    """The noun of a measure, such as "Number of licenses sold"."""

    text: str
    # A sentence about what the measure costs, with a blank before it; or empty.
    cost: str = ""

    @property
    def lower(self) -> str:
        return self.text[0].lower() + self.text[1:]


def measure(noun: str, details: str = "", *, example: int) -> Any:
    """A number that is summed over groups. ``details`` are sentences for the description."""
    return _measure(noun, f"{noun}. {details}{' ' if details else ''}Example: `{example}`.")


def derived_measure(noun: str, details: str, *, example: float, needs_rows: bool = False) -> Any:
    """A number that the gateway computes, as ``details`` say. ``needs_rows`` says that groups need all their rows."""
    cost = " With `groupBy`, all rows are read for it." if needs_rows else ""
    return _measure(noun, f"{noun}: {details} Example: `{example}`.", cost)


def order_field_enum(name: str, row: type) -> Any:
    """The GraphQL enum ``name`` of the fields of ``row`` to order by; its values are the upstream's names."""
    dimensions = {field: descriptions.enum_value for field, descriptions in dimension_descriptions(row).items()}
    descriptions = dimensions | {field: f"{noun.text}.{noun.cost}" for field, noun in _measures(row).items()}
    members = {
        field.upper(): strawberry.enum_value(to_camel_case(field), description=description)
        for field, description in descriptions.items()
    }
    enum = Enum(name, members, module=row.__module__)  # type: ignore[misc]  # the members depend on the row
    return strawberry.enum(enum, description="A field to order by.")


def order_input(name: str, order_field: type) -> Any:
    """The GraphQL input ``name``: one of the ``order_field``s with a direction."""
    members = {
        "__annotations__": {"field": order_field, "direction": OrderDirection},
        "field": strawberry.field(description="The field to order by."),
        "direction": strawberry.field(default=OrderDirection.ASC, description="The direction."),
    }
    return strawberry.input(
        type(name, (), members),
        description="One step of an order. Rows that are equal so far are ordered by the next step, and in the end by"
        " all fields, so that the order is always the same.",
    )


def having_input(name: str, row: type) -> Any:
    """The GraphQL input ``name``: conditions on the measures of ``row``.

    The module of ``row`` must bind the result to ``name``: Strawberry looks up the type of the nested ones there.
    """
    measures = _measures(row)
    conditions = {
        field: strawberry.field(default=UNSET, description=f"Condition on the {noun.lower}.{noun.cost}")
        for field, noun in measures.items()
    }
    kinds = {
        "and_": f"list[{name}] | None",
        "or_": f"list[{name}] | None",
        "not_": f"{name} | None",
        **{field: (FloatCondition if _is_rate(row, field) else LongCondition) | None for field in measures},
    }
    members = {"__module__": row.__module__, "__annotations__": kinds, **junctions(), **conditions}
    return strawberry.input(
        type(name, (), members),
        description="Which rows or groups to keep, by their numbers. Fields of one object are joined by AND; `{}` keeps"
        " every row.",
    )


def totals_type(name: str, row: type, details: str = "") -> Any:
    """The GraphQL type ``name``: the totals of the measures of ``row``. ``details`` are sentences to describe it."""
    measures = _measures(row)
    kinds: dict[str, Any] = {field: (float if _is_rate(row, field) else Long) | None for field in measures}
    members: dict[str, Any] = {
        field: strawberry.field(
            description=f"{noun.text}: the quotient of two totals; null if the second is 0, or if one is unknown."
            if _is_rate(row, field)
            else f"{noun.text}, added up over all rows; null if a number is unknown or the sum is beyond 64 bits."
            f"{noun.cost}"
        )
        for field, noun in measures.items()
    }
    return strawberry.type(
        type(name, (), {"__annotations__": kinds, **members}),
        description=f"Totals over all rows of the question, before paging. {details}".rstrip(),
    )


def _measure(noun: str, description: str, cost: str = "") -> Any:
    return strawberry.field(description=description, metadata={_METADATA_KEY: _Noun(noun, cost)})


def _measures(row: type) -> Mapping[str, _Noun]:
    fields = row.__strawberry_definition__.fields  # type: ignore[attr-defined]  # strawberry.type adds it
    return {field.python_name: field.metadata[_METADATA_KEY] for field in fields if _METADATA_KEY in field.metadata}


def _is_rate(row: type, name: str) -> bool:
    return bare(kinds_of(row)[name]) is float
