"""Pages whose envelope, totals, links, rows or fields differ from Microsoft's documentation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.harness import LEAK, PATH, QUERY, Harness, check_fault, check_no_leak, paged_rows
from tests.gateway.upstream.scripted import GOOD, envelope, respond, rows
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import Gateway
    from tests.faults.harness import Bystander

LINKS: dict[str, Any] = {
    "another origin": "{bystander}/partner/v1/analytics/commercial/deployment/license?top=5&skip=5",
    "another scheme": "ftp://127.0.0.1/x?skip=5",
    "a file": "file:///etc/passwd",
    "user name": "http://admin:secret@127.0.0.1/?skip=5",
    "host after @": "http://upstream@{host}/?skip=5",
    "no scheme": "//{host}/?skip=5",
    "backslashes": "\\\\{host}\\?skip=5",
    "another path": "/partner/v1/customers?skip=5",
    "dots": "../../../customers?skip=5",
    "encoded dots": "/partner/v1/%2e%2e/%2e%2e/customers?skip=5",
    "control characters": "/x\r\nAuthorization: Bearer other\r\n\x00?skip=5",
    "another filter": "/x?filter=channel%20eq%20%27other%27&skip=5",
    "no skip": "/x?top=5",
    "a backward skip": "/x?skip=0",
    "a huge skip": "/x?skip=99999999999999999999",
    "relative to the API": "analytics/commercial/deployment/license?skip=5",
    "relative to nothing": "?skip=5",
    "raw blanks": "/x?filter=a eq 'b c'&skip=5",
    "a number": 5,
    "a list": ["/x?skip=5"],
    "an object": {"uri": "/x?skip=5"},
    "true": True,
    "very long": "/x?" + "y" * 100_000,
}


@pytest.mark.parametrize("name", LINKS)
def test_a_next_link_is_never_fetched_and_each_row_appears_once(
    harness: Harness, bystander: tuple[str, Bystander], name: str
) -> None:
    url, server = bystander
    link = LINKS[name]
    if isinstance(link, str):
        link = link.replace("{bystander}", url).replace("{host}", url.removeprefix("http://"))
    token = harness.token(paged_rows(12, cap=5, link=link))
    assert harness.sold(token) == list(range(12))
    assert server.connections == 0
    requests = harness.upstream.requests_of(token)
    assert [request.number("skip") for request in requests] == [0, 5, 10]
    assert all(request.raw.startswith(b"GET " + PATH + b"?") for request in requests)
    assert all(request.raw.count(token.encode()) == 1 for request in requests)


def test_without_a_next_link_the_total_shows_that_rows_follow(harness: Harness) -> None:
    assert harness.sold(harness.token(paged_rows(12, cap=5, link=None))) == list(range(12))


@pytest.mark.parametrize("total", [12, "absent"])
def test_a_next_link_on_the_last_page_adds_a_warning(harness: Harness, total: Any) -> None:
    """Twelve rows, and a next link on every page."""
    token = harness.token(paged_rows(10**6, cap=12, total=total), *[respond(envelope([], link="more"))] * 9)
    connection = harness.connection(token)
    assert [row["licensesSold"] for row in connection["nodes"]] == list(range(12))
    assert [warning["code"] for warning in connection["warnings"]] == ["UPSTREAM_INCOMPLETE"]
    assert harness.calls(token) == 3


def test_an_endless_upstream_is_abandoned_after_the_maximum_of_calls(harness: Harness) -> None:
    token = harness.token(paged_rows(10**9, cap=1, total="absent"))
    response = harness.post(token, "{ licenseDeployments(first: 1000) { totalCount } }")
    check_error(response, "UPSTREAM_BAD_RESPONSE")
    assert harness.calls(token) <= 60


@pytest.mark.parametrize("cap", [1, 2, 7, 11])
def test_short_pages_lose_no_row(harness: Harness, cap: int) -> None:
    assert harness.sold(harness.token(paged_rows(12, cap=cap))) == list(range(12))


@pytest.mark.parametrize("first", [1, 10, 1000])
def test_rows_beyond_the_requested_number_are_dropped(harness: Harness, first: int) -> None:
    token = harness.token(paged_rows(1_500, extra=7))
    query = f"{{ licenseDeployments(first: {first}) {{ nodes {{ licensesSold }} pageInfo {{ hasNextPage }} }} }}"
    connection = harness.connection(token, query)
    assert [row["licensesSold"] for row in connection["nodes"]] == list(range(first))
    assert connection["pageInfo"]["hasNextPage"] is True
    assert harness.sold(token, "{ licenseDeployments(first: 20, offset: 995) { nodes { licensesSold } } }") == list(
        range(995, 1_015)
    )


def test_an_empty_page_with_a_next_link_is_requested_again(harness: Harness) -> None:
    token = harness.token(respond(envelope([], link="more")), paged_rows(12))
    assert harness.sold(token) == list(range(12))


@pytest.mark.parametrize("cap", [5, None])
@pytest.mark.parametrize("total", ["absent", None, "12", "many", "", -1, 12.5, 3, 10**6, True, [12], {"n": 12}, 2**70])
def test_a_total_alone_never_decides_where_the_data_ends(harness: Harness, total: Any, cap: int | None) -> None:
    token = harness.token(paged_rows(12, cap=cap, total=total))
    connection = harness.connection(token)
    assert [row["licensesSold"] for row in connection["nodes"]] == list(range(12))
    assert connection["totalCount"] in (12, None)


@pytest.mark.parametrize(
    "body",
    [
        {"TotalCount": 2},
        {"Value": None, "TotalCount": 2},
        {"Value": {}, "TotalCount": 2},
        {"Value": LEAK, "TotalCount": 2},
        {"Value": 2},
        {"Rows": rows(1, 2), "TotalCount": 2},
        {"Value": [None]},
        {"Value": [*rows(1), 42]},
        {"Value": [[]]},
        {"Value": [LEAK]},
    ],
    ids=["missing", "null", "object", "text", "number", "unknown spelling", "null row", "42", "list row", "text row"],
)
def test_a_page_without_a_list_of_rows_is_an_error(harness: Harness, body: Any) -> None:
    check_fault(harness, respond(body), "UPSTREAM_BAD_RESPONSE", calls=2)


@pytest.mark.parametrize(
    "body",
    [
        {"value": rows(1, 2), "totalCount": 2},
        {"Value": rows(1, 2), "@odata.count": 2, "@odata.nextLink": None},
        {"Value": rows(1, 2), "TotalCount": 2, LEAK: [LEAK]},
    ],
)
def test_known_spellings_of_the_envelope_are_accepted(harness: Harness, body: Any) -> None:
    connection = harness.connection(harness.token(respond(body)))
    assert ([row["licensesSold"] for row in connection["nodes"]], connection["totalCount"]) == ([1, 2], 2)


@pytest.mark.parametrize("form", ["pascal", "upper"])
def test_rows_with_known_names_in_another_case_are_read(gateway: Gateway, form: str) -> None:
    fields = "totalCount nodes { serviceCode customerName licensesSold processedDateTime }"
    assert gateway.connection("", f"sample+keys={form}", fields) == gateway.connection("", "sample", fields)


@pytest.mark.parametrize("body", [[{"name": "x"}], [{"CustomerName": "x", "Unknown": 1}], [{}, {"workloadCode": None}]])
def test_rows_without_a_known_field_are_an_error(harness: Harness, body: Any) -> None:
    check_fault(harness, respond(envelope(body, len(body))), "UPSTREAM_BAD_RESPONSE", calls=2)


def one_row(**fields: str) -> bytes:
    """Return a page of two rows: one with ``fields`` as raw JSON, and a good one."""
    row = ", ".join(f'"{name}": {text}' for name, text in fields.items())
    return (f'{{"Value": [{{{row}}}, {json.dumps(rows(7)[0])}], "TotalCount": 2}}').encode()


def test_null_missing_and_unreadable_fields_leave_the_rest_of_the_page_intact(harness: Harness) -> None:
    """Unreadable fields are counted in one warning; null and missing fields cause none."""
    token = harness.token(respond(one_row(serviceCode="[1]", licensesSold='"junk"', processedDateTime='"soon"')))
    response = harness.post(token)
    result = response.json()
    assert result["data"]["licenseDeployments"]["nodes"] == [
        {"serviceCode": None, "licensesSold": None, "processedDateTime": None},
        {"serviceCode": "crm", "licensesSold": 7, "processedDateTime": "2018-10-14T00:00:00"},
    ]
    [warning] = result["extensions"]["warnings"]
    assert (warning["code"], warning["count"]) == ("UPSTREAM_UNREADABLE_VALUES", 3)
    check_no_leak(harness, response, token)
    quiet = harness.connection(harness.token(respond(one_row(serviceCode="null", licensesSold="null"))))
    assert quiet["nodes"][0] == {"serviceCode": None, "licensesSold": None, "processedDateTime": None}
    assert quiet["warnings"] == []


LONGS = {
    "2147483648": 2**31,
    "9007199254740993": 2**53 + 1,
    "9223372036854775807": 2**63 - 1,
    "-9223372036854775808": -(2**63),
    '"9007199254740993"': 2**53 + 1,
    "6.0": 6,
    "1e3": 1_000,
    "9223372036854775808": None,
    "18446744073709551616": None,
    "1.5": None,
    "1e400": None,
    '"NaN"': None,
    "true": None,
}


def test_a_long_is_exact_or_null(harness: Harness) -> None:
    page = ",".join(f'{{"licensesSold": {text}}}' for text in LONGS)
    token = harness.token(respond(f'{{"Value": [{page}], "TotalCount": {len(LONGS)}}}'.encode()))
    assert harness.sold(token) == list(LONGS.values())


DATES = {
    "2018-10-14T00:00:00": True,
    "2018-10-14T00:00:00Z": True,
    "2018-10-14T00:00:00+05:30": True,
    "2018-10-14": True,
    "2018-10-14T00:00:00.1": True,
    "2018-10-14T00:00:00.1234567Z": True,
    "0001-01-01T00:00:00": True,
    "9999-12-31T23:59:59.9999999": True,
    "2018-02-30T00:00:00": False,
    "10/14/2018": False,
    "1539475200": False,
    "": False,
    LEAK: False,
}


def test_a_date_is_valid_or_null(harness: Harness) -> None:
    page = [{"processedDateTime": date} for date in DATES]
    token = harness.token(respond({"Value": page, "TotalCount": len(page)}))
    nodes = harness.connection(token)["nodes"]
    assert [node["processedDateTime"] for node in nodes] == [date if good else None for date, good in DATES.items()]


def test_duplicate_rows_are_kept_and_their_cursors_differ(harness: Harness) -> None:
    token = harness.token(respond(envelope(rows(1, 1, 1), 3)))
    edges = harness.connection(token, "{ licenseDeployments { edges { cursor node { licensesSold } } } }")["edges"]
    assert [edge["node"]["licensesSold"] for edge in edges] == [1, 1, 1]
    assert len({edge["cursor"] for edge in edges}) == 3


def test_reprocessing_between_pages_is_a_snapshot_conflict(harness: Harness) -> None:
    old, new = "2018-10-14T00:00:00", "2018-10-15T00:00:00"
    token = harness.token(respond(envelope(rows(1, 2, 3, date=old), 3)))
    page = "pageInfo { endCursor } nodes { processedDateTime }"
    cursor = harness.connection(token, f"{{ licenseDeployments(first: 1) {{ {page} }} }}")["pageInfo"]["endCursor"]
    # A refusal drops the cached pages, as their expiry would.
    harness.upstream.script(token, respond(status=403), respond(envelope(rows(4, 5, 6, date=new), 3)))
    harness.post(token, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
    extensions = check_error(
        harness.post(token, f'{{ licenseDeployments(first: 1, after: "{cursor}") {{ {page} }} }}'), "SNAPSHOT_CHANGED"
    )
    assert extensions["processedDateTime"] == new
    assert harness.sold(token) == [4, 5, 6]


def test_an_empty_page_is_not_an_error(harness: Harness) -> None:
    """The tests of the cache show for how long a sudden empty page is cached."""
    token = harness.token(respond(envelope([], 0)), GOOD)
    assert harness.connection(token)["totalCount"] == 0
    assert harness.post(token, QUERY.replace("50", "5")).json()["data"]["licenseDeployments"]["nodes"] == []
    assert harness.calls(token) == 1


EXACT = """{ licenseDeployments(groupBy: [CUSTOMER_NAME]) {
  nodes { customerName licensesSold licensesUnassigned } totals { licensesSold licensesDeployed }
} }"""


@pytest.mark.parametrize("unreadable", ["?", 9.5, [1], 2**70])
def test_an_unreadable_count_leaves_groups_with_nulls_known(harness: Harness, unreadable: Any) -> None:
    """Sums skip the nulls of the same page. An unreadable date or name takes no count away."""
    items = [
        {"customerName": "a", "licensesSold": 5, "licensesDeployed": 2},
        {"customerName": "a", "licensesSold": None, "licensesDeployed": 1, "processedDateTime": "?"},
        {"customerName": "b", "licensesSold": unreadable, "licensesDeployed": 4},
        {"customerName": "c", "licensesSold": None, "licensesDeployed": None, "channel": 7},
    ]
    connection = harness.connection(harness.token(respond(envelope(items, 4))), EXACT)
    assert connection["nodes"] == [
        {"customerName": "a", "licensesSold": 5, "licensesUnassigned": 3},
        {"customerName": "b", "licensesSold": None, "licensesUnassigned": None},
        {"customerName": "c", "licensesSold": None, "licensesUnassigned": None},
    ]
    assert connection["totals"] == {"licensesSold": None, "licensesDeployed": 7}
    assert [warning["count"] for warning in connection["warnings"]] == [3]
