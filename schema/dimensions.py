"""The fields of a row. A dimension is declared once: ``groupBy``'s enum and the filter input follow from the row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from strawberry import UNSET
from strawberry.utils.str_converters import to_camel_case

from schema.filters import StringFilter

_METADATA_KEY = "dimension"


@dataclass(frozen=True, slots=True)
class DimensionDescriptions:
    """The descriptions of a dimension as a value of ``groupBy``, and as a field of the filter."""

    enum_value: str
    condition: str


def text_dimension(noun: str, *, example: str) -> Any:
    """A dimension described by ``noun``, such as "Service code"."""
    lower_noun = noun[0].lower() + noun[1:]
    return _dimension(
        f"{noun}. Example: `{example}`.", f"{noun}, such as `{example}`.", f"Condition on the {lower_noun}."
    )


def identifier_dimension(owner: str, *, example: str) -> Any:
    """A dimension that identifies an ``owner``, such as "customer"."""
    noun = f"Unique identifier of the {owner}"
    return _dimension(f"{noun}. Example: `{example}`.", f"{noun}.", f"Condition on the {owner}'s unique identifier.")


def name_dimension(owner: str, *, example: str) -> Any:
    """A dimension that names an ``owner``, such as "customer", without identifying it."""
    return _dimension(
        f"{owner.capitalize()} name; not unique. Example: `{example}`.",
        f"{owner.capitalize()} name; different {owner}s may share it.",
        f"Condition on the {owner} name.",
    )


def processed_date(*, example: str) -> Any:
    """The date when the data of a row was last processed."""
    return strawberry.field(description=f"Date when the data was last processed; it has no zone. Example: `{example}`.")


def dimension_enum(name: str, row: type) -> Any:
    """The GraphQL enum ``name`` of the dimensions of ``row``; its values are the upstream's names."""
    members = {
        field.upper(): strawberry.enum_value(to_camel_case(field), description=descriptions.enum_value)
        for field, descriptions in dimension_descriptions(row).items()
    }
    enum = Enum(name, members, module=row.__module__)  # type: ignore[misc]  # the members depend on the row
    return strawberry.enum(enum, description="A text field that counts can be added up over.")


def filter_input(name: str, row: type) -> Any:
    """The GraphQL filter input ``name`` over the dimensions of ``row``.

    The module of ``row`` must bind the result to ``name``: Strawberry looks up the type of the nested filters there.
    """
    conditions = {
        field: strawberry.field(default=UNSET, description=descriptions.condition)
        for field, descriptions in dimension_descriptions(row).items()
    }
    annotations = {
        "and_": f"list[{name}] | None",
        "or_": f"list[{name}] | None",
        "not_": f"{name} | None",
        **dict.fromkeys(conditions, StringFilter | None),
    }
    members = {"__module__": row.__module__, "__annotations__": annotations, **junctions(), **conditions}
    return strawberry.input(
        type(name, (), members),
        description="Which rows count. Fields of one object are joined by AND; `{}` matches every row.",
    )


def junctions() -> dict[str, Any]:
    """Return the fields by which conditions of one input are joined."""
    return {
        "and_": strawberry.field(
            name="and", default=UNSET, description="Every one of these holds; with none, every row matches."
        ),
        "or_": strawberry.field(
            name="or", default=UNSET, description="At least one of these holds; with none, no row matches."
        ),
        "not_": strawberry.field(name="not", default=UNSET, description="This does not hold."),
    }


def _dimension(row: str, enum_value: str, condition: str) -> Any:
    return strawberry.field(description=row, metadata={_METADATA_KEY: DimensionDescriptions(enum_value, condition)})


def dimension_descriptions(row: type) -> Mapping[str, DimensionDescriptions]:
    """Return the descriptions of the dimensions of ``row``, by attribute."""
    fields = row.__strawberry_definition__.fields  # type: ignore[attr-defined]  # strawberry.type adds it
    return {field.python_name: field.metadata[_METADATA_KEY] for field in fields if _METADATA_KEY in field.metadata}
