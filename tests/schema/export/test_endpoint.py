"""Exports over HTTP: whole files or none, over real sockets."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from gateway import errors
from gateway.caller import Caller
from gateway.config.environment import read_settings
from gateway.config.groups import Limits
from gateway.page import Page
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from schema.build import build_schema
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from schema.export.arguments import ExportArguments
from schema.export.endpoint import Exports
from schema.export.row_formats import csv_lines
from schema.export.statuses import STATUSES
from tests.conftest import Gateway, StartGateway, Upstream
from tests.gateway.fakes import row_sources
from tests.gateway.running import eventually
from tests.properties.model import DEPLOYMENTS, MODELS, USAGES, Model

CSV, NDJSON = "/export/licenseDeployments.csv", "/export/licenseDeployments.ndjson"
COLUMNS = list(LICENSE_DEPLOYMENTS.attributes)


def fetch(gateway: Gateway, path: str = CSV, token: str | None = "contoso", **parameters: str) -> httpx.Response:
    """Return the response to one export."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return gateway.client.get(path, params=parameters, headers=headers)


def parsed(text: str) -> list[dict[str, str]]:
    """The rows of a CSV file as text."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def as_text(row: dict[str, Any], columns: Iterable[str]) -> dict[str, str]:
    """A row as CSV shows it."""
    return {name: "" if row[name] is None else str(row[name]) for name in columns}


def path_of(dataset: Model, extension: str) -> str:
    return f"/export/{dataset.field}.{extension}"


each_dataset = pytest.mark.parametrize("dataset", MODELS, ids=lambda dataset: dataset.field)


@each_dataset
def test_csv_holds_every_row_under_the_names_of_the_schema(gateway: Gateway, dataset: Model) -> None:
    response = fetch(gateway, path_of(dataset, "csv"))
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{dataset.field}.csv"'
    assert response.headers["Cache-Control"] == "no-store"
    assert response.text.startswith(",".join(dataset.fields) + "\r\n")
    assert parsed(response.text) == [as_text(row, dataset.fields) for row in dataset.rows()]


@each_dataset
def test_ndjson_holds_every_row_with_its_types(gateway: Gateway, dataset: Model) -> None:
    response = fetch(gateway, path_of(dataset, "ndjson"))
    # Windows PowerShell 5.1 reads other charsets without one.
    assert response.headers["Content-Type"] == "application/x-ndjson; charset=utf-8"
    rows = [json.loads(line) for line in response.content.splitlines()]
    assert rows == [{name: row[name] for name in dataset.fields} for row in dataset.rows()]
    assert list(rows[0]) == list(dataset.fields)


@each_dataset
def test_an_account_without_rows_has_a_header_alone(gateway: Gateway, dataset: Model) -> None:
    assert fetch(gateway, path_of(dataset, "csv"), "tailspin").text == ",".join(dataset.fields) + "\r\n"
    assert fetch(gateway, path_of(dataset, "ndjson"), "tailspin").content == b""


@each_dataset
@pytest.mark.parametrize("group_by", ["SERVICE_NAME, CHANNEL", '["SERVICE_NAME", "CHANNEL"]'])
def test_filter_grouping_and_date_are_those_of_graphql(gateway: Gateway, group_by: str, dataset: Model) -> None:
    response = fetch(
        gateway,
        path_of(dataset, "ndjson"),
        filter='{"not": {"channel": {"in": ["direct", "none"]}}}',
        groupBy=group_by,
        processedDateTime="2026-10-23",
    )
    wanted = gateway.connection(
        'filter: {channel: {notIn: ["none", "direct"]}}, groupBy: [SERVICE_NAME, CHANNEL],'
        ' processedDateTime: "2026-10-23"',
        fields=f"nodes {{ {' '.join(dataset.fields)} }}",
        dataset=dataset.field,
    )["nodes"]
    assert len(wanted) == 2
    assert [json.loads(line) for line in response.content.splitlines()] == wanted


def test_blocks_read_by_graphql_are_exported_from_the_cache(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(), "contoso+as=export-cache"
    gateway.connection("first: 10000", token, "nodes { channel } pageInfo { hasNextPage }")
    gateway.connection("offset: 10000, first: 10000", token, "nodes { channel }")
    calls = len(upstream.calls_of(token))
    response = fetch(gateway, CSV, token)
    assert response.headers["X-Cache"] == "hit"
    assert len(parsed(response.text)) == 12_000
    assert len(upstream.calls_of(token)) == calls == 2


def test_an_empty_filter_asks_nobody_but_needs_a_token(gateway: Gateway, upstream: Upstream) -> None:
    token = "contoso+as=export-nothing"
    assert fetch(gateway, CSV, token, filter='{"or": []}').text == ",".join(COLUMNS) + "\r\n"
    assert upstream.calls_of(token) == []
    assert fetch(gateway, CSV, None, filter='{"or": []}').status_code == 401
    assert fetch(gateway, CSV, None, filter="{").status_code == 401


@pytest.mark.parametrize(
    ("parameters", "argument"),
    [
        ({"filter": "{"}, "filter"),
        ({"filter": '{"chanel": {"eq": "x"}}'}, "filter"),
        ({"filter": '{"channel": {"eq": null}}'}, "filter"),
        ({"filter": '{"channel": {"eq": "a\\u0000b"}}'}, "filter"),
        ({"filter": '{"not":' * 3_000 + "{}" + "}" * 3_000}, "filter"),
        ({"groupBy": "CUSTOMER"}, "groupBy"),
        ({"groupBy": "[CHANNEL"}, "groupBy"),
        ({"processedDateTime": "yesterday"}, "processedDateTime"),
        ({"fliter": "{}"}, "fliter"),
        ({"first": "10"}, "first"),
        ({"raw": "yes"}, "raw"),
        ({"incomplete": "yes"}, "incomplete"),
        ({"offset": "5"}, "snapshot"),
        ({"snapshot": "x"}, "offset"),
        ({"offset": "-1", "snapshot": "x"}, "offset"),
        ({"offset": "1e3", "snapshot": "x"}, "offset"),
        ({"offset": "9" * 5_000, "snapshot": "x"}, "offset"),
        ({"offset": "5", "snapshot": "x"}, "snapshot"),
        ({"offset": "5", "snapshot": "\u00e4" * 9_000}, "snapshot"),
    ],
)
def test_arguments_that_cannot_be_used_are_told_with_400(
    gateway: Gateway, parameters: dict[str, str], argument: str
) -> None:
    response = fetch(gateway, **parameters)
    [error] = response.json()["errors"]
    assert response.status_code == 400
    assert (error["extensions"]["code"], error["extensions"]["argument"]) == ("BAD_USER_INPUT", argument)
    assert error["extensions"]["correlationId"] == response.headers["MS-CorrelationId"]


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        (None, 401, "UNAUTHENTICATED"),
        ("nobody", 401, "UNAUTHENTICATED"),
        ("contoso+status=403+as=export", 403, "FORBIDDEN"),
        ("contoso+throttle=30+as=export", 429, "RATE_LIMITED"),
        ("contoso+status=404+as=export", 502, "UPSTREAM_REJECTED"),
        ("contoso+garbage+as=export", 502, "UPSTREAM_BAD_RESPONSE"),
        ("contoso+status=503+as=export", 502, "UPSTREAM_UNAVAILABLE"),
        ("contoso+hang+as=export", 504, "UPSTREAM_TIMEOUT"),
        # The upstream promises rows that never come: a file could not say so.
        ("contoso+rows=9000+total=high+as=export", 502, "UPSTREAM_BAD_RESPONSE"),
    ],
)
def test_what_fails_before_the_first_byte_is_json_with_its_status(
    start_gateway: StartGateway, token: str | None, status: int, code: str
) -> None:
    # Without retries: the time of the last one may run out.
    gateway = start_gateway(upstream_timeout_seconds=1, operation_timeout_seconds=2, upstream_max_retries=0)
    response = fetch(gateway, CSV, token)
    [error] = response.json()["errors"]
    assert (response.status_code, error["extensions"]["code"]) == (status, code)
    assert response.headers["Cache-Control"] == "no-store"
    assert ("WWW-Authenticate" in response.headers) == (status == 401)
    assert ("Retry-After" in response.headers) == (status == 429)


def test_every_error_that_an_export_can_meet_has_a_status() -> None:
    """Errors of documents and cursors cannot occur. The status of a malformed request depends on its fault."""

    def leaves(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
        below = kind.__subclasses__()
        yield from (leaf for inner in below for leaf in leaves(inner)) if below else [kind]

    foreign = {
        errors.BadRequest, errors.ParseFailed, errors.ValidationFailed, errors.InvalidCursor, errors.PayloadTooLarge,
        errors.PersistedQueryNotFound, errors.BatchRefused, errors.EncodedBody,
    }  # fmt: skip
    assert set(leaves(errors.GatewayError)) - foreign == STATUSES.keys()


def test_only_get_is_allowed(gateway: Gateway) -> None:
    response = gateway.client.post(CSV, headers={"Authorization": "Bearer contoso"})
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, OPTIONS")
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


def test_another_dataset_or_format_is_not_found(gateway: Gateway) -> None:
    for path in ("/export/licenseUsage.csv", "/export/licenseDeployments.xlsx", "/export/"):
        response = fetch(gateway, path)
        assert response.status_code == 404
        assert "Exports over HTTP end in .csv or .ndjson." in response.json()["errors"][0]["message"]


def test_where_only_listed_operations_run_exports_are_closed(start_gateway: StartGateway, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"one": "{ licenseDeployments { totalCount } }"}), encoding="utf-8")
    response = fetch(start_gateway(trusted_documents=str(manifest)))
    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "OPERATION_NOT_TRUSTED"


def test_a_page_of_another_site_is_refused(gateway: Gateway) -> None:
    headers = {"Authorization": "Bearer contoso", "Origin": "https://elsewhere.example"}
    assert gateway.client.get(CSV, headers=headers).status_code == 403


# Continued


@pytest.mark.parametrize("path", [CSV, NDJSON, path_of(USAGES, "csv")])
def test_an_export_continues_behind_any_row_to_the_byte(gateway: Gateway, path: str) -> None:
    is_csv = path.endswith(".csv")
    whole = fetch(gateway, path, raw="1")
    snapshot = whole.headers["X-Snapshot"]
    lines = whole.content.splitlines(keepends=True)[1 if is_csv else 0 :]
    total = int(whole.headers["X-Total-Count"])
    assert len(lines) == total > 11_999
    for offset in (0, 1, 999, 1_000, 9_999, 10_000, 10_001, total - 1, total):
        response = fetch(gateway, path, raw="1", offset=str(offset), snapshot=snapshot)
        assert response.status_code == 200
        assert response.content == b"".join(lines[offset:])
        assert response.headers["X-Snapshot"] == snapshot
        assert ("header=absent" in response.headers["Content-Type"]) == is_csv


@pytest.mark.parametrize("offset", ["12001", "20000", "20001", "999999999999999"])
def test_an_offset_beyond_the_end_is_refused(gateway: Gateway, offset: str) -> None:
    check_changed(fetch(gateway, offset=offset, snapshot=fetch(gateway).headers["X-Snapshot"]))


@pytest.mark.parametrize("order", ["", '[{"field": "LICENSES_SOLD"}]'])
def test_a_snapshot_of_another_account_is_refused_with_that_as_a_possible_cause(gateway: Gateway, order: str) -> None:
    snapshot = fetch(gateway, orderBy=order, token="sample").headers["X-Snapshot"]
    response = fetch(gateway, orderBy=order, offset="1", snapshot=snapshot)
    check_changed(response)
    (error,) = response.json()["errors"]
    assert error["message"] == (
        "The data was processed again during the export, or the token belongs to another account. Start the"
        " export again."
    )


def check_changed(response: httpx.Response) -> None:
    """The response refuses to continue another snapshot."""
    assert response.status_code == 409
    assert response.json()["errors"][0]["extensions"]["code"] == "SNAPSHOT_CHANGED"
    assert "X-Snapshot" not in response.headers


def test_reprocessed_data_is_not_continued(start_gateway: StartGateway) -> None:
    """A second gateway, without the first one's cache, reads the data as it is after the processing."""
    token = "contoso+reprocess-after=2+as=continue"
    snapshot = fetch(start_gateway(), CSV, token).headers["X-Snapshot"]
    for offset in ("0", "5000", "12000"):
        check_changed(fetch(start_gateway(), CSV, token, offset=offset, snapshot=snapshot))


def test_a_query_without_rows_is_continued_at_its_start_alone(gateway: Gateway) -> None:
    for filter_text in ('{"or": []}', '{"channel": {"eq": "none"}}'):
        snapshot = fetch(gateway, filter=filter_text).headers["X-Snapshot"]
        assert fetch(gateway, filter=filter_text, offset="0", snapshot=snapshot).content == b""
        check_changed(fetch(gateway, filter=filter_text, offset="1", snapshot=snapshot))


def test_a_snapshot_belongs_to_one_export(gateway: Gateway) -> None:
    parameters = {"filter": '{"channel": {"ne": "direct"}}', "groupBy": "SERVICE_CODE"}
    snapshot = fetch(gateway, **parameters).headers["X-Snapshot"]
    same = {**parameters, "filter": '{"not": {"channel": {"in": ["direct"]}}}', "raw": "0"}
    assert fetch(gateway, **same, offset="1", snapshot=snapshot).status_code == 200
    others = [
        (CSV, {**parameters, "raw": "1"}),
        (CSV, {**parameters, "groupBy": "CHANNEL"}),
        (CSV, {"groupBy": "SERVICE_CODE"}),
        (NDJSON, parameters),
    ]
    for path, other in others:
        response = fetch(gateway, path, **other, offset="1", snapshot=snapshot)
        [error] = response.json()["errors"]
        assert response.status_code == 400
        assert (error["extensions"]["code"], error["extensions"]["argument"]) == ("BAD_USER_INPUT", "snapshot")
    for damaged in (snapshot[:-1], snapshot[:-4], f"{snapshot}AAAA", snapshot.swapcase(), f" {snapshot}"):
        assert fetch(gateway, **parameters, offset="1", snapshot=damaged).status_code == 400


def test_a_snapshot_belongs_to_one_upstream(start_gateway: StartGateway) -> None:
    snapshot = fetch(start_gateway()).headers["X-Snapshot"]
    other = start_gateway(upstream_path_prefix="/v1")
    assert fetch(other, offset="1", snapshot=snapshot).json()["errors"][0]["extensions"]["argument"] == "snapshot"


def test_a_snapshot_holds_digests_alone(gateway: Gateway) -> None:
    response = fetch(gateway, filter='{"customerName": {"ne": "A-Secret-Name"}}')
    data = urlsafe_b64decode(response.headers["X-Snapshot"])
    assert b"Secret" not in data
    assert (12_000).to_bytes(6, "big") not in data
    assert len(response.headers["X-Snapshot"]) <= 256


def test_missing_rows_are_reported_by_a_header_if_the_client_accepts_them(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    response = fetch(gateway, CSV, "contoso+total=high+as=incomplete", incomplete="1")
    assert response.text.count("\r\n") == 12_001
    assert response.headers["X-Warnings"] == "UPSTREAM_INCOMPLETE"
    assert int(response.headers["X-Total-Count"]) > 12_000
    complete = fetch(gateway, CSV, "contoso", incomplete="1")
    assert "X-Warnings" not in complete.headers
    assert complete.headers["X-Total-Count"] == "12000"


def test_missing_rows_found_later_break_the_connection_until_it_is_continued(start_gateway: StartGateway) -> None:
    gateway, token = start_gateway(), "fabrikam+rows=35000+total=high+as=incomplete-later"
    headers = {"Authorization": f"Bearer {token}"}
    with gateway.client.stream("GET", NDJSON, params={"incomplete": "1"}, headers=headers) as response:
        assert "X-Warnings" not in response.headers
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in response.iter_raw():
                pass
    rest = fetch(gateway, NDJSON, token, incomplete="1", offset="30000", snapshot=response.headers["X-Snapshot"])
    assert rest.headers["X-Warnings"] == "UPSTREAM_INCOMPLETE"
    assert rest.content.count(b"\n") == 5_000


def test_a_client_of_http_1_0_gets_no_chunks(gateway: Gateway) -> None:
    """RFC 9112, section 7.1: HTTP/1.0 has none, so the end of the connection ends the file."""
    address = urlsplit(gateway.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(f"GET {CSV} HTTP/1.0\r\nAuthorization: Bearer contoso\r\n\r\n".encode())
        head, _, body = b"".join(iter(lambda: connection.recv(65_536), b"")).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == fetch(gateway, CSV, "contoso").content


# While it streams


@pytest.mark.parametrize("encoding", ["identity", "gzip", "zstd", "br"])
@pytest.mark.parametrize(
    "fault",
    [
        *("status-from=500:10000", "status-from=500:20000"),
        *("reprocess-after=1", "reprocess-after=2", "reprocess-total=2"),
        *("total=high", "empty-after=3"),
    ],
)
def test_what_fails_later_breaks_the_connection_off(start_gateway: StartGateway, fault: str, encoding: str) -> None:
    gateway = start_gateway(upstream_max_retries=0)
    headers = {"Authorization": f"Bearer fabrikam+rows=35000+{fault}+as={encoding}", "Accept-Encoding": encoding}
    with gateway.client.stream("GET", CSV, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers.get("Content-Encoding", "identity") == encoding
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            for _ in response.iter_raw():
                pass


def test_a_cached_first_block_of_another_snapshot_than_the_second_is_read_once_more(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    token, gateway = "contoso+reprocess-after=1+as=export", start_gateway()
    gateway.connection("first: 10000", token)
    rows = parsed(fetch(gateway, CSV, token).text)
    assert len(rows) == 12_000
    assert len({row["processedDateTime"] for row in rows}) == 1
    assert [call.query_string for call in upstream.calls_of(token)] == [
        "top=10000&skip=0", "top=10000&skip=10000", "top=10000&skip=0",
    ]  # fmt: skip


def test_the_deadline_is_for_each_block(start_gateway: StartGateway) -> None:
    gateway = start_gateway(operation_timeout_seconds=1)
    response = fetch(gateway, CSV, "fabrikam+rows=45000+latency=0.4+as=export")
    assert response.text.count("\r\n") == 45_001
    assert response.elapsed.total_seconds() > 1


def test_the_budget_of_upstream_calls_is_for_each_block(start_gateway: StartGateway) -> None:
    gateway = start_gateway(max_upstream_calls=2)
    assert fetch(gateway, CSV, "fabrikam+rows=45000+cap=5000+as=export").text.count("\r\n") == 45_001


def opened(gateway: Gateway, token: str) -> socket.socket:
    """Return a connection with a running export, of which only the first bytes were read."""
    parts = urlsplit(gateway.url)
    client = socket.create_connection((parts.hostname, parts.port))
    client.sendall(f"GET {CSV} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def test_the_gateway_stops_reading_for_a_client_that_does_not_read(
    start_gateway: StartGateway, upstream: Upstream
) -> None:
    """The sockets hold only a few blocks. Meanwhile another export completes."""
    gateway, idle, busy = start_gateway(), "fabrikam+as=idle", "fabrikam+as=busy"
    with opened(gateway, idle):
        assert fetch(gateway, CSV, busy).text.count("\r\n") == 250_001
        assert len(upstream.calls_of(busy)) == 25
        assert len(upstream.calls_of(idle)) < 20


def test_reading_ends_when_the_client_disconnects(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway, token = start_gateway(), "fabrikam+latency=0.2+as=gone"
    opened(gateway, token).close()

    def is_counted() -> bool:
        count = 'gateway_operations_total{cache="miss",operation="other",outcome="disconnected"} 1.0'
        return count in gateway.client.get("/metrics").text.splitlines()

    eventually(is_counted)
    calls = len(upstream.calls_of(token))
    assert calls < 25
    assert fetch(gateway, CSV, "contoso+latency=0.4+as=after-gone").status_code == 200
    # Calls in flight may have arrived since. In that time, reading on would have made sixteen.
    assert len(upstream.calls_of(token)) <= calls + 4


def test_metrics_count_exports_separately(start_gateway: StartGateway) -> None:
    gateway = start_gateway()
    fetch(gateway, NDJSON, "sample")
    line = 'gateway_requests_total{route="/export",status="200"} 1.0'
    # A request is counted right after its response.
    eventually(lambda: line in gateway.client.get("/metrics").text)


# Formulas


@pytest.mark.parametrize("start", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20", " =", '"='])
def test_text_that_begins_like_a_formula_is_shown_as_text(start: str) -> None:
    line = csv_lines([[f"{start}1", "1=2", -5, None, ""]]).decode()
    assert next(csv.reader(io.StringIO(line, newline=""))) == [f"'{start}1", "1=2", "-5", "", ""]


@pytest.mark.parametrize("separator", [*",;|\t\r\n", "\r\n", "; ", ';"', ";;"])
@pytest.mark.parametrize("operator", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_no_split_of_a_line_makes_a_formula_of_text(separator: str, operator: str) -> None:
    """Spreadsheets may split lines at tabs, semicolons and other characters, and quotes protect only whole cells."""
    line = csv_lines([["a", f"x{separator}{operator}1", "b", f"{operator}1{separator}{operator}2"]]).decode()
    cells = re.split(r"[,;|\t\r\n]", line)
    assert [cell for cell in cells if cell.strip(' "')[:1] == operator] == []
    assert next(csv.reader(io.StringIO(line, newline="")))[1] == f"x{separator}'{operator}1"


def test_ordinary_text_is_unchanged() -> None:
    cells = ["Smith, Jones; Co", "Office 365 - E3", "a-b", "x = y", "one\r\ntwo\n\nthree", "it's", "11FA2AC0-079D-D25A"]
    line = csv_lines([cells]).decode()
    assert next(csv.reader(io.StringIO(line, newline=""))) == cells


def test_cells_are_quoted_after_rfc_4180() -> None:
    assert csv_lines([['a "b", c', "d\ne", "f"]]) == b'"a ""b"", c","d\ne",f\r\n'


class OneRow:
    """Answers every question with one row whose customer is a formula."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        return Page(rows=(LICENSE_DEPLOYMENTS.row(customer_name="=1+1", licenses_sold=-1),), calls=1)


@pytest.mark.parametrize(("raw", "cell"), [("0", "'=1+1"), ("1", "=1+1"), ("", "'=1+1")])
async def test_raw_leaves_cells_as_they_are(raw: str, cell: str) -> None:
    settings = read_settings({})
    limits = Limits.of(settings)
    exports = Exports(
        ExportArguments(build_schema(), "", max_filter_bytes=8_000, introspection=True),
        row_sources(OneRow(), BlockSizes(1_000, 10_000)),
        limits,
    )
    transport = httpx.ASGITransport(Starlette(routes=exports.routes([LICENSE_DEPLOYMENTS])))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        response = await client.get(f"{CSV}?{urlencode({'raw': raw})}", headers={"Authorization": "Bearer one"})
    [row] = parsed(response.text)
    assert (row["customerName"], row["licensesSold"]) == (cell, "-1")


REFINED = {
    DEPLOYMENTS: {
        "groupBy": "CUSTOMER_NAME",
        "having": '{"licensesSold": {"gt": 100}}',
        "search": "te",
        "orderBy": '[{"field": "LICENSES_UNASSIGNED", "direction": "DESC"}, {"field": "CUSTOMER_NAME"}]',
    },
    USAGES: {
        "filter": '{"workloadCode": {"eq": "EXO"}}',
        "groupBy": "CUSTOMER_NAME",
        "having": '{"usageRate": {"lt": 0.4}}',
        "search": "te",
        "orderBy": '[{"field": "USAGE_RATE", "direction": "DESC"}, {"field": "CUSTOMER_NAME"}]',
    },
}


@pytest.mark.parametrize("extension", ["csv", "ndjson"])
@each_dataset
def test_rows_are_searched_selected_and_ordered_as_by_graphql(gateway: Gateway, dataset: Model, extension: str) -> None:
    response = fetch(gateway, path_of(dataset, extension), **REFINED[dataset])
    assert response.status_code == 200, response.text
    arguments = ", ".join(f"{name}: {_literal(name, text)}" for name, text in REFINED[dataset].items())
    fields = f"totalCount nodes {{ {' '.join(dataset.fields)} }}"
    connection = gateway.connection(f"{arguments}, first: 10000", "contoso", fields, dataset.field)
    assert response.headers["X-Total-Count"] == str(connection["totalCount"])
    assert connection["totalCount"] > 50
    if extension == "csv":
        assert parsed(response.text) == [as_text(row, dataset.fields) for row in connection["nodes"]]
    else:
        assert [json.loads(line) for line in response.content.splitlines()] == connection["nodes"]


def _literal(name: str, text: str) -> str:
    """Return a parameter as a literal of GraphQL: object keys and enum values have no quotes."""
    if name == "search":
        return json.dumps(text)
    return re.sub(r'"(\w+)"(?=:)|"([A-Z_]{4,})"', r"\1\2", text)


@pytest.mark.parametrize(
    ("path", "order_field"),
    [(CSV, "DEPLOYMENT_RATE"), (NDJSON, "DEPLOYMENT_RATE"), (path_of(USAGES, "csv"), "USAGE_RATE")],
)
def test_a_refined_export_is_continued_to_the_byte_by_another_process(
    start_gateway: StartGateway, path: str, order_field: str
) -> None:
    parameters = {"orderBy": f'[{{"field": "{order_field}"}}]', "search": "office"}
    whole = fetch(start_gateway(), path, **parameters)
    other = start_gateway(first_block_rows=100, block_rows=3_000)
    total = int(whole.headers["X-Total-Count"])
    lines = whole.content.splitlines(keepends=True)[path.endswith(".csv") :]
    for offset in (0, 1, 1_000, total - 1, total):
        snapshot = {"offset": str(offset), "snapshot": whole.headers["X-Snapshot"]}
        rest = fetch(other, path, **parameters, **snapshot)
        assert rest.content == b"".join(lines[offset:])
    check_changed(fetch(other, path, **parameters, offset=str(total + 1), snapshot=whole.headers["X-Snapshot"]))


def test_a_refined_export_of_other_data_is_not_continued(start_gateway: StartGateway) -> None:
    """Groups have no dates, and their number stays the same."""
    token, parameters = "contoso+rows=300+reprocess-after=1+as=refined", {**REFINED[DEPLOYMENTS], "search": ""}
    parameters["orderBy"] = '[{"field": "LICENSES_SOLD"}]'
    snapshot = fetch(start_gateway(), CSV, token, **parameters).headers["X-Snapshot"]
    check_changed(fetch(start_gateway(), CSV, token, **parameters, offset="1", snapshot=snapshot))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("having", "{"),
        ("having", '{"licensesSold": {"gt": "9"}}'),
        ("having", '{"licensesSold": null}'),
        ("orderBy", "LICENSES_SOLD"),
        ("orderBy", '[{"field": "NO_FIELD"}]'),
        ("search", "a" * 201),
    ],
)
def test_wrong_refinements_are_refused(gateway: Gateway, name: str, text: str) -> None:
    response = fetch(gateway, **{name: text})
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["argument"] == name


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("filter", '{"service": {"eq": "x"}}', "'filter' has no field 'service'. Choose from "),
        ("filter", '{"and": [{"service": 1}]}', "'filter' has no field 'service' at and[0]. Choose from "),
        ("filter", '{"channel": {"is": "x"}}', "'filter' has no field 'is' at channel. Use eq, ne, in or notIn."),
        (
            "filter",
            '{"licensesSold": {"gt": 1}}',
            "'filter' has no field 'licensesSold'. Put conditions on numbers into",
        ),
        ("filter", '{"channel": "x"}', """'filter' has no condition at channel. Write {"channel": {"eq": "x"}}."""),
        ("filter", '{"or": [{"channel": 5}]}', 'has no condition at or[0].channel. Write {"channel": {"eq": 5}}.'),
        ("filter", '{"or": [5]}', "'filter' needs an object at or[0], in braces."),
        ("filter", "5", "'filter' needs an object, in braces."),
        ("having", '{"licensesSold": 100}', """at licensesSold. Write {"licensesSold": {"gt": 100}}."""),
        ("having", '{"licensesSold": [1]}', """at licensesSold. Write {"licensesSold": {"gt": …}}."""),
        ("having", '{"licensesSold": ">5"}', """at licensesSold. Write {"licensesSold": {"gt": 5}}."""),
        ("having", '{"deploymentRate": "<= 0.4"}', """Write {"deploymentRate": {"lte": 0.4}}."""),
        ("having", '{"licensesSold": "many"}', """at licensesSold. Write {"licensesSold": {"gt": …}}."""),
        (
            "having",
            '{"and": [{"licensesSold": {"gte": "5"}}]}',
            """'having' has the text "5" at and[0].licensesSold.gte. Write a number without quotes.""",
        ),
        (
            "having",
            '{"deploymentRate": {"lt": "0.4"}}',
            """'having' has the text "0.4" at deploymentRate.lt. Write a number without quotes.""",
        ),
        (
            "having",
            '{"licensesSold": {"gt": 5.5}}',
            "'having' has 5.5 at licensesSold.gt. Write a whole number of at most 64 bits.",
        ),
        ("having", '{"deploymentRate": {"gt": true}}', "'having' has true at deploymentRate.gt. Write a number."),
        ("filter", '{"channel": {"eq": 5}}', """'filter' has 5 at channel.eq. Write it in quotes: "5"."""),
        ("filter", '{"channel": {"in": ["a", []]}}', "'filter' has … at channel.in[1]. Write a text in quotes."),
    ],
)
def test_wrong_conditions_are_refused_in_plain_words(gateway: Gateway, name: str, text: str, message: str) -> None:
    response = fetch(gateway, **{name: text})
    assert response.status_code == 400
    assert message in response.json()["errors"][0]["message"]


def test_without_introspection_a_message_names_no_other_fields(start_gateway: StartGateway) -> None:
    response = fetch(start_gateway(introspection=False), filter='{"service": {"eq": "x"}}')
    assert response.json()["errors"][0]["message"] == "'filter' has no field 'service'."


def test_the_message_names_a_parameter_that_is_unknown_or_repeated(gateway: Gateway) -> None:
    for query, message in (
        ("grupBy=CHANNEL", "The parameter 'grupBy' is unknown. Give each of filter, groupBy, "),
        ("raw=1&raw=1", "The parameter 'raw' is repeated. Give each of filter, groupBy, "),
    ):
        response = gateway.client.get(f"{CSV}?{query}", headers={"Authorization": "Bearer contoso"})
        assert response.status_code == 400
        assert response.json()["errors"][0]["message"].startswith(message)
