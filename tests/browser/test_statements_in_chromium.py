"""Every statement about rows is true for any number of rows here and of all rows, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from playwright.sync_api import Locator, expect

from tests.browser.results import connection, product, results

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


class Case(NamedTuple):
    """The rows of an answer and of its query (None if the answer does not say), and what the page says about them."""

    here: int
    total: int | None
    status: str
    headline: str = ""
    notes: tuple[str, ...] = ()
    place: str = ""
    save: str = ""


def part(here: str, total: str) -> str:
    return f"This answer has {here} of {total} rows, in the report's order: higher ones may be among the others."


def cut(here: str) -> str:
    return f"The table has all {here} rows of this answer."


CASES = [
    Case(0, 0, "No row fits."),
    Case(0, None, "No rows in this answer."),
    Case(0, 1, "no rows here, of 1 row", save="Save 1 row as"),
    Case(0, 1_001, "no rows here, of 1,001 rows", save="Save all 1,001 rows as"),
    Case(1, 1, "1 row", "1 row by"),
    Case(1, None, "1 row", "The row here by", place="Row 1", save="Save all rows as"),
    Case(
        1,
        1_001,
        "1 of 1,001 rows",
        "The row here by",
        (part("1", "1,001"),),
        "Row 1 of 1,001",
        "Save all 1,001 rows as",
    ),
    Case(20, 20, "20 rows", "20 rows by"),
    Case(1_001, 1_001, "1,001 rows", "Top 20 of 1,001 by", (cut("1,001"),)),
    Case(
        1_001,
        None,
        "1,001 rows",
        "Top 20 of the 1,001 rows here by",
        (cut("1,001"),),
        "Rows 1 to 1,001",
        "Save all rows as",
    ),
    Case(
        1_001,
        10_000,
        "1,001 of 10,000 rows",
        "Top 20 of the 1,001 rows here by",
        (part("1,001", "10,000"), cut("1,001")),
        "Rows 1 to 1,001 of 10,000",
        "Save all 10,000 rows as",
    ),
    Case(10_000, 10_000, "10,000 rows", "Top 20 of 10,000 by", (cut("10,000"),)),
    Case(
        10_000,
        250_000,
        "10,000 of 250,000 rows",
        "Top 20 of the 10,000 rows here by",
        (part("10,000", "250,000"), cut("10,000")),
        "Rows 1 to 10,000 of 250,000",
        "Save all 250,000 rows as",
    ),
]


def first_text(element: Locator) -> str:
    return str(element.first.evaluate("element => element.firstChild?.data ?? ''")) if element.count() else ""


def said(graphiql: GraphiqlPage, case: Case) -> Case:
    """Return what the page says in place of what it should say."""
    panel = results(graphiql)
    expect(panel.locator(".about").get_by_role("status")).to_have_text(case.status)
    return Case(
        case.here,
        case.total,
        case.status,
        first_text(panel.locator(".headline")),
        tuple(panel.locator(".message").all_inner_texts()),
        first_text(panel.locator(".turns [role=status]")),
        first_text(panel.locator(".save-all span")),
    )


def test_every_statement_is_true_for_every_number_of_rows(graphiql: GraphiqlPage) -> None:
    """The operation asks for as many rows as the answer has. The table is tested with the same numbers."""
    for case in CASES:
        rows: list[Any] = [product(f"plan {number}", number, 0) for number in range(case.here)]
        totals = {} if case.total is None else {"totalCount": case.total}
        graphiql.type_query(
            f"{{ licenseDeployments(first: {max(1, case.here)}) {{ totalCount nodes {{ productName }} }} }}"
        )
        graphiql.answer_with(connection(*rows, **totals))
        graphiql.run()
        assert said(graphiql, case) == case
