"""The pages of an operation: pagination waits, retries or ends, depending on the gateway's error code."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from gateway.cli.export.exit_codes import DataChanged, ExportEnded, ExportFailed, ExportStopped, TokenRefused
from gateway.cli.export.partial_file import ResumePoint
from gateway.cli.export.query_export import QueryExport
from gateway.cli.export.retries import MAX_THROTTLED, RETRY_SECONDS
from schema.export.document import Column, ExportDocument
from schema.export.row_formats import NDJSON
from tests.gateway.cli.export.recording import Recording


def page(**members: Any) -> dict[str, Any]:
    """A response with one row."""
    info = {"hasNextPage": False, "endCursor": "c1"}
    return {"data": {"rows": {"nodes": [{"a": 1}], "pageInfo": info, "totalCount": 1, **members}}}


def error(code: str, **facts: Any) -> dict[str, Any]:
    """A response that is an error."""
    return {"errors": [{"message": "Refused.", "extensions": {"code": code, **facts}}], "data": {"rows": None}}


class ScriptedGateway(Recording):
    """Responds by a script, repeating its last step, and records requests."""

    def __init__(self, *steps: dict[str, Any] | Exception | bytes) -> None:
        super().__init__()
        self.steps = list(steps)
        self.requests: list[Any] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path, msgspec.json.decode(request.content)))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(200, content=step if isinstance(step, bytes) else msgspec.json.encode(step))


DOCUMENT = ExportDocument("query Q", "rows", (Column("a", is_number=True),))


def rows(gateway: ScriptedGateway, cursor: str | None = None) -> bytes:
    """Export the rows after ``cursor``."""
    gateway.target.resume_point = ResumePoint("", cursor=cursor)
    gateway.export(QueryExport(DOCUMENT, {"x": 1}, NDJSON, "ndjson", raw=False, page_rows=5))
    return gateway.written


def test_a_page_is_requested_by_the_previous_cursor() -> None:
    more = page(pageInfo={"hasNextPage": True, "endCursor": "c1"})
    gateway = ScriptedGateway(more, page())
    assert rows(gateway, "c0") == b'{"a":1}\n{"a":1}\n'
    assert gateway.requests == [
        ("POST", "/graphql", {"query": "query Q", "variables": {"x": 1, "exportFirst": 5, "exportAfter": cursor}})
        for cursor in ("c0", "c1")
    ]


def test_a_throttled_page_waits_as_long_as_the_error_says() -> None:
    gateway = ScriptedGateway(error("RATE_LIMITED", retryAfterSeconds=30), error("RATE_LIMITED"), page())
    assert rows(gateway) == b'{"a":1}\n'
    assert gateway.waits == [30, 1]


def test_endless_throttling_stops_the_export() -> None:
    gateway = ScriptedGateway(error("RATE_LIMITED", retryAfterSeconds=5))
    with pytest.raises(ExportStopped):
        rows(gateway)
    assert gateway.waits == [5] * MAX_THROTTLED


@pytest.mark.parametrize(
    "step",
    [
        *map(error, ("UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_UNAVAILABLE")),
        httpx.RemoteProtocolError("no"),
        httpx.ReadTimeout("no"),
    ],
    ids=str,
)
def test_temporary_errors_are_retried_with_growing_pauses(step: Any) -> None:
    gateway = ScriptedGateway(step, step, page())
    assert rows(gateway) == b'{"a":1}\n'
    assert gateway.waits == [1, 2]
    endless = ScriptedGateway(step)
    with pytest.raises(ExportStopped):
        rows(endless)
    assert endless.waits == list(RETRY_SECONDS)


def test_a_gateway_that_was_never_reached_is_retried_briefly() -> None:
    """Its address is probably wrong. One that has sent rows may be starting again."""
    refused = httpx.ConnectError("no")
    endless = ScriptedGateway(refused)
    with pytest.raises(ExportStopped):
        rows(endless)
    assert endless.waits == [1, 2]
    endless = ScriptedGateway(page(pageInfo={"hasNextPage": True, "endCursor": "c1"}), refused)
    with pytest.raises(ExportStopped):
        rows(endless)
    assert endless.waits == list(RETRY_SECONDS)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNAUTHENTICATED", TokenRefused),
        ("FORBIDDEN", TokenRefused),
        ("SNAPSHOT_CHANGED", DataChanged),
        ("INVALID_CURSOR", DataChanged),
        ("BAD_USER_INPUT", ExportFailed),
        ("INTERNAL_SERVER_ERROR", ExportFailed),
        ("UNHEARD_OF", ExportFailed),
    ],
)
def test_other_errors_end_the_export_at_once_with_code_and_correlation_id(code: str, kind: type[ExportEnded]) -> None:
    gateway = ScriptedGateway(error(code, correlationId="id-1"))
    with pytest.raises(kind) as caught:
        rows(gateway)
    assert gateway.waits == []
    assert caught.value.message == f"Refused. ({code}, correlation id id-1)"


def test_without_a_correlation_id_the_message_names_none() -> None:
    with pytest.raises(ExportFailed) as caught:
        rows(ScriptedGateway(error("UNHEARD_OF")))
    assert caught.value.message == "Refused. (UNHEARD_OF)"


@pytest.mark.parametrize(
    "step",
    [
        b"<html>",
        b"[]",
        b'{"data": {"rows": {"nodes": 5}}}',
        {"data": {"rows": None}},
        {"data": {"other": None}},
        {},
        page(nodes=[], pageInfo={"hasNextPage": True, "endCursor": "c1"}),
        page(pageInfo={"hasNextPage": True, "endCursor": None}),
    ],
    ids=str,
)
def test_a_malformed_page_ends_the_export(step: Any) -> None:
    with pytest.raises(ExportFailed):
        rows(ScriptedGateway(step))


def test_a_page_that_returns_its_own_cursor_ends_the_export() -> None:
    gateway = ScriptedGateway(page(pageInfo={"hasNextPage": True, "endCursor": "c0"}))
    with pytest.raises(ExportFailed):
        rows(gateway, "c0")


def test_warnings_are_shown_and_an_incomplete_result_is_remembered() -> None:
    unreadable = {"code": "UPSTREAM_UNREADABLE_VALUES", "message": "Null.", "count": 3, "path": ["rows"]}
    gateway = ScriptedGateway({**page(), "extensions": {"warnings": [unreadable]}})
    rows(gateway)
    assert gateway.notes == ["UPSTREAM_UNREADABLE_VALUES: Null. (3)"]
    assert not gateway.target.resume_point.is_incomplete
    incomplete = {"code": "UPSTREAM_INCOMPLETE", "message": "Early."}
    early = ScriptedGateway({**page(), "extensions": {"warnings": [incomplete]}})
    rows(early)
    assert early.target.resume_point.is_incomplete
