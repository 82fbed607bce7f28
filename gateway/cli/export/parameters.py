"""The parameters of the export endpoint, from the command's options."""

from __future__ import annotations

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
    """Return terms such as ``LICENSES_SOLD:DESC`` as JSON for the endpoint, which checks their names."""
    import msgspec

    terms = [term.strip().partition(":") for term in text.split(",")]
    steps = [{"field": field.upper(), "direction": direction.upper() or "ASC"} for field, _, direction in terms]
    return msgspec.json.encode(steps).decode()
