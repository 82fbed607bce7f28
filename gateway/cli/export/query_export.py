"""The rows of a GraphQL operation, page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.cli.export.exit_codes import ExportFailed
from gateway.cli.export.gateway_client import GatewayClient, GatewayPayload, payload_of
from gateway.cli.export.partial_file import ResumePoint, Step, request_digest
from gateway.cli.export.progress import Progress
from gateway.page import INCOMPLETE, PageWarning
from schema.export.document import AFTER, FIRST, ExportDocument
from schema.export.row_formats import RowFormat


class ExportPageInfo(msgspec.Struct, rename="camel"):
    """Page information: whether another page follows, and the cursor of the last row."""

    has_next_page: bool
    end_cursor: str | None


class ExportPage(msgspec.Struct, rename="camel"):
    """One page of the connection. Each row's fields are in the order of the columns."""

    nodes: list[dict[str, Any]]
    page_info: ExportPageInfo
    total_count: int | None = None


class _ExtensionsPayload(msgspec.Struct, frozen=True):
    warnings: list[PageWarning] = []


class _PagePayload(GatewayPayload):
    data: dict[str, ExportPage | None] | None = None
    extensions: _ExtensionsPayload = _ExtensionsPayload()


@dataclass(frozen=True, slots=True)
class QueryExport:
    """The operation to export, ``page_rows`` rows per page, and the format to write; ``raw`` leaves cells unchanged."""

    document: ExportDocument
    variables: Mapping[str, Any]
    row_format: RowFormat
    format_name: str
    raw: bool
    page_rows: int

    @property
    def digest(self) -> str:
        """Digest that identifies operation, variables and format without revealing them."""
        return request_digest(self.document.text, self.variables, self.format_name)

    @property
    def is_filtered(self) -> bool:
        """True if a filter may select the rows."""
        return "filter" in self.variables

    @property
    def is_dated(self) -> bool:
        """True if a processed date may select the rows."""
        return "processedDateTime" in self.variables

    @property
    def reads_all_rows(self) -> bool:
        """True if the gateway may have to read all rows before the first one is written."""
        return self.document.reads_all_rows

    async def steps(self, gateway: GatewayClient, point: ResumePoint, progress: Progress) -> AsyncGenerator[Step, None]:
        """Yield the pages after ``point``. Raises StepFailed and ExportEnded."""
        cursor, is_incomplete, is_complete = point.cursor, point.is_incomplete, False
        head = b"" if point.size_bytes else self.row_format.head([column.name for column in self.document.columns])
        while not is_complete:
            page, warnings = await self._page(gateway, cursor)
            for warning in warnings:
                count = f" ({warning.count})" if warning.count else ""
                progress.note(f"{warning.code}: {warning.message}{count}")
                is_incomplete |= warning.code == INCOMPLETE.code
            data = head + self.row_format.lines(page.nodes, dict.values, self.raw)
            cursor, is_complete, head = page.page_info.end_cursor, not page.page_info.has_next_page, b""
            yield Step(data, len(page.nodes), cursor, is_complete, is_incomplete, page.total_count)

    async def _page(self, gateway: GatewayClient, cursor: str | None) -> tuple[ExportPage, list[PageWarning]]:
        variables = {**self.variables, FIRST: self.page_rows, AFTER: cursor}
        body = {"query": self.document.text, "variables": variables}
        async with gateway.response_to("POST", "/graphql", json=body) as response:
            payload = await payload_of(response, _PagePayload)
        page = (payload.data or {}).get(self.document.field)
        if page is None:
            raise ExportFailed("The gateway's response has no data. Check that --url is a gateway of this version.")
        if page.page_info.has_next_page and (not page.nodes or page.page_info.end_cursor in (None, cursor)):
            raise ExportFailed("The gateway's page does not lead to a next page. Check that --url is a gateway.")
        return page, payload.extensions.warnings
