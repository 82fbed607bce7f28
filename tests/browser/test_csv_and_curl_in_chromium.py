"""CSV download, and the operation as a curl command, from real Chromium."""

from __future__ import annotations

import json
import os
import subprocess
from itertools import product as product_of
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from schema.export.row_formats import csv_lines
from tests.browser.results import connection, copied, download, product, results

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def test_csv_opens_in_spreadsheets_without_running_formulas(graphiql: GraphiqlPage) -> None:
    """Formulas become text, commas and quotes survive, numbers stay numbers, and Excel detects UTF-8."""
    names = ["=1+1", "+1", "-1", "@A1", "\t=1", 'say "hi", Søn', "two\nlines", "한빛", None, "plain"]
    graphiql.answer_with(connection(*(product(name, -5, None) for name in names)))
    graphiql.run()
    name, rows, content = download(graphiql)
    assert name == "SoldAndDeployed.csv"
    assert content.startswith(b"\xef\xbb\xbfproductName,licensesSold,licensesDeployed\r\n")
    expected = ["'=1+1", "'+1", "'-1", "'@A1", "'\t'=1", 'say "hi", Søn', "two\nlines", "한빛", "", "plain"]
    assert rows[1:] == [[text, "-5", ""] for text in expected]
    expect(results(graphiql).get_by_text("Saved 10 rows.")).to_be_visible()


def test_the_page_guards_the_same_formulas_as_exports(graphiql: GraphiqlPage) -> None:
    """Each short text of operators, separators and skipped characters gets the same cell from both."""
    alphabet = [*"=-@\t\r\n\uff1d\uff0b;,| \"'x"]
    texts = ["".join(part) for length in (1, 2, 3) for part in product_of(alphabet, repeat=length)]
    graphiql.answer_with(connection(*(product(text, -5, None) for text in texts)))
    graphiql.run()
    _, rows, content = download(graphiql)
    assert content[3:] == csv_lines([["productName", "licensesSold", "licensesDeployed"]]) + csv_lines(
        [text, -5, None] for text in texts
    )
    assert len(rows) == len(texts) + 1 > 3_000


def test_the_copied_command_gets_the_same_response_and_contains_no_token(graphiql: GraphiqlPage) -> None:
    """A shell runs it with TOKEN set, even with quotes in the query. Values of other headers are left out too."""
    graphiql.open_example(2, "FilterByProduct")
    editor = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
    graphiql.page.evaluate(f"() => {editor}.setValue(`# It's $HOME\n${{{editor}.getValue()}}`)")
    headers = {"Authorization": "Bearer contoso", "X-Api-Key": "hidden0key", "X-Locale": "en-US", "$(x)": "bad"}
    graphiql.type_headers(json.dumps(headers | {"authorization2": "x"}))
    command = copied(graphiql)
    assert "contoso" not in command
    assert "hidden0key" not in command
    assert '-H "X-Api-Key: $X_API_KEY"' in command
    assert "-H 'X-Locale: en-US'" in command
    assert "$(x)" not in command
    graphiql.type_headers('{"Authorization": "Bearer contoso"}')
    environment = {**os.environ, "TOKEN": "contoso", "X_API_KEY": "k", "AUTHORIZATION2": "x", "no_proxy": "*"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == graphiql.run()


def test_the_command_is_copied_even_without_the_clipboard_api(graphiql: GraphiqlPage) -> None:
    """Browsers disable that API on a page loaded over plain HTTP from another machine.

    Invalid JSON in a pane shows an error.
    """
    graphiql.page.evaluate("() => Object.defineProperty(Clipboard.prototype, 'writeText', {value: undefined})")
    assert copied(graphiql).startswith(f"curl -sS '{graphiql.url}/graphql'")
    graphiql.type_headers("{")
    graphiql.page.get_by_role("button", name="Copy as curl").click()
    expect(results(graphiql).get_by_text("The Headers pane is not JSON.")).to_be_visible()


def test_the_file_of_an_unnamed_operation_is_named_after_its_list(graphiql: GraphiqlPage) -> None:
    graphiql.type_query("{ licenseDeployments(first: 1) { nodes { productName } } }")
    graphiql.wait_for_operation(None)
    graphiql.run()
    assert download(graphiql)[0] == "licenseDeployments.csv"


def test_notices_cause_no_layout_shift(graphiql: GraphiqlPage) -> None:
    graphiql.run()
    graphiql.show("Table")
    places = (
        "() => ['.results-bar', '.results-room'].map(name => document.querySelector(name).getBoundingClientRect().y)"
    )
    before = graphiql.page.evaluate(places)
    download(graphiql)
    assert graphiql.page.evaluate(places) == before
    copied(graphiql)
    assert graphiql.page.evaluate(places) == before
    graphiql.page.get_by_role("button", name="Hide Builder").click()
    graphiql.page.set_viewport_size({"width": 390, "height": 844})
    graphiql.show("JSON")
    graphiql.show("Table")
    before = graphiql.page.evaluate(places)
    copied(graphiql)
    assert graphiql.page.evaluate(places) == before
