"""Previous and Next write the cursor into the operation and run it, in real Chromium; the rows are the sandbox's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphql import parse
from playwright.sync_api import Locator, expect

from tests.browser.conftest import running_gateway
from tests.browser.results import column, connection, product, results
from tests.gateway.sandbox.rows import rows_of

if TYPE_CHECKING:
    from tests.browser.conftest import Chromium, GraphiqlPage

MOST_UNASSIGNED = 6
FIELDS = "nodes { customerName productName licensesSold }"


def button(graphiql: GraphiqlPage, name: str) -> Locator:
    return results(graphiql).get_by_role("button", name=f"{name} page")


def rows_text(graphiql: GraphiqlPage) -> Locator:
    return results(graphiql).locator(".turns [role=status]")


def turn(graphiql: GraphiqlPage, name: str, rows: str) -> None:
    """Press a button and wait for the page whose text is ``rows``."""
    button(graphiql, name).click()
    expect(rows_text(graphiql)).to_have_text(rows)
    expect(button(graphiql, name)).to_be_focused()


def show_table_of(graphiql: GraphiqlPage, query: str, variables: str = "") -> None:
    graphiql.type_query(query)
    graphiql.type_variables(variables)
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    graphiql.show("Table")


def is_off(element: Locator) -> None:
    expect(element).to_have_attribute("aria-disabled", "true")


def names(start: int, stop: int) -> list[str]:
    return [str(row["customerName"]) for row in rows_of("contoso")[start:stop]]


def test_next_and_previous_turn_the_pages_of_the_example(graphiql: GraphiqlPage) -> None:
    """They change the variables that the operation has; comments and layout stay. The focus stays on the button."""
    graphiql.open_example(1, "NextPage")
    graphiql.run()
    graphiql.show("Table")
    text = graphiql.query()
    expect(rows_text(graphiql)).to_have_text("Rows 1 to 5 of 12,000")
    is_off(button(graphiql, "Previous"))
    turn(graphiql, "Next", "Rows 6 to 10 of 12,000")
    assert column(graphiql, 1) == names(5, 10)
    assert graphiql.query() == text
    variables = json.loads(
        graphiql.page.locator(".graphiql-editor-tool .CodeMirror").first.evaluate("e => e.CodeMirror.getValue()")
    )
    assert variables["first"] == 5
    assert isinstance(variables["after"], str)
    turn(graphiql, "Next", "Rows 11 to 15 of 12,000")
    graphiql.screenshot("pages")
    turn(graphiql, "Previous", "Rows 6 to 10 of 12,000")
    assert column(graphiql, 1) == names(5, 10)
    turn(graphiql, "Previous", "Rows 1 to 5 of 12,000")
    is_off(button(graphiql, "Previous"))
    turn(graphiql, "Next", "Rows 6 to 10 of 12,000")
    assert graphiql.query().splitlines()[0] == text.splitlines()[0]
    assert "last" not in graphiql.query().split("{")[1]


def test_an_operation_without_page_info_is_turned_too(graphiql: GraphiqlPage) -> None:
    """The page asks for the cursor when it needs one, which makes no upstream call. An order stays."""
    graphiql.open_example(MOST_UNASSIGNED, "MostUnassigned")
    graphiql.run()
    graphiql.show("Table")
    expect(rows_text(graphiql)).to_have_text("Rows 1 to 20 of 2,061")
    with graphiql.page.expect_response(lambda response: "pageInfo" in (response.request.post_data or "")) as asked:
        turn(graphiql, "Next", "Rows 21 to 40 of 2,061")
    assert asked.value.header_value("x-upstream-calls") == "0"
    assert re.search(r"first: 20\n    after: \"[\w-]+\"\n  \) \{", graphiql.query())
    assert "orderBy: [{ field: LICENSES_UNASSIGNED, direction: DESC }]" in graphiql.query()
    graphiql.show("Chart")
    expect(results(graphiql).locator(".headline")).to_contain_text("20 of 2,061 in")
    turn(graphiql, "Previous", "Rows 1 to 20 of 2,061")


def test_the_last_page_ends_the_way_forward(graphiql: GraphiqlPage) -> None:
    """A query for the last rows begins there."""
    show_table_of(graphiql, f"{{ licenseDeployments(last: 7) {{ totalCount {FIELDS} }} }}")
    expect(rows_text(graphiql)).to_have_text("Rows 11,994 to 12,000 of 12,000")
    is_off(button(graphiql, "Next"))
    button(graphiql, "Next").click(force=True)
    turn(graphiql, "Previous", "Rows 11,987 to 11,993 of 12,000")
    assert column(graphiql, 1) == names(11_986, 11_993)
    turn(graphiql, "Next", "Rows 11,994 to 12,000 of 12,000")
    is_off(button(graphiql, "Next"))
    assert graphiql.query().startswith("{ licenseDeployments(first: 7, after: ")


def test_an_offset_is_moved(graphiql: GraphiqlPage) -> None:
    """It needs no cursor. The page before row 5 begins at the first row."""
    query = f"query Jump($at: Int) {{ licenseDeployments(offset: $at, first: 10) {{ totalCount {FIELDS} }} }}"
    show_table_of(graphiql, query, '{"at": 5}')
    expect(rows_text(graphiql)).to_have_text("Rows 6 to 15 of 12,000")
    turn(graphiql, "Next", "Rows 16 to 25 of 12,000")
    assert column(graphiql, 1) == names(15, 25)
    turn(graphiql, "Previous", "Rows 6 to 15 of 12,000")
    turn(graphiql, "Previous", "Rows 1 to 10 of 12,000")
    is_off(button(graphiql, "Previous"))
    assert graphiql.query() == query


def test_pages_of_an_unknown_total_end_with_the_rows(graphiql: GraphiqlPage) -> None:
    """The operation does not count them, and asks for all but two first."""
    where = 'filter: { productName: { eq: "OFFICE 365 E3" } }'
    count = sum(row["productName"] == "OFFICE 365 E3" for row in rows_of("contoso"))
    size = count - 2
    show_table_of(graphiql, f"{{ licenseDeployments({where}, first: {size}) {{ {FIELDS} }} }}")
    expect(rows_text(graphiql)).to_have_text(f"Rows 1 to {size}")
    turn(graphiql, "Next", f"Rows {size + 1} to {count}")
    is_off(button(graphiql, "Next"))


def test_a_full_last_page_of_an_unknown_total_says_that_nothing_follows(graphiql: GraphiqlPage) -> None:
    graphiql.page.get_by_role("button", name="sample").click()
    show_table_of(graphiql, f"{{ licenseDeployments(first: 2) {{ {FIELDS} }} }}")
    button(graphiql, "Next").click()
    expect(results(graphiql).get_by_text("There are no further rows.")).to_be_visible()
    expect(button(graphiql, "Next")).to_have_attribute("aria-disabled", "false")


def test_an_edited_operation_is_run_before_its_pages_are_turned(graphiql: GraphiqlPage) -> None:
    """Otherwise the button would turn the pages of another query than that of the rows."""
    show_table_of(graphiql, f"{{ licenseDeployments(first: 3) {{ totalCount {FIELDS} }} }}")
    graphiql.type_query(f"{{ licenseDeployments(first: 4) {{ totalCount {FIELDS} }} }}")
    is_off(button(graphiql, "Next"))
    expect(button(graphiql, "Next")).to_have_attribute("title", re.compile("^The operation has changed"))
    with graphiql.page.expect_response("**/graphql"):
        graphiql.run()
    expect(rows_text(graphiql)).to_have_text("Rows 1 to 4 of 12,000")
    expect(button(graphiql, "Next")).to_have_attribute("aria-disabled", "false")
    graphiql.page.get_by_role("button", name="fabrikam").click()
    is_off(button(graphiql, "Next"))
    expect(button(graphiql, "Next")).to_have_attribute("title", re.compile("^The token has changed"))


def test_one_page_has_no_buttons(graphiql: GraphiqlPage) -> None:
    """Neither have two connections, which are shown together."""
    expect(button(graphiql, "Next")).to_have_count(0)
    graphiql.open_example(5, "CompareDates")
    graphiql.run()
    graphiql.show("Table")
    expect(results(graphiql).get_by_role("table")).to_be_visible()
    expect(button(graphiql, "Next")).to_have_count(0)


def test_one_of_several_connections_is_turned_alone(graphiql: GraphiqlPage) -> None:
    """Both use one variable, which the other connection keeps."""
    show_table_of(
        graphiql,
        "query Two($n: Int!) { a: licenseDeployments(first: $n) { totalCount nodes { customerName licensesSold } }"
        " b: licenseDeployments(first: $n, groupBy: [PRODUCT_NAME]) { totalCount nodes { productName licensesSold } }"
        " }",
        '{"n": 4}',
    )
    graphiql.page.get_by_role("combobox", name="Rows of").select_option("b")
    turn(graphiql, "Next", "Rows 5 to 8 of 176")
    turn(graphiql, "Previous", "Rows 1 to 4 of 176")
    assert "a: licenseDeployments(first: $n)" in graphiql.query()
    assert "b: licenseDeployments(groupBy: [PRODUCT_NAME], last: 4, before: " in graphiql.query()


def test_a_slow_page_leaves_the_rows_in_place(graphiql: GraphiqlPage) -> None:
    """They are marked as busy, and a second press does nothing."""
    graphiql.type_headers('{"Authorization": "Bearer contoso+latency=3+as=turns"}')
    show_table_of(graphiql, f"{{ licenseDeployments(first: 5, offset: 990) {{ totalCount {FIELDS} }} }}")
    expect(rows_text(graphiql)).to_have_text("Rows 991 to 995 of 12,000")
    turn(graphiql, "Next", "Rows 996 to 1,000 of 12,000")
    button(graphiql, "Next").click()
    busy = results(graphiql).get_by_role("region", name="Table of licenseDeployments")
    expect(busy).to_have_attribute("aria-busy", "true")
    assert column(graphiql, 1) == names(995, 1000)
    button(graphiql, "Next").click()
    expect(rows_text(graphiql)).to_have_text("Rows 1,001 to 1,005 of 12,000")
    expect(busy).to_have_attribute("aria-busy", "false")


def test_incomplete_rows_have_no_numbers(graphiql: GraphiqlPage) -> None:
    """If rows are missing, it is unknown which rows these are."""
    warning = {"code": "UPSTREAM_INCOMPLETE", "message": "Rows are missing."}
    graphiql.answer_with(connection(product("a", 1, 1), totalCount=3) | {"extensions": {"warnings": [warning]}})
    graphiql.run()
    graphiql.show("Table")
    expect(button(graphiql, "Next")).to_be_visible()
    expect(rows_text(graphiql)).to_be_empty()


def test_trusted_documents_are_turned_by_their_variables(chromium: Chromium, tmp_path: Path) -> None:
    """The page may send nothing else. A document without cursors says what it lacks."""
    turning = (
        "query Rows($first: Int, $after: String) { licenseDeployments(first: $first, after: $after)"
        " { totalCount edges { cursor node { customerName licensesSold } } } }"
    )
    plain = f"query Plain {{ licenseDeployments(first: 5) {{ totalCount {FIELDS} }} }}"
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"rows": turning, "plain": plain}), encoding="utf-8")
    with running_gateway(GATEWAY_TRUSTED_DOCUMENTS=str(manifest)) as url, chromium.at(url).graphiql() as graphiql:
        graphiql.open()
        show_table_of(graphiql, turning, '{"first": 5}')
        turn(graphiql, "Next", "Rows 6 to 10 of 12,000")
        expect(results(graphiql).get_by_text("Save all")).to_have_count(0)
        show_table_of(graphiql, plain)
        is_off(button(graphiql, "Next"))
        expect(button(graphiql, "Next")).to_have_attribute(
            "title", "Select pageInfo in the operation to turn its pages."
        )


# Each operation with variables, the wanted arguments, and the text and variables that result.
AFTER = {"first": 5, "after": "x"}
BEFORE = {"last": 5, "before": "x"}
EDITS: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, Any]]] = [
    ("{ c { n } }", {}, {"after": "x"}, '{ c(after: "x") { n } }', {}),
    ("{ c(first: 5) { n } }", {}, AFTER, '{ c(first: 5, after: "x") { n } }', {}),
    ("{ a: d c: d(first: 5) { n } }", {}, AFTER, '{ a: d c: d(first: 5, after: "x") { n } }', {}),
    ("{ c(first: 5, x: 1) { n } }", {}, BEFORE, '{ c(x: 1, last: 5, before: "x") { n } }', {}),
    (
        "query ($n: Int = 5) { c(first: $n) { n } }",
        {},
        AFTER,
        'query ($n: Int = 5) { c(first: $n, after: "x") { n } }',
        {},
    ),
    (
        "query ($n: Int = 5) { c(first: $n) { n } }",
        {},
        BEFORE,
        'query ($n: Int = 5) { c(first: $n, last: 5, before: "x") { n } }',
        {"n": None},
    ),
    ("query ($n: Int!) { c(first: $n) { n } }", {"n": 5}, BEFORE, 'query { c(last: 5, before: "x") { n } }', {}),
    (
        "query Q($n: Int!, $s: Int) { c(first: $n, x: $s) { n } }",
        {"n": 5, "s": 1},
        BEFORE,
        'query Q($s: Int) { c(x: $s, last: 5, before: "x") { n } }',
        {"s": 1},
    ),
    (
        "query ($a: String!) { c(after: $a) d(x: $a) }",
        {"a": "z"},
        AFTER,
        'query ($a: String!) { c(after: "x", first: 5) d(x: $a) }',
        {"a": "z"},
    ),
    (
        "query ($a: String) { ...F ...F } fragment F on Q { c(after: $a) }",
        {},
        {"after": "x"},
        "query ($a: String) { ...F ...F } fragment F on Q { c(after: $a) }",
        {"a": "x"},
    ),
    (
        "{ c(first: 5) { n } ... { c(first: 5) { m } } }",
        {},
        AFTER,
        '{ c(first: 5, after: "x") { n } ... { c(first: 5, after: "x") { m } } }',
        {},
    ),
    (
        "{ c(\n    x: [A]\n    first: 5\n  ) { n } }",
        {},
        AFTER,
        '{ c(\n    x: [A]\n    first: 5\n    after: "x"\n  ) { n } }',
        {},
    ),
    (
        "# c(first: 1)\n{ c(first: 5) { n } # keep\n}",
        {},
        {"first": 5, "after": 'a"b\\'},
        '# c(first: 1)\n{ c(first: 5, after: "a\\"b\\\\") { n } # keep\n}',
        {},
    ),
]


def test_only_paging_arguments_are_edited(graphiql: GraphiqlPage) -> None:
    """The result is still an operation. Comments, layout and other arguments stay."""
    script = """async ([query, variables, wanted]) => {
      const base = document.querySelector("script[type=module]").src;
      const { editsForPage } = await import(new URL("page_arguments.js", base));
      const { edits, variables: values } = editsForPage({ query, variables }, "c", wanted);
      const cut = (all, { start, end, text }) => all.slice(0, start) + text + all.slice(end);
      return [edits.reduce(cut, query), values];
    }"""
    for query, variables, wanted, text, values in EDITS:
        assert graphiql.page.evaluate(script, [query, variables, wanted]) == [text, values], query
        parse(text)
