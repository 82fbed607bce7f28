"""Order, having, search and totals over HTTP: calls, cursors, warnings and limits."""

from __future__ import annotations

from typing import Any

import pytest

from schema.build import sdl
from tests.conftest import Gateway, StartGateway, Upstream
from tests.schema.http.responses import check_error

BY_UNASSIGNED = "groupBy: CUSTOMER_NAME, orderBy: {field: LICENSES_UNASSIGNED, direction: DESC}"
BY_SOLD = "groupBy: CUSTOMER_NAME, orderBy: {field: LICENSES_SOLD, direction: DESC}"
PAGE = "totalCount pageInfo { hasNextPage endCursor } nodes { customerName licensesSold }"


def ask(gateway: Gateway, arguments: str, token: str, fields: str = PAGE) -> dict[str, Any]:
    """Return the whole response to a query for one connection."""
    return gateway.ask(f"{{ licenseDeployments{f'({arguments})' if arguments else ''} {{ {fields} }} }}", token)


def shown(gateway: Gateway, arguments: str, token: str, fields: str = PAGE) -> dict[str, Any]:
    """Return the connection of a query that must succeed."""
    return gateway.connection(arguments, token, fields)


def refused(gateway: Gateway, arguments: str, token: str, code: str, fields: str = PAGE) -> dict[str, Any]:
    """Return the extensions of the error of a query that must fail, with its message."""
    response = gateway.post(f"{{ licenseDeployments({arguments}) {{ {fields} }} }}", token)
    extensions = check_error(response, code, path=["licenseDeployments"])
    return {**extensions, "message": response.json()["errors"][0]["message"]}


def warnings_of(response: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in response.get("extensions", {}).get("warnings", [])]


# Upstream calls


@pytest.mark.timeout(300)
def test_a_distributors_customers_cost_the_fewest_calls_and_then_none(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    gateway, token = start_gateway(), "fabrikam+as=distributor"
    calls = []
    for arguments, fields in (
        (f"{BY_SOLD}, first: 20", PAGE),
        (f"{BY_SOLD}, last: 20", PAGE),
        (f"{BY_SOLD}, offset: 40000", PAGE),
        ("groupBy: CUSTOMER_NAME, orderBy: {field: CUSTOMER_NAME}, having: {licensesSold: {gt: 5}}", PAGE),
        ('groupBy: CUSTOMER_NAME, search: "tools"', "totals { licensesSold deploymentRate }"),
        (f"{BY_UNASSIGNED}, first: 20", PAGE),
        (f"{BY_UNASSIGNED}, last: 20", PAGE),
        ('orderBy: {field: DEPLOYMENT_RATE}, search: "office"', PAGE),
        ("groupBy: PRODUCT_NAME, having: {licensesUnassigned: {gt: 5}}", PAGE),
    ):
        before = len(upstream.calls_of(token))
        shown(gateway, arguments, token, fields)
        calls.append(len(upstream.calls_of(token)) - before)
    assert calls[0] <= 6
    assert calls[5] <= 26
    assert [*calls[1:5], *calls[6:]] == [0, 0, 0, 0, 0, 0, 0]


def test_totals_alone_cost_one_call_and_then_none(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token, totals = start_gateway(), "contoso+as=totals", "totals { licensesSold licensesDeployed }"
    first = shown(gateway, "", token, totals)
    assert [call.query_string for call in upstream.calls_of(token)] == ["groupby=serviceCode&top=10000&skip=0"]
    assert shown(gateway, "first: 5", token, f"{totals} __typename")["totals"] == first["totals"]
    assert len(upstream.calls_of(token)) == 1
    assert first["totals"] == {"licensesSold": 1369832, "licensesDeployed": 1015157}


def test_totals_beside_a_page_cost_one_call_more(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(), "contoso+as=totals-and-page"
    for _ in range(2):
        page = shown(gateway, "first: 5", token, f"{PAGE} totals {{ licensesSold }}")
        assert page["totals"] == {"licensesSold": 1369832}
        assert page["totalCount"] == 12_000
    assert len(upstream.calls_of(token)) == 2


def test_excesses_of_a_group_count_every_row_and_not_the_net(gateway: Gateway) -> None:
    fields = "totals { licensesUnassigned licensesOverdeployed licensesSold licensesDeployed }"
    totals = shown(gateway, "groupBy: CHANNEL", "contoso", fields)["totals"]
    assert totals["licensesUnassigned"] == 371_136
    net = totals["licensesSold"] - totals["licensesDeployed"]
    assert net == totals["licensesUnassigned"] - totals["licensesOverdeployed"] == 354_675


def test_fields_that_are_not_shown_cost_nothing(start_gateway: StartGateway, upstream: Upstream) -> None:
    """Fragments, merging and directives are resolved before the mode is fixed."""
    gateway, token = start_gateway(), "contoso+as=hidden"
    query = """query ($no: Boolean!) {
      licenseDeployments(groupBy: CHANNEL) {
        nodes { ...Hidden licensesSold } totals @include(if: $no) { licensesSold }
      }
    }
    fragment Hidden on LicenseDeployment { channel licensesUnassigned @skip(if: true) }"""
    assert "errors" not in gateway.ask(query, token, no=False)
    assert [call.query_string for call in upstream.calls_of(token)] == ["groupby=channel&top=1000&skip=0"]
    query = """{
      licenseDeployments(groupBy: CHANNEL) { edges { node { channel } } ... { edges { node { ...Shown } } } }
    }
    fragment Shown on LicenseDeployment { waste: licensesUnassigned }"""
    edges = gateway.ask(query, token)["data"]["licenseDeployments"]["edges"]
    assert sum(edge["node"]["waste"] for edge in edges) == 371_136
    assert len(upstream.calls_of(token)) == 3


def test_repeated_tries_finish_and_ask_for_no_block_twice(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway(operation_timeout_seconds=1, first_block_rows=100, block_rows=500)
    token, progress = "contoso+latency=0.4+as=slow", []
    for _ in range(20):
        response = gateway.post(f"{{ licenseDeployments({BY_UNASSIGNED}) {{ totalCount }} }}", token)
        if "errors" not in response.json():
            break
        progress.append(check_error(response, "DEADLINE_EXCEEDED")["progress"])
    assert response.json()["data"]["licenseDeployments"]["totalCount"] == 2_018
    assert len(progress) >= 2
    assert {part["rowsTotal"] for part in progress} == {12_000}
    rows = [part["rowsRead"] for part in progress]
    assert rows == sorted(set(rows))
    queries = [call.query_string for call in upstream.calls_of(token)]
    assert len(queries) == len(set(queries)) == 24


def test_the_fields_of_an_operation_share_one_scan(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(), "contoso+as=shared-scan"
    query = """{
      most: licenseDeployments(
        groupBy: CUSTOMER_NAME, orderBy: {field: LICENSES_UNASSIGNED, direction: DESC}, first: 1
      ) { nodes { customerName licensesUnassigned } }
      least: licenseDeployments(groupBy: CUSTOMER_NAME, orderBy: {field: LICENSES_UNASSIGNED}, last: 1) {
        nodes { customerName licensesUnassigned }
      }
      rows: licenseDeployments(orderBy: {field: LICENSES_UNASSIGNED}) { totals { licensesUnassigned } }
    }"""
    data = gateway.ask(query, token)["data"]
    assert data["most"] == data["least"]
    assert data["rows"]["totals"] == {"licensesUnassigned": 371_136}
    assert sorted(call.query_string for call in upstream.calls_of(token)) == [
        "top=10000&skip=0",
        "top=10000&skip=10000",
    ]


def test_without_reading_ahead_all_rows_are_read_all_the_same(start_gateway: StartGateway) -> None:
    gateway = start_gateway(read_ahead="off", first_block_rows=10, block_rows=50)
    assert shown(gateway, BY_UNASSIGNED, "contoso+rows=300+as=in-order") == shown(
        start_gateway(), BY_UNASSIGNED, "contoso+rows=300+as=in-order"
    )


def test_two_tokens_never_share_a_view(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = start_gateway()
    for token in ("contoso+rows=300+as=mine", "contoso+rows=300+as=yours"):
        shown(gateway, BY_UNASSIGNED, token)
        assert len(upstream.calls_of(token)) == 1


# Cursors


def test_a_cursor_keeps_the_mode(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(), "contoso+as=mode"
    groups = "groupBy: CUSTOMER_NAME, orderBy: {field: CUSTOMER_NAME}"
    page = shown(gateway, f"{groups}, first: 5", token, f"{PAGE} totals {{ licensesUnassigned }}")
    calls = len(upstream.calls_of(token))
    after = page["pageInfo"]["endCursor"]
    following = shown(gateway, f'{groups}, first: 5, after: "{after}"', token)
    assert following == shown(gateway, f"{groups}, first: 5, offset: 5", "contoso") | {
        "pageInfo": following["pageInfo"]
    }
    assert len(upstream.calls_of(token)) == calls


@pytest.mark.parametrize("arguments", ["groupBy: CUSTOMER_NAME", BY_SOLD, ""], ids=["groups", "ordered", "rows"])
def test_a_cursor_without_the_measures_cannot_be_used_with_them(gateway: Gateway, arguments: str) -> None:
    page = shown(gateway, f"{arguments}, first: 5", "contoso")
    after = f'{arguments}, after: "{page["pageInfo"]["endCursor"]}"'
    if arguments != BY_SOLD and arguments:
        error = refused(gateway, after, "contoso", "INVALID_CURSOR", "nodes { licensesOverdeployed }")
        assert "again with this selection" in error["message"]
    error = refused(gateway, after, "contoso", "INVALID_CURSOR", "nodes { channel } totals { licensesUnassigned }")
    assert "again with this selection" in error["message"]


@pytest.mark.parametrize(
    "others",
    [
        "orderBy: {field: LICENSES_SOLD}",
        "orderBy: [{field: LICENSES_SOLD, direction: DESC}, {field: CUSTOMER_NAME}]",
        'orderBy: {field: LICENSES_SOLD, direction: DESC}, search: "a"',
        "orderBy: {field: LICENSES_SOLD, direction: DESC}, having: {licensesSold: {gt: 0}}",
        "",
    ],
)
def test_a_cursor_belongs_to_one_refinement(gateway: Gateway, others: str) -> None:
    after = shown(gateway, f"{BY_SOLD}, first: 5", "contoso")["pageInfo"]["endCursor"]
    refused(gateway, f'groupBy: CUSTOMER_NAME, {others}, after: "{after}"', "contoso", "INVALID_CURSOR")


@pytest.mark.parametrize("arguments", [BY_SOLD, BY_UNASSIGNED, "orderBy: {field: LICENSES_SOLD}"])
def test_a_cursor_of_other_data_is_refused(start_gateway: StartGateway, arguments: str) -> None:
    """Also in groups, which have no dates, and if the number of rows stays the same."""
    gateway = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=0)
    token = f"contoso+rows=300+reprocess-after=1+as={len(arguments)}"
    after = shown(gateway, f"{arguments}, first: 5", token)["pageInfo"]["endCursor"]
    error = refused(gateway, f'{arguments}, first: 5, after: "{after}"', token, "SNAPSHOT_CHANGED")
    assert error["message"].endswith("Start again from the first page.")


@pytest.mark.parametrize("is_restarted", [False, True], ids=["expired", "another process"])
@pytest.mark.parametrize("arguments", [BY_SOLD, BY_UNASSIGNED, "orderBy: {field: CHANNEL}", 'search: "a"'])
def test_one_other_count_is_noticed_by_the_cursor(
    start_gateway: StartGateway, upstream: Upstream, arguments: str, is_restarted: bool
) -> None:
    """Neither date nor number of rows changes, and the count is not on the page."""
    lifetime = {} if is_restarted else {"cache_fresh_seconds": 0, "cache_stale_seconds": 0}
    gateway, token = start_gateway(**lifetime), f"contoso+rows=300+recount-after=1+as={len(arguments)}-{is_restarted}"
    first = shown(gateway, f"{arguments}, first: 5", token)
    calls = len(upstream.calls_of(token))
    after = f'{arguments}, first: 5, after: "{first["pageInfo"]["endCursor"]}"'
    refused(start_gateway() if is_restarted else gateway, after, token, "SNAPSHOT_CHANGED")
    assert (calls, len(upstream.calls_of(token))) == (1, 2)
    again = shown(gateway, f"{arguments}, first: 5", token)
    assert (again["totalCount"], again["nodes"]) == (first["totalCount"], first["nodes"])


def test_the_same_data_read_again_accepts_the_cursor(start_gateway: StartGateway) -> None:
    gateway = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=0)
    after = shown(gateway, f"{BY_SOLD}, first: 5", "contoso+as=again")["pageInfo"]["endCursor"]
    assert shown(gateway, f'{BY_SOLD}, first: 5, after: "{after}"', "contoso+as=again")["nodes"]


def test_the_offset_may_lie_behind_the_end(gateway: Gateway) -> None:
    fields = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } nodes { customerName }"
    page = shown(gateway, f"{BY_SOLD}, offset: 999999", "contoso", fields)
    info = {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None}
    assert page == {"totalCount": 2_018, "pageInfo": info, "nodes": []}
    nothing = shown(gateway, f'{BY_SOLD}, offset: 9, search: "no such"', "contoso", fields)
    assert nothing == {"totalCount": 0, "pageInfo": info | {"hasPreviousPage": False}, "nodes": []}


# Warnings


@pytest.mark.parametrize("fast_path", [True, False])
def test_missing_rows_leave_totals_and_count_unknown(start_gateway: StartGateway, fast_path: bool) -> None:
    gateway, token = start_gateway(fast_path=fast_path), "contoso+rows=300+total=high+as=missing"
    for fields in ("totals { licensesSold }", f"{PAGE} totals {{ licensesSold }}"):
        response = ask(gateway, "orderBy: {field: LICENSES_SOLD}, last: 5", token, f"totalCount {fields}")
        connection = response["data"]["licenseDeployments"]
        assert (connection["totals"], connection["totalCount"]) == (None, None)
        assert warnings_of(response) == ["UPSTREAM_INCOMPLETE"]
    assert len(connection["nodes"]) == 5
    assert connection["pageInfo"]["hasNextPage"] is False
    response = ask(gateway, "", token, "totals { licensesSold }")
    assert response["data"]["licenseDeployments"]["totals"] is None
    assert warnings_of(response) == ["UPSTREAM_INCOMPLETE"]


def test_numbers_that_could_not_be_read_leave_totals_unknown(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(), "contoso+rows=300+counts=junk+as=junk"
    fields = "nodes { licensesSold licensesUnassigned deploymentRate } totals { licensesSold licensesUnassigned }"
    response = ask(gateway, "orderBy: {field: LICENSES_UNASSIGNED}, first: 1", token, fields)
    connection = response["data"]["licenseDeployments"]
    assert connection["totals"] == {"licensesSold": None, "licensesUnassigned": None}
    assert connection["nodes"] == [{"licensesSold": None, "licensesUnassigned": None, "deploymentRate": None}]
    assert warnings_of(response) == ["UPSTREAM_UNREADABLE_VALUES"]


@pytest.mark.parametrize("fast_path", [True, False])
def test_sums_beyond_64_bits_are_null_and_reported(start_gateway: StartGateway, fast_path: bool) -> None:
    gateway, token = start_gateway(fast_path=fast_path), "contoso+rows=2000+counts=big+as=big"
    fields = "totals { licensesSold licensesUnassigned licensesOverdeployed deploymentRate }"
    response = ask(gateway, "groupBy: CHANNEL", token, f"nodes {{ licensesUnassigned }} {fields}")
    totals = response["data"]["licenseDeployments"]["totals"]
    assert totals["licensesSold"] is totals["deploymentRate"] is None
    assert totals["licensesUnassigned"] > 0
    assert warnings_of(response) == ["VALUE_OUT_OF_RANGE"]
    unused = ask(gateway, "groupBy: CHANNEL", token, "nodes { licensesUnassigned } totals { licensesUnassigned }")
    assert warnings_of(unused) == []
    ordered = ask(gateway, f"{BY_UNASSIGNED}, having: {{licensesSold: {{gt: 0}}}}", token, "totalCount")
    assert warnings_of(ordered) == []


def test_a_stale_view_is_answered_with_a_warning(start_gateway: StartGateway) -> None:
    gateway = start_gateway(cache_fresh_seconds=0, cache_stale_seconds=600)
    arguments, token = "groupBy: CHANNEL, orderBy: {field: LICENSES_SOLD}", "contoso+rows=300+as=stale"
    assert warnings_of(ask(gateway, arguments, token)) == []
    assert warnings_of(ask(gateway, arguments, token)) == ["STALE_DATA"]


# HTTP caching


def test_views_are_revalidated_like_blocks(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    query = f"{{ licenseDeployments({BY_SOLD}, first: 3) {{ {PAGE} totals {{ licensesSold }} }} }}"
    headers = {"Authorization": "Bearer contoso+as=view-etag"}
    first = gateway.client.get("/graphql", params={"query": query}, headers=headers)
    assert (first.headers["X-Cache"], first.headers["Age"]) == ("miss", "0")
    headers["If-None-Match"] = first.headers["ETag"]
    second = gateway.client.get("/graphql", params={"query": query}, headers=headers)
    assert (second.status_code, second.headers["X-Cache"], second.headers["X-Upstream-Calls"]) == (304, "hit", "0")


def test_no_rendering_with_totals_is_kept_with_its_page(start_gateway: StartGateway) -> None:
    """Totals come from another query, which may change on its own."""
    gateway, token = start_gateway(), "contoso+rows=300+as=plans"
    fields = "nodes { channel } totals { licensesSold }"
    responses = [gateway.post(f"{{ licenseDeployments(first: 2) {{ {fields} }} }}", token) for _ in range(3)]
    assert len({response.content for response in responses}) == 1
    assert responses[0].json()["data"]["licenseDeployments"]["totals"] == {"licensesSold": 31_514}


# Limits


def test_a_query_with_too_many_rows_is_refused(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(max_scan_rows=11_999), "contoso+as=too-many"
    error = refused(gateway, "orderBy: {field: LICENSES_SOLD}", token, "QUERY_TOO_COMPLEX")
    assert "12000 rows" in error["message"]
    assert "group or filter" in error["message"]
    assert len(upstream.calls_of(token)) == 1
    assert shown(gateway, BY_SOLD, token)["totalCount"] == 2_018


def test_a_scan_counts_as_upstream_calls(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_upstream_calls=2, first_block_rows=10, block_rows=100)
    refused(gateway, "orderBy: {field: LICENSES_SOLD}", "contoso+rows=300+as=calls", "QUERY_TOO_COMPLEX")


def nested(levels: int) -> dict[str, Any]:
    condition: dict[str, Any] = {"licensesSold": {"gt": 1}}
    for _ in range(levels):
        condition = {"not": condition}
    return condition


BAD = [
    ({"search": "a" * 201}, "search", "more than 200 characters"),
    ({"having": {"licensesSold": None}}, "having", "having.licensesSold is null"),
    ({"having": {"and": [{"licensesSold": {"gt": None}}]}}, "having", "having.and[0].licensesSold.gt is null"),
    ({"having": {"not": None}}, "having", "having.not is null"),
    ({"having": nested(51)}, "having", "deeper than 50"),
    ({"having": {"or": [{"licensesSold": {"eq": 1}}] * 101}}, "having", "more than 100 comparisons"),
]


@pytest.mark.parametrize(("variables", "argument", "message"), BAD, ids=[message for *_, message in BAD])
def test_wrong_arguments_are_named(
    gateway: Gateway, upstream: Upstream, variables: dict[str, Any], argument: str, message: str
) -> None:
    query = """query ($search: String, $having: LicenseDeploymentHaving) {
      licenseDeployments(search: $search, having: $having) { totalCount }
    }"""
    response = gateway.post(query, "contoso+as=wrong", variables)
    assert check_error(response, "BAD_USER_INPUT")["argument"] == argument
    assert message in response.json()["errors"][0]["message"]
    assert upstream.calls_of("contoso+as=wrong") == []


@pytest.mark.parametrize(
    "arguments",
    ["search: null", 'search: " "', "having: null", "having: {}", "having: {and: []}", "orderBy: null", "orderBy: []"],
)
def test_empty_arguments_are_absent(start_gateway: StartGateway, upstream: Upstream, arguments: str) -> None:
    gateway, token = start_gateway(), f"contoso+as=empty-{len(arguments)}-{arguments[0]}"
    assert shown(gateway, f"{arguments}, first: 5", token) == shown(gateway, "first: 5", token)
    assert [call.query_string for call in upstream.calls_of(token)] == ["top=1000&skip=0"]


@pytest.mark.parametrize("field", ["CUSTOMER_NAME", "PRODUCT_ID"])
def test_groups_cannot_be_ordered_by_a_field_outside_the_grouping(
    gateway: Gateway, upstream: Upstream, field: str
) -> None:
    """It would be null in every group."""
    token = f"contoso+as=null-order-{field}"
    arguments = f"groupBy: [CHANNEL], orderBy: [{{field: LICENSES_SOLD}}, {{field: {field}}}]"
    error = refused(gateway, arguments, token, "BAD_USER_INPUT")
    assert (error["argument"], error["message"]) == (
        "orderBy",
        f"'orderBy' has {field}, which is null in every group. Add it to 'groupBy', or leave it out.",
    )
    assert upstream.calls_of(token) == []
    shown(gateway, f"groupBy: [CHANNEL, {field}], orderBy: {{field: {field}}}, first: 1", token)
    response = gateway.client.get(
        "/export/licenseDeployments.csv",
        params={"groupBy": "CHANNEL", "orderBy": f'[{{"field": "{field}"}}]'},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert response.status_code == 400


def test_the_schema_says_that_a_rate_is_a_fraction() -> None:
    assert "as a fraction: 40 % is 0.4." in sdl()


def test_no_rows_have_totals_without_a_call(gateway: Gateway, upstream: Upstream) -> None:
    fields = "totalCount totals { licensesSold licensesUnassigned deploymentRate }"
    nothing = {"totalCount": 0, "totals": {"licensesSold": 0, "licensesUnassigned": 0, "deploymentRate": None}}
    assert shown(gateway, "filter: {or: []}", "contoso+as=view-nothing", fields) == nothing
    assert upstream.calls_of("contoso+as=view-nothing") == []
    assert shown(gateway, "", "tailspin", fields) == nothing


@pytest.mark.parametrize("arguments", [BY_SOLD, BY_UNASSIGNED, "orderBy: {field: CUSTOMER_NAME}"])
def test_without_memory_every_page_is_the_same(start_gateway: StartGateway, arguments: str) -> None:
    """Each page then costs all calls again, also with a cursor."""
    token = "contoso+rows=300+as=no-memory"
    cached, uncached = start_gateway(), start_gateway(cache_memory_bytes=0)
    first = shown(uncached, f"{arguments}, first: 7", token)
    assert first == shown(cached, f"{arguments}, first: 7", token)
    following = f'{arguments}, first: 7, after: "{first["pageInfo"]["endCursor"]}"'
    assert shown(uncached, following, token) == shown(cached, following, token)


@pytest.mark.parametrize("number", ["1e400", "-1e400"])
def test_an_infinite_rate_is_refused_as_literal_and_as_variable(gateway: Gateway, number: str) -> None:
    """JSON of other languages may hold it; Python's parser makes it infinite."""
    token = "contoso+as=infinite"
    refused(gateway, f"having: {{deploymentRate: {{gt: {number}}}}}", token, "BAD_USER_INPUT")
    query = "query ($r: Float) { licenseDeployments(having: {deploymentRate: {gt: $r}}) { totalCount } }"
    body = f'{{"query": "{query}", "variables": {{"r": {number}}}}}'
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    response = gateway.client.post("/graphql", content=body, headers=headers)
    assert response.json()["errors"][0]["extensions"]["code"] in ("BAD_USER_INPUT", "BAD_REQUEST")


ORDERS = ["CUSTOMER_NAME", "PRODUCT_NAME", "LICENSES_SOLD", "LICENSES_UNASSIGNED", "DEPLOYMENT_RATE"]


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("field", ORDERS)
def test_an_order_by_a_field_with_nulls_loses_no_row(gateway: Gateway, field: str, direction: str, size: int) -> None:
    """Page by page, forward and backward: the nulls come last."""
    name = {"CUSTOMER_NAME": "customerName", "PRODUCT_NAME": "productName", "DEPLOYMENT_RATE": "deploymentRate"}.get(
        field, "licenses" + field.partition("_")[2].capitalize()
    )
    token, order = "contoso+rows=150+nulls+as=null-pages", f"orderBy: {{field: {field}, direction: {direction}}}"
    fields = (
        "nodes { customerTenantId customerName productId productName channel licensesSold licensesUnassigned"
        " deploymentRate } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
    )
    whole = shown(gateway, f"{order}, first: 1000", token, fields)["nodes"]
    nulls = [row[name] is None for row in whole]
    assert 0 < sum(nulls) < len(whole) == 150
    assert nulls == sorted(nulls)
    for limit, bound, has_more, end in (
        ("first", "after", "hasNextPage", "endCursor"),
        ("last", "before", "hasPreviousPage", "startCursor"),
    ):
        pages, where = [], ""
        while True:
            page = shown(gateway, f"{order}, {limit}: {size}{where}", token, fields)
            pages.append(page["nodes"])
            if not page["pageInfo"][has_more]:
                break
            where = f', {bound}: "{page["pageInfo"][end]}"'
        rows = [row for page in (pages if limit == "first" else reversed(pages)) for row in page]
        assert rows == whole
