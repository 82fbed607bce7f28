"""The bar chart of a response, in real Chromium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.results import (
    DEPLOYED,
    SOLD,
    bars,
    connection,
    drawn,
    headline,
    measures,
    product,
    results,
    segments,
    widths,
)

if TYPE_CHECKING:
    from tests.browser.conftest import GraphiqlPage


def percentage(part: int, whole: int) -> str:
    rounded = int(1000 * part / whole + 0.5) / 10
    return ">99.9%" if rounded == 100 and part < whole else f"{rounded:g}%"


def test_partial_shares_are_not_rounded_to_0_or_100_percent(graphiql: GraphiqlPage) -> None:
    pairs = [(9000, 9000), (8000, 8001), (3187, 3172), (1000, 1), (900, 0)]
    graphiql.answer_with(connection(*(product(f"plan {sold}", sold, deployed) for sold, deployed in pairs)))
    graphiql.run()
    graphiql.show("Chart")
    assert [figures.split(" · ")[1] for _, figures in bars(graphiql)] == ["100%", ">100%", "99.5%", "0.1%", "0%"]


def test_a_chart_of_some_rows_says_that_they_may_not_be_the_highest(graphiql: GraphiqlPage) -> None:
    """The note is above the bars. A chart of all rows has no note."""
    graphiql.open_example(4, "JumpToPage")
    graphiql.run()
    graphiql.show("Chart")
    note = results(graphiql).get_by_text("higher ones")
    expect(note).to_have_text(
        "This answer has 10 of 12,000 rows, in the report's order: higher ones may be among the others."
    )
    expect(note).to_be_in_viewport(ratio=1)
    graphiql.screenshot("part")
    graphiql.open_example(2, "FilterByProduct")
    graphiql.run()
    bars(graphiql)
    expect(note).to_have_count(0)


def test_a_grouped_response_is_drawn_as_bars(graphiql: GraphiqlPage) -> None:
    """One bar per group, highest first, scaled to the longest; the text beside it has the same figures."""
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Chart")
    nodes = sorted(nodes, key=lambda node: -node[SOLD])[:20]
    assert bars(graphiql) == [
        (
            node["productName"] or "–",
            f"{node[DEPLOYED]:,} of {node[SOLD]:,} · {percentage(node[DEPLOYED], node[SOLD])}",
        )
        for node in nodes
    ]
    highest = nodes[0][SOLD]
    expected = [100 * node[measure] / highest for node in nodes for measure in (SOLD, DEPLOYED)]
    assert widths(graphiql) == pytest.approx(expected, abs=1)
    graphiql.screenshot("chart-light")


def test_groups_of_customers_are_labeled_by_name(graphiql: GraphiqlPage) -> None:
    """Ids are not used as labels if names differ; the headline says which rows are shown."""
    graphiql.open_example(3, "GroupByCustomer")
    nodes = graphiql.run()["data"]["licenseDeployments"]["nodes"]
    graphiql.show("Chart")
    highest = sorted(nodes, key=lambda node: -node[SOLD])[:20]
    assert [label for label, _ in bars(graphiql)] == [node["customerName"] for node in highest]
    assert headline(graphiql) == "Top 20 of 2,061 by licenses sold"
    expect(results(graphiql).get_by_text("The table has all 2,061 rows of this answer.")).to_be_visible()


@pytest.mark.parametrize("count", [0, 1, 20, 1_001, 10_000])
def test_the_headline_is_true_at_every_size(graphiql: GraphiqlPage, count: int) -> None:
    """The answers have all rows, a part of them, or no number of all rows."""
    rows = [product(f"plan {number}", number, 0) for number in range(count)]
    shown = [f"plan {number}" for number in reversed(range(max(0, count - 20), count))]
    whole = {1: "1 row by", 20: "20 rows by"}.get(count, f"Top 20 of {count:,} by")
    here = {1: "The row here by", 20: "The 20 rows here by"}.get(count, f"Top 20 of the {count:,} rows here by")
    graphiql.show("Chart")
    for total, start in ((count, whole), (250_000, here), (None, here)):
        graphiql.answer_with(connection(*rows, totalCount=total))
        graphiql.run()
        status = results(graphiql).locator(".about").get_by_role("status")
        if count == 0:
            expect(status).to_have_text(
                {0: "No row fits.", None: "No rows in this answer."}.get(total, "no rows here, of 250,000 rows")
            )
            expect(results(graphiql).locator(".headline, .bars")).to_have_count(0)
            continue
        expect(status).to_contain_text("of 250,000 rows" if total == 250_000 else "row")
        assert headline(graphiql) == f"{start} licenses sold"
        assert [label for label, _ in bars(graphiql)] == shown
        expect(results(graphiql).get_by_text("higher ones")).to_have_count(int(total == 250_000))
        expect(results(graphiql).get_by_text("The table has all")).to_have_count(int(count > 20))


def test_the_measure_can_be_chosen(graphiql: GraphiqlPage) -> None:
    """The choice has the measures of the answer, and those that the page computes. It applies to later answers."""
    rows = [product("a", 10, 2), product("b", 8, 8), product("c", 4, None), product("d", 5, 6)]
    graphiql.answer_with(connection(*rows, totalCount=4))
    graphiql.run()
    graphiql.show("Chart")
    texts = ["licenses sold", "licenses deployed", "sold − deployed", "deployment rate, computed"]
    assert measures(graphiql).locator("option").all_inner_texts() == texts
    for text, labels in zip(texts, ("abdc", "bdac", "abdc", "dbac"), strict=True):
        measures(graphiql).select_option(text)
        assert headline(graphiql) == f"4 rows by {text}"
        assert [label for label, _ in bars(graphiql)] == list(labels)
    assert segments(graphiql)[0] == [("rate", 0, 100)]
    expect(drawn(graphiql).locator(".legend")).to_have_text("rate, computed")
    graphiql.run()
    assert headline(graphiql) == "4 rows by deployment rate, computed"


def test_labels_have_the_fewest_columns_that_tell_rows_apart(graphiql: GraphiqlPage) -> None:
    """They are in the query's order. An id is added, shortened, if rows have the same names."""
    guids = [f"{number:08X}-DAE4-4550-8201-E2BD73AB4876" for number in range(20)]
    names = [("s", f"customer {number // 5}", f"product {number % 5}") for number in range(20)]
    rows = [
        {
            "customerTenantId": guid,
            "service": service,
            "customerName": customer,
            "kind": customer[:4],
            **product(plan, 9, 1),
        }
        for guid, (service, customer, plan) in zip(guids, names, strict=True)
    ]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    graphiql.show("Chart")
    assert [label for label, _ in bars(graphiql)] == [f"{customer} · {plan}" for _, customer, plan in names]
    graphiql.answer_with(connection(*(row | {"productName": "same"} for row in rows)))
    graphiql.run()
    assert [label for label, _ in bars(graphiql)] == [
        f"{guid[:8]}… · {customer}" for guid, (_, customer, _) in zip(guids, names, strict=True)
    ]
    same = [{"customerTenantId": f"965EDA32-DAE4-4550-8201-E2BD73AB48{number}", SOLD: 1} for number in (10, 11)]
    graphiql.answer_with(connection(*same))
    graphiql.run()
    assert [label for label, _ in bars(graphiql)] == [row["customerTenantId"] for row in same]
    graphiql.answer_with(connection(rows[0]))
    graphiql.run()
    assert [label for label, _ in bars(graphiql)] == ["s"]


def test_an_id_has_its_name_beside_it(graphiql: GraphiqlPage) -> None:
    """Tenants of one name, as a search finds them, are shown with this name."""
    ids = [f"{number:08X}-DAE4-4550-8201-E2BD73AB4876" for number in range(2)]
    graphiql.answer_with(connection(*({"customerTenantId": id_, "customerName": "Søn", SOLD: 1} for id_ in ids)))
    graphiql.run()
    graphiql.show("Chart")
    assert [label for label, _ in bars(graphiql)] == [f"{id_[:8]}… · Søn" for id_ in ids]
    products = [{"customerTenantId": ids[0], "customerName": "Søn"} | product(name, 1, 1) for name in ("a", "b")]
    graphiql.answer_with(connection(*products))
    graphiql.run()
    assert [label for label, _ in bars(graphiql)] == ["a", "b"]


def test_a_rate_just_below_a_limit_does_not_seem_to_reach_it(graphiql: GraphiqlPage) -> None:
    graphiql.answer_with(connection(product("a", 48, 19), product("b", 10, 4), product("c", 0, 1)))
    graphiql.run()
    graphiql.show("Chart")
    assert [figures for _, figures in bars(graphiql)] == [
        "19 of 48 · 39.6%",
        "4 of 10 · 40%",
        "1 of 0 · 1 over-deployed",
    ]


def test_zero_sold_and_null_values_are_drawn_without_a_share_or_bar(graphiql: GraphiqlPage) -> None:
    """Zero sold has no share. Null and negative values lack a bar."""
    graphiql.answer_with(
        connection(product("over", 10, 20), product("none", 0, 5), product("idle", 0, 0), product(None, -4, None))
    )
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [
        ("over", "20 of 10 · 200% · 10 over-deployed"),
        ("none", "5 of 0 · 5 over-deployed"),
        ("idle", "0 of 0"),
        ("–", "– of -4"),
    ]
    assert segments(graphiql) == [
        [("sold", 0, 50), ("deployed", 0, 50), ("over", 50, 50)],
        [("sold", 0, 0), ("deployed", 0, 0), ("over", 0, 25)],
        [("sold", 0, 0), ("deployed", 0, 0)],
        [("sold", 0, 0), ("deployed", 0, 0)],
    ]


def test_a_chart_uses_the_columns_that_differ_between_rows(graphiql: GraphiqlPage) -> None:
    """Dates and constant columns are not used. Ids are used only if the rows have no names."""
    ids = ("965EDA32-DAE4-4550-8201-E2BD73AB4876", "11FA2AC0-079D-D25A-49FE-85B0834C687A")
    rows = [
        {"customerTenantId": id_, "customerName": name, "channel": "direct", "sold": 3, "processedDateTime": date}
        for id_, name, date in zip(ids, ("Topaz", "Walnut"), ("2026-11-20T00:00:00", "2026-11-13"), strict=True)
    ]
    graphiql.answer_with(connection(*rows))
    graphiql.run()
    graphiql.show("Chart")
    assert bars(graphiql) == [("Topaz", "3"), ("Walnut", "3")]
    graphiql.answer_with(connection(*({"customerTenantId": id_, "sold": 3} for id_ in ids)))
    graphiql.run()
    expect(results(graphiql).get_by_text("11FA2AC0…")).to_be_visible()
    graphiql.answer_with(connection({"customerName": "Topaz"}))
    graphiql.run()
    expect(results(graphiql).get_by_text("Bars need numbers: select licensesSold")).to_be_visible()
