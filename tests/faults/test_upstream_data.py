"""Pages whose envelope, totals, links, rows or fields are other than Microsoft's page shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.bench import LEAK, PATH, QUERY, Bench, check_fault, check_silence, numbered
from tests.gateway.upstream.scripted import GOOD, envelope, reply, rows
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.faults.bench import Bystander

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
def test_a_link_is_never_fetched_and_no_row_is_lost_or_doubled(
    bench: Bench, bystander: tuple[str, Bystander], name: str
) -> None:
    url, server = bystander
    link = LINKS[name]
    if isinstance(link, str):
        link = link.replace("{bystander}", url).replace("{host}", url.removeprefix("http://"))
    token = bench.token(numbered(12, cap=5, link=link))
    assert bench.sold(token) == list(range(12))
    assert server.connections == 0
    asked = bench.upstream.asked_by(token)
    assert [one.number("skip") for one in asked] == [0, 5, 10]
    assert all(one.raw.startswith(b"GET " + PATH + b"?") and one.raw.count(token.encode()) == 1 for one in asked)


def test_without_any_link_the_total_says_that_there_is_more(bench: Bench) -> None:
    assert bench.sold(bench.token(numbered(12, cap=5, link=None))) == list(range(12))


@pytest.mark.parametrize("total", [12, "absent"])
def test_a_link_on_the_last_page_ends_with_a_warning(bench: Bench, total: Any) -> None:
    """Twelve rows, and the promise of more for ever."""
    token = bench.token(numbered(10**6, cap=12, total=total), *[reply(envelope([], link="more"))] * 9)
    found = bench.connection(token)
    assert [row["licensesSold"] for row in found["nodes"]] == list(range(12))
    assert [warning["code"] for warning in found["warnings"]] == ["UPSTREAM_INCOMPLETE"]
    assert bench.calls(token) == 3


def test_an_upstream_that_never_ends_is_left_after_so_many_calls(bench: Bench) -> None:
    token = bench.token(numbered(10**9, cap=1, total="absent"))
    response = bench.post(token, "{ licenseDeployments(first: 1000) { totalCount } }")
    check_error(response, "UPSTREAM_BAD_RESPONSE")
    assert bench.calls(token) <= 60


@pytest.mark.parametrize("cap", [1, 2, 7, 11])
def test_short_pages_lose_nothing(bench: Bench, cap: int) -> None:
    assert bench.sold(bench.token(numbered(12, cap=cap))) == list(range(12))


@pytest.mark.parametrize("first", [1, 10, 1000])
def test_more_rows_than_asked_for_are_neither_doubled_nor_given(bench: Bench, first: int) -> None:
    token = bench.token(numbered(1_500, extra=7))
    query = f"{{ licenseDeployments(first: {first}) {{ nodes {{ licensesSold }} pageInfo {{ hasNextPage }} }} }}"
    found = bench.connection(token, query)
    assert [row["licensesSold"] for row in found["nodes"]] == list(range(first))
    assert found["pageInfo"]["hasNextPage"] is True
    assert bench.sold(token, "{ licenseDeployments(first: 20, offset: 995) { nodes { licensesSold } } }") == list(
        range(995, 1_015)
    )


def test_an_empty_page_with_a_link_is_asked_for_again(bench: Bench) -> None:
    token = bench.token(reply(envelope([], link="more")), numbered(12))
    assert bench.sold(token) == list(range(12))


@pytest.mark.parametrize("cap", [5, None])
@pytest.mark.parametrize("total", ["absent", None, "12", "many", "", -1, 12.5, 3, 10**6, True, [12], {"n": 12}, 2**70])
def test_a_total_alone_never_decides_where_the_data_ends(bench: Bench, total: Any, cap: int | None) -> None:
    token = bench.token(numbered(12, cap=cap, total=total))
    found = bench.connection(token)
    assert [row["licensesSold"] for row in found["nodes"]] == list(range(12))
    assert found["totalCount"] in (12, None)


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
def test_what_is_no_list_of_rows_is_an_error_and_no_empty_success(bench: Bench, body: Any) -> None:
    check_fault(bench, reply(body), "UPSTREAM_BAD_RESPONSE", calls=2)


@pytest.mark.parametrize(
    "body",
    [
        {"value": rows(1, 2), "totalCount": 2},
        {"Value": rows(1, 2), "@odata.count": 2, "@odata.nextLink": None},
        {"Value": rows(1, 2), "TotalCount": 2, LEAK: [LEAK]},
    ],
)
def test_known_spellings_are_accepted(bench: Bench, body: Any) -> None:
    found = bench.connection(bench.token(reply(body)))
    assert ([row["licensesSold"] for row in found["nodes"]], found["totalCount"]) == ([1, 2], 2)


def one_row(**fields: str) -> bytes:
    """A page of one row whose fields are JSON as written, with a good row behind it."""
    row = ", ".join(f'"{name}": {text}' for name, text in fields.items())
    return (f'{{"Value": [{{{row}}}, {json.dumps(rows(7)[0])}], "TotalCount": 2}}').encode()


def test_fields_that_are_null_missing_or_unreadable_cost_no_more_than_themselves(bench: Bench) -> None:
    """Unreadable ones are counted in one warning; null and missing ones are no fault."""
    token = bench.token(reply(one_row(serviceCode="[1]", licensesSold='"junk"', processedDateTime='"soon"')))
    response = bench.post(token)
    found = response.json()
    assert found["data"]["licenseDeployments"]["nodes"] == [
        {"serviceCode": None, "licensesSold": None, "processedDateTime": None},
        {"serviceCode": "crm", "licensesSold": 7, "processedDateTime": "2018-10-14T00:00:00"},
    ]
    [warning] = found["extensions"]["warnings"]
    assert (warning["code"], warning["count"]) == ("UPSTREAM_UNREADABLE_VALUES", 3)
    check_silence(bench, response, token)
    quiet = bench.connection(bench.token(reply(one_row(serviceCode="null", licensesSold="null"))))
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


def test_a_long_is_exact_or_null(bench: Bench) -> None:
    found = ",".join(f'{{"licensesSold": {text}}}' for text in LONGS)
    token = bench.token(reply(f'{{"Value": [{found}], "TotalCount": {len(LONGS)}}}'.encode()))
    assert bench.sold(token) == list(LONGS.values())


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


def test_a_date_is_understood_or_null(bench: Bench) -> None:
    found = [{"processedDateTime": date} for date in DATES]
    token = bench.token(reply({"Value": found, "TotalCount": len(found)}))
    nodes = bench.connection(token)["nodes"]
    assert [node["processedDateTime"] for node in nodes] == [date if good else None for date, good in DATES.items()]


def test_duplicate_rows_are_kept_and_their_cursors_differ(bench: Bench) -> None:
    token = bench.token(reply(envelope(rows(1, 1, 1), 3)))
    edges = bench.connection(token, "{ licenseDeployments { edges { cursor node { licensesSold } } } }")["edges"]
    assert [edge["node"]["licensesSold"] for edge in edges] == [1, 1, 1]
    assert len({edge["cursor"] for edge in edges}) == 3


def test_data_processed_anew_between_pages_is_told_with_the_new_date(bench: Bench) -> None:
    old, new = "2018-10-14T00:00:00", "2018-10-15T00:00:00"
    token = bench.token(reply(envelope(rows(1, 2, 3, date=old), 3)))
    page = "pageInfo { endCursor } nodes { processedDateTime }"
    cursor = bench.connection(token, f"{{ licenseDeployments(first: 1) {{ {page} }} }}")["pageInfo"]["endCursor"]
    # A refusal drops what is kept, as an hour would.
    bench.upstream.script(token, reply(status=403), reply(envelope(rows(4, 5, 6, date=new), 3)))
    bench.post(token, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
    found = check_error(
        bench.post(token, f'{{ licenseDeployments(first: 1, after: "{cursor}") {{ {page} }} }}'), "SNAPSHOT_CHANGED"
    )
    assert found["processedDateTime"] == new
    assert bench.sold(token) == [4, 5, 6]


def test_an_empty_page_is_an_answer_and_no_error(bench: Bench) -> None:
    """How briefly a sudden emptiness is kept is a matter of the cache's clock: see its own tests."""
    token = bench.token(reply(envelope([], 0)), GOOD)
    assert bench.connection(token)["totalCount"] == 0
    assert bench.post(token, QUERY.replace("50", "5")).json()["data"]["licenseDeployments"]["nodes"] == []
    assert bench.calls(token) == 1
