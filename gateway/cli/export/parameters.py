"""The parameters of the export endpoint, from the command's options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

# Options by the endpoint's parameter.
_OPTIONS = {
    "filter": "--filter",
    "groupBy": "--group-by",
    "processedDateTime": "--processed-date-time",
    "search": "--search",
    "having": "--having",
    "orderBy": "--order-by",
}
_JSON = ("filter", "having")

# Between two words of a column's name.
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_EXAMPLES = {
    "--filter": '{"channel": {"eq": "direct"}}',
    "--having": '{"licensesSold": {"gt": 100}}',
    "--variables": '{"first": 10}',
}


def endpoint_parameters(texts: Mapping[str, str | None]) -> dict[str, str]:
    """Return the parameters for the options that are given; ``texts`` has the endpoint's names. Raises UsageError."""
    parameters = {name: text for name, text in texts.items() if text is not None}
    for name, text in parameters.items():
        if name in _JSON:
            json_object(text, _OPTIONS[name])
        # The endpoint treats an empty parameter as absent.
        elif text == "":
            raise click.UsageError(f"{_OPTIONS[name]} is empty. Give a value, or leave it out.")
    if "groupBy" in parameters:
        parameters["groupBy"] = ",".join(map(_enum_name, parameters["groupBy"].split(",")))
    if "orderBy" in parameters:
        parameters["orderBy"] = _order(parameters["orderBy"])
    return parameters


def json_object(text: str, option: str) -> Mapping[str, Any]:
    """Return the JSON object in ``text``. Raises UsageError."""
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError):
        raise click.UsageError(
            f"{option} is not a JSON object. Write it like {option} '{_EXAMPLES[option]}': single quotes around it, and"
            " double quotes around each name and text."
        ) from None


def _order(text: str) -> str:
    """Return terms such as ``licensesSold:DESC`` as JSON for the endpoint, which checks their names."""
    import msgspec

    terms = [term.strip().partition(":") for term in text.split(",")]
    steps = [{"field": _enum_name(field), "direction": direction.upper() or "ASC"} for field, _, direction in terms]
    return msgspec.json.encode(steps).decode()


def _enum_name(field: str) -> str:
    """Return ``PRODUCT_NAME`` for that name in any case, and for the name of a column: ``productName``."""
    name = field.strip()
    return (name if name.isupper() else _WORD.sub("_", name)).upper()
