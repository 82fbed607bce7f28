"""One page after the other of an operation, asked of a gateway; what passes is waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import msgspec

from gateway.cli.export.outcomes import DataChanged, ExportEnded, Failed, Stopped, TokenRefused

# Seconds before each further try of one page (our choice: half a minute in all; the gateway itself tries again, too).
RETRY_SECONDS = (1, 2, 4, 8, 16)

# How often in a row a page may be throttled; each wait is as long as the upstream says (our choice).
MAX_THROTTLED = 20

# Codes that pass, those that a new token helps against, and those that only a new start does.
PASSING = frozenset({"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_UNAVAILABLE"})
REFUSED = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})
CHANGED = frozenset({"SNAPSHOT_CHANGED", "INVALID_CURSOR"})


class PageInfo(msgspec.Struct, rename="camel"):
    """Where the walk stands."""

    has_next_page: bool
    end_cursor: str | None


class Connection(msgspec.Struct, rename="camel"):
    """A page; each row's fields are in the order of the columns."""

    nodes: list[dict[str, Any]]
    page_info: PageInfo
    total_count: int | None = None


class _Error(msgspec.Struct):
    message: str
    extensions: dict[str, Any] = {}


class _Warning(msgspec.Struct, frozen=True):
    code: str
    message: str
    count: int | None = None


class _Extensions(msgspec.Struct, frozen=True):
    warnings: list[_Warning] = []


class _Answer(msgspec.Struct):
    data: dict[str, Connection | None] | None = None
    errors: list[_Error] = []
    extensions: _Extensions = _Extensions()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request."""

    status: int
    body: bytes


# Sends one GraphQL request. Raises httpx.TransportError.
Post = Callable[[Mapping[str, Any]], Awaitable[Reply]]


class Told(Protocol):
    """Who is told what happens on the way."""

    async def wait(self, why: str, seconds: float) -> None:
        """Wait visibly."""
        ...

    def note(self, text: str) -> None:
        """Say something that stays."""
        ...


@dataclass(slots=True)
class Pages:
    """Asks for pages of the connection that is called ``field`` in the answer to ``body``."""

    post: Post
    body: Callable[[str | None], Mapping[str, Any]]
    field: str
    told: Told
    is_incomplete: bool = False

    async def after(self, cursor: str | None) -> Connection:
        """The page behind ``cursor``, or the first. Raises ExportEnded."""
        pauses, throttled = iter(RETRY_SECONDS), 0
        while True:
            reply = await self._asked(cursor)
            error = reply if isinstance(reply, _Error) else reply.errors[0] if reply.errors else None
            if error is None:
                return self._taken(reply, cursor)  # type: ignore[arg-type]  # no error, hence a reply
            code = error.extensions.get("code")
            if code == "RATE_LIMITED" and throttled < MAX_THROTTLED:
                throttled += 1
                await self.told.wait("The upstream throttles this token", _seconds(error))
                continue
            pause = next(pauses, None) if code in PASSING else None
            if pause is None:
                raise _end(error)
            await self.told.wait(error.message, pause)

    async def _asked(self, cursor: str | None) -> _Answer | _Error:
        try:
            reply = await self.post(self.body(cursor))
        except (httpx.TransportError, httpx.DecodingError):
            return _Error("The gateway cannot be reached.", {"code": "UPSTREAM_UNAVAILABLE"})
        try:
            return msgspec.json.decode(reply.body, type=_Answer)
        except ValueError:
            raise Failed(f"What answered with status {reply.status} is no gateway. Look at --url.") from None

    def _taken(self, reply: _Answer, cursor: str | None) -> Connection:
        page = (reply.data or {}).get(self.field)
        if page is None:
            raise Failed("The gateway answered without data.")
        if page.page_info.has_next_page and (not page.nodes or page.page_info.end_cursor in (None, cursor)):
            raise Failed("The gateway's pages lead nowhere.")
        for warning in reply.extensions.warnings:
            self.is_incomplete |= warning.code == "UPSTREAM_INCOMPLETE"
            self.told.note(f"{warning.code}: {warning.message}{f' ({warning.count})' if warning.count else ''}")
        return page


def _seconds(error: _Error) -> float:
    found = error.extensions.get("retryAfterSeconds")
    return float(found) if isinstance(found, int | float) and found > 0 else 1.0


def _end(error: _Error) -> ExportEnded:
    code = error.extensions.get("code")
    told = f"{error.message} ({code}, correlation id {error.extensions.get('correlationId', 'unknown')})"
    if code in REFUSED:
        return TokenRefused(told)
    if code in CHANGED:
        return DataChanged(told)
    return Stopped(told) if code in PASSING or code == "RATE_LIMITED" else Failed(told)
