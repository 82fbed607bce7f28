"""The builder as its user sees it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Locator, Response, expect

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def builder(graphiql: GraphiqlPage) -> Locator:
    return graphiql.page.get_by_role("region", name="Builder")


def section(graphiql: GraphiqlPage, name: str) -> Locator:
    return builder(graphiql).get_by_role("group", name=name, exact=True)


def chip(graphiql: GraphiqlPage, group: str, name: str) -> Locator:
    return section(graphiql, group).get_by_role("button", name=name, exact=True)


def pressed(graphiql: GraphiqlPage, group: str) -> list[str]:
    """Return the names of a section's pressed chips."""
    return section(graphiql, group).locator("[aria-pressed=true]").all_inner_texts()


def field(graphiql: GraphiqlPage, label: str) -> Locator:
    """Return a text field, number, date or choice by its whole label."""
    return builder(graphiql).get_by_label(label, exact=True)


def open_filter(graphiql: GraphiqlPage, dimension: str) -> Locator:
    """Open the filter of a dimension, and return its list of values as soon as these are counted."""
    section(graphiql, "Filter").get_by_role("button", name=dimension, exact=False).first.click()
    values = builder(graphiql).get_by_role("list", name=f"Values of {dimension}")
    # Chosen values are listed before the others are counted.
    expect(builder(graphiql).get_by_text(re.compile(r"of [\d,]+ values"))).to_be_visible()
    expect(values.get_by_role("listitem").first).to_be_visible()
    return values


def counts(values: Locator) -> list[tuple[str, str]]:
    """Return the text and the count of each value."""
    items = values.get_by_role("listitem").all()
    return [(item.locator(".value-text").inner_text(), item.locator(".value-count").inner_text()) for item in items]


def without_spaces(text: str) -> str:
    """Return an operation's text without white space and commas, which mean nothing in it."""
    return "".join(text.split()).replace(",", "")


def writes(graphiql: GraphiqlPage, part: str) -> bool:
    """Return whether the operation has a part, whatever its white space."""
    return without_spaces(part) in without_spaces(graphiql.query())


def variables(graphiql: GraphiqlPage) -> Any:
    editor = graphiql.page.locator(".graphiql-editor-tool .CodeMirror").first
    return json.loads(editor.evaluate("element => element.CodeMirror.getValue()") or "{}")


def rerun(graphiql: GraphiqlPage) -> dict[str, Any]:
    """Press the builder's button; return the data of the next response."""
    # The page also counts the rows of a slow query, in an operation of its own.
    query = graphiql.query()

    def is_own(response: Response) -> bool:
        return (response.request.post_data_json or {}).get("query") == query

    with graphiql.page.expect_response(is_own) as waiting:
        builder(graphiql).get_by_role("button", name="Run", exact=True).click()
    data: dict[str, Any] = waiting.value.json()["data"]
    return data
