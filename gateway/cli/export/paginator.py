"""Pagination through a connection over a gateway's GraphQL endpoint; temporary errors are waited out and retried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from gateway.cli.export.exit_codes import ExportFailed
from gateway.cli.export.retries import UNREACHABLE, ErrorPayload, ExportRetries, ProgressListener


class ExportPageInfo(msgspec.Struct, rename="camel"):
    """Page information: whether another page follows, and the cursor of the last row."""

    has_next_page: bool
    end_cursor: str | None


class ExportPage(msgspec.Struct, rename="camel"):
    """One page of the connection. Each row's fields are in the order of the columns."""

    nodes: list[dict[str, Any]]
    page_info: ExportPageInfo
    total_count: int | None = None


class _WarningPayload(msgspec.Struct, frozen=True):
    code: str
    message: str
    count: int | None = None


class _ExtensionsPayload(msgspec.Struct, frozen=True):
    warnings: list[_WarningPayload] = []


class _ResponsePayload(msgspec.Struct):
    data: dict[str, ExportPage | None] | None = None
    errors: list[ErrorPayload] = []
    extensions: _ExtensionsPayload = _ExtensionsPayload()


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """The HTTP response to one GraphQL request."""

    status: int
    body: bytes


# Sends one GraphQL request. Raises httpx.TransportError.
Post = Callable[[Mapping[str, Any]], Awaitable[GatewayResponse]]


@dataclass(slots=True)
class Paginator:
    """Fetches pages of the connection named ``field`` in the response to ``body``."""

    post: Post
    body: Callable[[str | None], Mapping[str, Any]]
    field: str
    listener: ProgressListener
    is_incomplete: bool = False

    async def after(self, cursor: str | None) -> ExportPage:
        """Return the page after ``cursor``, or the first page if it is None. Raises ExportEnded."""
        retries = ExportRetries(self.listener)
        while True:
            payload = await self._request(cursor)
            error = payload if isinstance(payload, ErrorPayload) else payload.errors[0] if payload.errors else None
            if error is None:
                return self._page(payload, cursor)  # type: ignore[arg-type]  # not an error, hence a response
            await retries.wait(error)

    async def _request(self, cursor: str | None) -> _ResponsePayload | ErrorPayload:
        try:
            response = await self.post(self.body(cursor))
        except (httpx.TransportError, httpx.DecodingError):
            return UNREACHABLE
        try:
            return msgspec.json.decode(response.body, type=_ResponsePayload)
        except ValueError:
            raise ExportFailed(
                f"The response with status {response.status} did not come from a gateway. Check --url."
            ) from None

    def _page(self, payload: _ResponsePayload, cursor: str | None) -> ExportPage:
        page = (payload.data or {}).get(self.field)
        if page is None:
            raise ExportFailed("The gateway's response has no data. Check that --url is a gateway of this version.")
        if page.page_info.has_next_page and (not page.nodes or page.page_info.end_cursor in (None, cursor)):
            raise ExportFailed("The gateway's page does not lead to a next page. Check that --url is a gateway.")
        for warning in payload.extensions.warnings:
            self.is_incomplete |= warning.code == "UPSTREAM_INCOMPLETE"
            self.listener.note(f"{warning.code}: {warning.message}{f' ({warning.count})' if warning.count else ''}")
        return page
