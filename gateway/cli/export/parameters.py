"""The parameters of the export endpoint, from the command's options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.dataset import Dataset

# Options by the endpoint's parameter.
OPTIONS = {
    "filter": "--filter",
    "groupBy": "--group-by",
    "processedDateTime": "--processed-date-time",
    "search": "--search",
    "having": "--having",
    "orderBy": "--order-by",
}
_JSON = ("filter", "having")

_DIRECTIONS = ("ASC", "DESC")

# As in SQL; the names of columns have no such end.
_ORDER_WITHOUT_COLON = re.compile(r"\b(\w+)[\s=]+(asc|desc)\b", re.IGNORECASE)

# Characters of a wrong value that are shown (our choice).
MAX_SHOWN = 40

# Between two words of a column's name.
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def endpoint_parameters(texts: Mapping[str, str | None], dataset: Dataset) -> dict[str, str]:
    """Return the parameters for the options that are given; ``texts`` has the endpoint's names. Raises UsageError."""
    examples = {"filter": '{"channel": {"eq": "direct"}}', "having": f'{{"{dataset.example_measure}": {{"gt": 100}}}}'}
    parameters = {name: text for name, text in texts.items() if text is not None}
    for name, text in parameters.items():
        if name in _JSON:
            json_object(text, OPTIONS[name], examples[name])
        # The endpoint treats an empty parameter as absent.
        elif text == "":
            raise click.UsageError(f"{OPTIONS[name]} is empty. Give a value, or leave it out.")
    if "groupBy" in parameters:
        names = parameters["groupBy"].split(",")
        parameters["groupBy"] = ",".join(_known(names, dataset.dimensions, OPTIONS["groupBy"]))
    if "orderBy" in parameters:
        parameters["orderBy"] = _order(parameters["orderBy"], dataset)
    return parameters


def missing_columns(parameters: Mapping[str, str], dataset: Dataset) -> list[str]:
    """Return the fields of order and conditions for which the export lacks a column."""
    order, having = parameters.get("orderBy", ""), parameters.get("having", "")
    names = [measure.name for measure in dataset.derived]
    return [name for name in names if f'"{_enum_name(name)}"' in order or f'"{name}"' in having]


def json_object(text: str, option: str, example: str) -> Mapping[str, Any]:
    """Return the JSON object in ``text``. Raises UsageError with ``example``."""
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError):
        raise click.UsageError(
            f"{option} is not a JSON object. Write it like {option} '{example}': single quotes around it, and"
            " double quotes around each name and text."
        ) from None


def _order(text: str, dataset: Dataset) -> str:
    """Return terms such as ``licensesSold:DESC`` as JSON for the endpoint. Raises UsageError."""
    import msgspec

    option = OPTIONS["orderBy"]
    if match := _ORDER_WITHOUT_COLON.search(text):
        raise click.UsageError(
            f"{option} has '{match[0].strip()[:MAX_SHOWN]}'. Put a colon between them: {match[1]}:{match[2].upper()}."
        )
    terms = [term.strip().partition(":") for term in text.split(",")]
    derived = [measure.name for measure in dataset.derived]
    fields = _known([term[0] for term in terms], (*dataset.dimensions, *dataset.measures, *derived), option)
    directions = [term[2].strip().upper() or "ASC" for term in terms]
    for (field, _, typed), direction in zip(terms, directions, strict=True):
        if direction not in _DIRECTIONS:
            shown = f"{field}:{typed}"[:MAX_SHOWN]
            raise click.UsageError(f"{option} has '{shown}'. Write {field}:ASC or {field}:DESC.")
    steps = [{"field": field, "direction": direction} for field, direction in zip(fields, directions, strict=True)]
    return msgspec.json.encode(steps).decode()


def _known(names: Sequence[str], fields: Sequence[str], option: str) -> list[str]:
    """Return the enum names of ``names``, which must be among ``fields``. Raises UsageError."""
    allowed = [_enum_name(field) for field in fields]
    for name in names:
        if _enum_name(name) not in allowed:
            raise click.UsageError(
                f"{option} has '{name.strip()[:MAX_SHOWN]}', which it does not take. Choose from {', '.join(allowed)}."
            )
    return [_enum_name(name) for name in names]


def _enum_name(field: str) -> str:
    """Return ``PRODUCT_NAME`` for that name in any case, and for the name of a column: ``productName``."""
    name = field.strip()
    return (name if name.isupper() else _WORD.sub("_", name)).upper()
