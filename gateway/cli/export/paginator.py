"""Pagination through a connection over a gateway's GraphQL endpoint; temporary errors are waited out and retried."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import msgspec

from gateway.cli.export.exit_codes import DataChanged, ExportEnded, ExportFailed, ExportStopped, TokenRefused

# Pauses before each retry of one page (our choice: half a minute in total; the gateway itself retries, too).
RETRY_SECONDS = (1, 2, 4, 8, 16)

# Maximum waits of one page for throttling, each as long as the upstream asks (our choice).
MAX_THROTTLED = 20

# Temporary errors, errors that need a new token, and errors that need a new export.
TEMPORARY_CODES = frozenset({"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_UNAVAILABLE"})
TOKEN_CODES = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})
SNAPSHOT_CODES = frozenset({"SNAPSHOT_CHANGED", "INVALID_CURSOR"})


class ExportPageInfo(msgspec.Struct, rename="camel"):
    """Page information: whether another page follows, and the cursor of the last row."""

    has_next_page: bool
    end_cursor: str | None


class ExportPage(msgspec.Struct, rename="camel"):
    """One page of the connection. Each row's fields are in the order of the columns."""

    nodes: list[dict[str, Any]]
    page_info: ExportPageInfo
    total_count: int | None = None


class _ErrorPayload(msgspec.Struct):
    message: str
    extensions: dict[str, Any] = {}


class _WarningPayload(msgspec.Struct, frozen=True):
    code: str
    message: str
    count: int | None = None


class _ExtensionsPayload(msgspec.Struct, frozen=True):
    warnings: list[_WarningPayload] = []


class _ResponsePayload(msgspec.Struct):
    data: dict[str, ExportPage | None] | None = None
    errors: list[_ErrorPayload] = []
    extensions: _ExtensionsPayload = _ExtensionsPayload()


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """The HTTP response to one GraphQL request."""

    status: int
    body: bytes


# Sends one GraphQL request. Raises httpx.TransportError.
Post = Callable[[Mapping[str, Any]], Awaitable[GatewayResponse]]


class ProgressListener(Protocol):
    """Receives waits and warnings during pagination."""

    async def wait(self, reason: str, seconds: float) -> None:
        """Wait ``seconds``, showing the reason."""
        ...

    def note(self, text: str) -> None:
        """Show a message permanently."""
        ...


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
        pauses, throttled = iter(RETRY_SECONDS), 0
        while True:
            payload = await self._request(cursor)
            error = payload if isinstance(payload, _ErrorPayload) else payload.errors[0] if payload.errors else None
            if error is None:
                return self._page(payload, cursor)  # type: ignore[arg-type]  # not an error, hence a response
            code = error.extensions.get("code")
            if code == "RATE_LIMITED" and throttled < MAX_THROTTLED:
                throttled += 1
                await self.listener.wait("The upstream throttles this token", _retry_after_seconds(error))
                continue
            pause = next(pauses, None) if code in TEMPORARY_CODES else None
            if pause is None:
                raise _export_ended(error)
            await self.listener.wait(error.message, pause)

    async def _request(self, cursor: str | None) -> _ResponsePayload | _ErrorPayload:
        try:
            response = await self.post(self.body(cursor))
        except (httpx.TransportError, httpx.DecodingError):
            return _ErrorPayload("The gateway cannot be reached.", {"code": "UPSTREAM_UNAVAILABLE"})
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


def _retry_after_seconds(error: _ErrorPayload) -> float:
    seconds = error.extensions.get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 1.0


def _export_ended(error: _ErrorPayload) -> ExportEnded:
    code = error.extensions.get("code")
    message = f"{error.message} ({code}, correlation id {error.extensions.get('correlationId', 'unknown')})"
    if code in TOKEN_CODES:
        return TokenRefused(message)
    if code in SNAPSHOT_CODES:
        return DataChanged(message)
    return ExportStopped(message) if code in TEMPORARY_CODES or code == "RATE_LIMITED" else ExportFailed(message)
