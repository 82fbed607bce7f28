"""Rows of the export endpoint: cut into complete rows, and continued where a response broke."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest
from starlette.applications import Starlette

from gateway.caller import Caller
from gateway.cli.export.dataset_export import DatasetExport, RowSplitter
from gateway.cli.export.embedded_app import StreamingTransport
from gateway.cli.export.exit_codes import DataChanged, ExportFailed, ExportStopped, OptionRefused
from gateway.cli.export.partial_file import StreamTarget
from gateway.cli.export.retries import RETRY_SECONDS
from gateway.config.environment import read_settings
from gateway.config.groups import Limits
from gateway.page import Page, PageWarning
from gateway.paging.block_sizes import BlockSizes
from gateway.query import PageQuery
from schema.build import build_schema
from schema.datasets.license_deployment import LICENSE_DEPLOYMENTS
from schema.export.arguments import ExportArguments
from schema.export.endpoint import Exports
from tests.gateway.cli.export.recording import Recording
from tests.gateway.fakes import row_sources

ROWS = [["a", "b"], ['1 "x"', "line\r\nline"], ["2", "\r\n"], ["3", '"'], ["4", ""]]


def csv_file() -> bytes:
    """A header and four rows, some with line ends and quotes in their cells."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(ROWS)
    return text.getvalue().encode()


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("step_rows", [1, 2, 3, 100])
def test_steps_hold_complete_rows(piece_bytes: int, step_rows: int) -> None:
    data = csv_file()
    splitter = RowSplitter(step_rows, is_csv=True, has_header=True)
    steps = [
        step for start in range(0, len(data), piece_bytes) for step in splitter.steps(data[start : start + piece_bytes])
    ]
    steps.append(splitter.rest())
    assert b"".join(step for step, _ in steps) == data
    assert [rows for _, rows in steps[:-1]] == [step_rows] * (4 // step_rows)
    assert sum(rows for _, rows in steps) == 4
    for step, rows in steps[1:]:
        assert len(list(csv.reader(io.StringIO(step.decode(), newline="")))) == rows


def test_a_header_alone_has_no_rows() -> None:
    splitter = RowSplitter(10, is_csv=True, has_header=True)
    assert list(splitter.steps(b"a,b\r\n")) == []
    assert splitter.rest() == (b"a,b\r\n", 0)


class ScriptedEndpoint(Recording):
    """Responds with one step of a script after the other, repeating the last one, and records requests."""

    def __init__(self, *steps: httpx.Response | Exception | list[bytes]) -> None:
        super().__init__()
        self.steps = list(steps)
        self.requests: list[dict[str, str]] = []
        self.headers = {"X-Snapshot": "s1", "X-Total-Count": "4"}
        self.extensions: dict[str, Any] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/export/rows.csv")
        self.requests.append(dict(request.url.params))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        return httpx.Response(200, headers=self.headers, stream=Body(step), extensions=self.extensions)

    def write(self) -> StreamTarget:
        """Export all rows."""
        self.export(DatasetExport("/export/rows.csv", {"groupBy": "A"}, "csv", 2))
        return self.target


class Body(httpx.AsyncByteStream):
    """A body in pieces, which breaks at an empty piece."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if not piece:
                raise httpx.RemoteProtocolError("broken")
            yield piece


def error(code: str, **facts: Any) -> httpx.Response:
    """A response that is an error."""
    body = {"errors": [{"message": "Refused.", "extensions": {"code": code, **facts}}]}
    return httpx.Response(400, content=msgspec.json.encode(body))


def test_a_broken_response_is_continued_after_its_last_complete_row() -> None:
    endpoint = ScriptedEndpoint([b"a,b\r\n1,x\r\n2,", b""], httpx.ConnectError("no"), [b"2,x\r\n3,x\r\n4,x\r\n"])
    target = endpoint.write()
    assert endpoint.written == b"a,b\r\n1,x\r\n2,x\r\n3,x\r\n4,x\r\n"
    assert (target.resume_point.rows, target.resume_point.is_complete) == (4, True)
    assert endpoint.requests == [
        {"groupBy": "A", "incomplete": "1"},
        *[{"groupBy": "A", "incomplete": "1", "offset": "1", "snapshot": "s1"}] * 2,
    ]
    assert endpoint.waits == [1, 2]
    assert endpoint.reasons == ["The gateway broke the response off", "Cannot reach gateway.invalid:80: ConnectError"]


@pytest.mark.parametrize("cut", [b"", b"a,", b"a,b\r\n", b"a,b\r\n1,x\r\n2,", b"a,b\r\n1,x\r\n2,x\r\n3,x\r\n"])
def test_a_response_that_ends_normally_before_the_announced_rows_is_continued(cut: bytes) -> None:
    """A proxy may have taken the end of a broken connection for the end of the response."""
    rows = max(0, cut.count(b"\r\n") - 1)
    whole = [b"a,b\r\n", b"1,x\r\n", b"2,x\r\n", b"3,x\r\n", b"4,x\r\n"]
    endpoint = ScriptedEndpoint([cut] if cut else [], whole[rows + 1 :] if rows else whole)
    endpoint.write()
    assert endpoint.written == b"".join(whole)
    assert endpoint.reasons == ["The gateway broke the response off"]
    assert [request.get("offset") for request in endpoint.requests] == [None, str(rows) if rows else None]


@pytest.mark.parametrize("cut", [[], [b"a,b"], [b"a,b\r\n1,x\r\n2"], [b'a,b\r\n1,"x\r\n']])
def test_a_response_without_a_total_ends_neither_in_a_row_nor_before_its_header(cut: list[bytes]) -> None:
    endpoint = ScriptedEndpoint(cut, [b""])
    del endpoint.headers["X-Total-Count"]
    with pytest.raises(ExportStopped):
        endpoint.write()


def test_a_response_that_never_gets_further_stops_the_export() -> None:
    endpoint = ScriptedEndpoint([b"a,b\r\n1,x\r\n", b""], [b""])
    with pytest.raises(ExportStopped):
        endpoint.write()
    assert endpoint.waits == [*RETRY_SECONDS]
    assert endpoint.target.resume_point.rows == 1


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (error("SNAPSHOT_CHANGED"), DataChanged),
        (error("BAD_USER_INPUT", argument="snapshot"), DataChanged),
        (error("BAD_USER_INPUT", argument="groupBy"), OptionRefused),
        (error("BAD_USER_INPUT", argument="raw"), ExportFailed),
        (httpx.Response(200, content=b"hello"), ExportFailed),
        (httpx.Response(404, content=b"{}"), ExportFailed),
        (httpx.Response(502, content=b"<html>"), ExportFailed),
    ],
)
def test_other_responses_end_the_export(response: httpx.Response, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        ScriptedEndpoint(response).write()


@pytest.mark.parametrize(
    ("argument", "message", "shown"),
    [
        (
            "having",
            "'having' has no field 'a'. Put it into the argument 'filter'.",
            "--having has no field 'a'. Put it into --filter.",
        ),
        (
            "filter",
            "'filter' has no field 'search'. To be brief, use the argument 'search'.",
            "--filter has no field 'search'. To be brief, use --search.",
        ),
        ("processedDateTime", "processedDateTime is not a date.", "--processed-date-time is not a date."),
        ("having", "having.a is null.", "--having: having.a is null."),
    ],
)
def test_a_refusal_names_options_instead_of_arguments(argument: str, message: str, shown: str) -> None:
    body = {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT", "argument": argument}}]}
    with pytest.raises(OptionRefused) as caught:
        ScriptedEndpoint(httpx.Response(400, json=body)).write()
    assert caught.value.message == shown


def test_missing_rows_are_noted_and_remembered() -> None:
    endpoint = ScriptedEndpoint([b"a,b\r\n"])
    endpoint.headers["X-Warnings"] = "STALE_DATA, UPSTREAM_INCOMPLETE"
    target = endpoint.write()
    assert target.resume_point.is_incomplete
    assert endpoint.notes == ["The gateway warns: STALE_DATA.", "The gateway warns: UPSTREAM_INCOMPLETE."]


@pytest.mark.parametrize("body", [[b"a,b\r\n1,x\r\n"], [b"a,b\r\n1,x\r\n", b""]])
def test_warnings_after_the_headers_are_noted_if_the_gateway_is_embedded(body: list[bytes]) -> None:
    endpoint = ScriptedEndpoint(body, [b""])
    endpoint.headers |= {"X-Warnings": "STALE_DATA", "X-Total-Count": "1"}
    endpoint.extensions["state"] = {"export_warnings": {"UPSTREAM_UNREADABLE_VALUES", "STALE_DATA"}}
    with suppress(ExportStopped):
        endpoint.write()
    assert endpoint.notes == ["The gateway warns: STALE_DATA.", "The gateway warns: UPSTREAM_UNREADABLE_VALUES."]


# The embedded gateway


async def test_an_embedded_response_is_read_while_it_is_written() -> None:
    sent = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-path", scope["raw_path"])]})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"row\n", "more_body": True})
            sent += 1
        raise ValueError("the application fails")

    transport = StreamingTransport(app)
    response = await transport.handle_async_request(httpx.Request("GET", "http://gateway.invalid/export?a=b"))
    assert (response.status_code, response.headers["x-path"]) == (200, "/export")
    body = response.aiter_raw()
    assert await anext(body) == b"row\n"
    assert sent < 4
    with pytest.raises(httpx.RemoteProtocolError):
        async for _ in body:
            pass
    assert sent == 100
    await response.aclose()


class EmbeddedExport(Recording):
    """Exports from an application of this process."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self.handle_async_request = StreamingTransport(app).handle_async_request  # type: ignore[method-assign]


class LateWarning:
    """A source of four blocks of one row; the third has a warning."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        warnings = (PageWarning("UPSTREAM_UNREADABLE_VALUES", "Null."),) if query.skip == 2 else ()
        rows = (LICENSE_DEPLOYMENTS.row(licenses_sold=query.skip),)
        return Page(rows, skip=query.skip, more=query.skip < 3, warnings=warnings, calls=1)


def test_an_embedded_export_shows_the_warning_of_a_later_block() -> None:
    settings = read_settings({})
    exports = Exports(
        ExportArguments(build_schema(), "", max_filter_bytes=8_000, introspection=True),
        row_sources(LateWarning(), BlockSizes(1, 1)),
        Limits.of(settings),
    )
    export = EmbeddedExport(Starlette(routes=exports.routes([LICENSE_DEPLOYMENTS])))
    export.export(DatasetExport("/export/licenseDeployments.ndjson", {}, "ndjson", 100))
    assert export.written.count(b"\n") == 4
    assert export.notes == ["The gateway warns: UPSTREAM_UNREADABLE_VALUES."]
