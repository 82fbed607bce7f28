"""``/export/<dataset>.csv`` and ``.ndjson``: all rows of a query as one stream.

Errors before the first byte are returned as JSON. After it, the connection is closed without the final chunk, or reset
over HTTP/1.0, so that no client takes an incomplete file for complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import attrgetter
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from gateway.caller import Budget, Caller
from gateway.config.groups import Limits
from gateway.dataset import Dataset
from gateway.errors import BadRequest, BadUserInput, GatewayError, OperationNotTrusted
from gateway.http.error_responses import error_response
from gateway.page import Page, age_seconds
from gateway.paging.read_ahead import ReadAhead
from gateway.paging.row_stream import RowStream
from gateway.scanning.sources import RowSources
from gateway.scanning.view_stream import ViewStream
from gateway.scheduling.rotation import Rotation
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import SnapshotDigest
from schema.export.arguments import ExportArguments, read_parameters
from schema.export.json_schemas import Json
from schema.export.openapi import openapi
from schema.export.row_formats import FORMATS, RowFormat
from schema.export.shares import Shares
from schema.export.statuses import STATUSES
from schema.http.disconnect import correlation_id_of, cost_of, note_facts, unless_disconnected
from schema.http.request import access_token, locale_of
from schema.http.response import VARY

# Rows written at once. Measured: 1,000 rows block the event loop for two milliseconds as CSV.
SLICE_ROWS = 1_000

# The server answers OPTIONS. HEAD would read rows for nothing.
_ALLOWED = {"Allow": "GET, OPTIONS"}


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """The rows that a request asks for. ``identity`` is equal for all requests for the same file."""

    stream: RowStream | ViewStream
    raw: bool
    identity: str

    @property
    def is_continued(self) -> bool:
        """True if the client has the header and the rows before these."""
        return self.stream.digest is not None

    def snapshot(self, opening: Sequence[Page]) -> SnapshotDigest:
        """Return the snapshot that the rows come from."""
        snapshot = reduce(Snapshot.merged, (page.snapshot for page in opening))
        return self.stream.digest or SnapshotDigest.of(snapshot, self.identity)


@dataclass(frozen=True, slots=True)
class Exports:
    """The export endpoints of all datasets and formats. With trusted documents only, they are closed."""

    arguments: ExportArguments
    sources: RowSources
    limits: Limits
    is_closed: bool = False
    shares: Shares = field(default_factory=lambda: Shares.of(Rotation(), 1_000, ReadAhead(0)))

    def routes(self, datasets: Sequence[Dataset]) -> list[Route]:
        return [
            Route(f"/export/{dataset.name}.{row_format.extension}", ExportView(self, dataset, row_format))
            for dataset in datasets
            for row_format in FORMATS
        ]

    def openapi(self, datasets: Sequence[Dataset]) -> Json | None:
        """Return the OpenAPI document of the routes; None if they are closed."""
        return None if self.is_closed else openapi(self.arguments.schema, datasets)

    def caller(self, scope: Scope) -> Callable[[], Caller]:
        """Return the function that creates the caller of each block. Raises Unauthenticated."""
        token, locale, correlation_id = access_token(scope), locale_of(scope), correlation_id_of(scope)
        loop, cost = asyncio.get_running_loop(), cost_of(scope)

        def caller() -> Caller:
            deadline = loop.time() + self.limits.operation_timeout_seconds
            return Caller(token, locale, correlation_id, deadline, Budget(self.limits.max_upstream_calls, cost))

        return caller


@dataclass(frozen=True, slots=True)
class ExportView:
    """The endpoint of one dataset in one format."""

    exports: Exports
    dataset: Dataset
    row_format: RowFormat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request until it is answered or the client disconnects."""
        try:
            await unless_disconnected(receive, self._respond(scope, receive, send))
        except ClientDisconnect:
            return

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = self._request(scope)
            async with self.exports.shares.hold(access_token(scope).locator):
                await self._export(scope, request, send)
        except GatewayError as error:
            _note(scope, error.code, None)
            await _refusal(scope, error)(scope, receive, send)

    async def _export(self, scope: Scope, request: ExportRequest, send: Send) -> None:
        """Send the response. Raises GatewayError before its first byte."""
        stream = request.stream
        opening = await stream.opening()
        outcome = "disconnected"
        cost = cost_of(scope)
        # Compression may hold the head back until blocks are loaded ahead.
        scope["state"]["cost"] = replace(cost)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._headers(request, opening)})
            async for body in self._bodies(scope, request, opening):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            outcome = "ok"
        except GatewayError as error:
            # The response stays unfinished, so the server closes the connection.
            outcome = error.code
        finally:
            scope["state"]["cost"] = cost
            _note(scope, outcome, stream)

    async def _bodies(self, scope: Scope, request: ExportRequest, opening: list[Page]) -> AsyncIterator[bytes]:
        if not request.is_continued:
            yield self.row_format.head(self.dataset.attributes)
        cells = attrgetter(*self.dataset.attributes.values())
        owner = request.stream.caller().token.locator
        # For the command, which runs the application itself: warnings of later blocks are in no header.
        warnings: set[str] = scope["state"].setdefault("export_warnings", set())
        async for page in request.stream.pages(opening):
            warnings.update(warning.code for warning in page.warnings)
            for start in range(0, len(page.rows), SLICE_ROWS):
                async with self.exports.shares.slices.turn(owner):
                    lines = self.row_format.lines(page.rows[start : start + SLICE_ROWS], cells, request.raw)
                yield lines

    def _request(self, scope: Scope) -> ExportRequest:
        if scope["method"] != "GET":
            raise BadRequest("Use GET.", status=405)
        exports = self.exports
        if exports.is_closed:
            raise OperationNotTrusted
        # First, so that only callers with a token can have long arguments read.
        caller = exports.caller(scope)
        parameters = read_parameters(scope["query_string"], self.dataset)
        query, refinement = exports.arguments.query(self.dataset, parameters.arguments)
        parts = [query.question, self.row_format.extension, parameters.raw, locale_of(scope)]
        if refinement.text:
            parts.append(refinement.text)
        identity = msgspec.json.encode(parts).decode()
        snapshot = None if parameters.snapshot is None else _snapshot(parameters.snapshot, identity)
        start, incomplete = parameters.offset or 0, parameters.incomplete
        if refinement.text:
            view_stream = ViewStream(exports.sources.views, query, refinement, caller, start, snapshot, incomplete)
            return ExportRequest(view_stream, parameters.raw, identity)
        stream = RowStream(
            exports.sources.pages,
            query,
            exports.sources.sizes,
            caller,
            start=start,
            digest=snapshot,
            accepts_incomplete=incomplete,
            differing=exports.sources.differing,
            ahead=exports.shares.ahead,
        )
        return ExportRequest(stream, parameters.raw, identity)

    def _headers(self, request: ExportRequest, opening: Sequence[Page]) -> list[tuple[bytes, bytes]]:
        row_format, stream = self.row_format, request.stream
        media_type = row_format.continued_media_type if request.is_continued else row_format.media_type
        headers = [
            (b"content-type", media_type.encode()),
            (b"content-disposition", f'attachment; filename="{self.dataset.name}.{row_format.extension}"'.encode()),
            (b"cache-control", b"no-store"),
            (b"vary", VARY),
            (b"x-snapshot", request.snapshot(opening).text.encode()),
        ]
        total = opening[0].snapshot.total_count
        if total is not None:
            headers.append((b"x-total-count", b"%d" % total))
        warnings = sorted({warning.code for page in opening for warning in page.warnings})
        if warnings:
            headers.append((b"x-warnings", ", ".join(warnings).encode()))
        if stream.cache_states:
            # Only the blocks loaded before the response begins count.
            age = b"%d" % age_seconds(opening[0].fetched_at)
            headers += [(b"x-cache", max(stream.cache_states).name.lower().encode()), (b"age", age)]
        return headers


def _snapshot(text: str, identity: str) -> SnapshotDigest:
    try:
        return SnapshotDigest.parse(text, identity)
    except ValueError:
        raise BadUserInput(
            "The 'snapshot' does not belong to this export. Repeat the other parameters unchanged, or start again"
            " without 'offset' and 'snapshot'.",
            argument="snapshot",
        ) from None


def _refusal(scope: Scope, error: GatewayError) -> Any:
    is_method_wrong = isinstance(error, BadRequest) and error.status == 405
    response = error_response(error, correlation_id_of(scope), headers=_ALLOWED if is_method_wrong else None)
    response.status_code = STATUSES.get(type(error), response.status_code)
    response.raw_headers.append((b"vary", VARY))
    return response


def _note(scope: Scope, outcome: str, stream: RowStream | ViewStream | None) -> None:
    note_facts(
        scope,
        operation=None,
        outcome=outcome,
        cache=max(stream.cache_states).name.lower() if stream is not None and stream.cache_states else None,
        rows=0 if stream is None else stream.rows,
    )
