"""One HTTP attempt: build the request, check that the response belongs to it, and read the body."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field

import httpx

from gateway.caller import Caller
from gateway.config.groups import UpstreamConfig
from gateway.errors import UpstreamBadResponse
from gateway.http.decompression import ACCEPT_ENCODING
from gateway.query import PageQuery
from gateway.upstream.attempt_record import UpstreamAttempt
from gateway.upstream.decompress import read_body
from gateway.upstream.retry import AttemptFailed, Failure, Retry
from gateway.upstream.status import GUID
from gateway.upstream.transport import Connections, HandshakeGuard
from gateway.version import DISTRIBUTION, VERSION

# Error bodies of the documented shapes take a kilobyte or two.
MAX_ERROR_BODY_BYTES = 65_536
# The status alone decides what happens next, so do not wait long for an error's body.
ERROR_BODY_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RequestIds:
    """``MS-RequestId`` and ``MS-CorrelationId`` (Partner Center docs, REST headers): GUIDs that responses echo."""

    correlation: str
    request: str = field(default_factory=lambda: str(uuid.uuid4()))

    @staticmethod
    def of(caller: Caller) -> RequestIds:
        """Return the caller's correlation id (or a new one if it is invalid) with a new request id."""
        match = GUID.fullmatch(caller.correlation_id)
        return RequestIds(caller.correlation_id if match else str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class RawResponse:
    """A response with its decompressed ``body``, which is empty if an error's body is unreadable or large."""

    status: int
    headers: httpx.Headers
    body: bytes


_USER_AGENT = f"{DISTRIBUTION}/{VERSION}"


def request_for(
    config: UpstreamConfig, query: PageQuery, caller: Caller, ids: RequestIds, guard: HandshakeGuard
) -> httpx.Request:
    """Return the request documented by Microsoft, with ``top`` and ``skip``; ``guard`` follows its connection."""
    headers = {
        "Authorization": f"Bearer {caller.token.reveal()}",
        "Accept": "application/json",
        "MS-RequestId": ids.request,
        "MS-CorrelationId": ids.correlation,
        **({"X-Locale": caller.locale} if caller.locale else {}),
        "Accept-Encoding": ACCEPT_ENCODING,
        "User-Agent": _USER_AGENT,
    }
    slash = "/" if config.trailing_slash else ""
    url = f"{config.base_url.rstrip('/')}{config.path_prefix}/{query.dataset.path}{slash}?{query.query_string}"
    return httpx.Request("GET", url, headers=headers, extensions={"trace": guard})


class Exchanger:
    """Sends requests, and accepts a response only if it belongs to the request.

    A reused connection may hold an extra response. The HTTP library would return it to the next request, which may be
    another caller's. So connections are reused only while the upstream echoes request ids, and a response to another
    request is rejected. If the upstream echoes wrong ids even on new connections, a warning is logged and its responses
    are accepted.
    """

    def __init__(self, connections: Connections, max_body_bytes: int) -> None:
        self._connections = connections
        self._max_body_bytes = max_body_bytes
        self._echoes = False
        self._echoes_others = False

    async def exchange(
        self,
        request: httpx.Request,
        ids: RequestIds,
        record: UpstreamAttempt,
        *,
        limit: float,
        new_connection: bool,
        accept_foreign: bool = False,
    ) -> RawResponse:
        """Return the response. Raises AttemptFailed and the HTTP library's errors.

        ``new_connection`` forbids reusing a connection; ``accept_foreign`` accepts a response to another request.
        ``limit``, on the loop's clock, is when the caller will cancel the exchange.
        """
        is_reused = self._echoes and not new_connection
        transport = self._connections.reusing if is_reused else self._connections.single_use
        response = await transport.handle_async_request(request)
        try:
            # Check before reading the body: if the response is rejected, closing it unread also closes its connection.
            self._check_echo(response, ids, record, is_reused=is_reused, accept_foreign=accept_foreign)
            record.status = response.status_code
            body = await self._body(response, record, limit)
            return RawResponse(response.status_code, response.headers, body)
        finally:
            await response.aclose()

    async def _body(self, response: httpx.Response, record: UpstreamAttempt, limit: float) -> bytes:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        encoding = response.headers.get("Content-Encoding", "")
        if response.status_code == 200:
            return await read_body(response.stream, encoding, self._max_body_bytes, record)
        try:
            # At most half of the remaining time, so that the status is still reported if the body never ends.
            left_seconds = limit - asyncio.get_running_loop().time()
            async with asyncio.timeout(min(ERROR_BODY_SECONDS, left_seconds / 2)):
                return await read_body(response.stream, encoding, MAX_ERROR_BODY_BYTES, record)
        except (AttemptFailed, httpx.HTTPError, TimeoutError):
            return b""

    def _check_echo(
        self,
        response: httpx.Response,
        ids: RequestIds,
        record: UpstreamAttempt,
        *,
        is_reused: bool,
        accept_foreign: bool,
    ) -> None:
        echo = _echo(response.headers, ids)
        # Other servers, which know no ids, may answer with an error in front of the upstream.
        if echo is not None or response.status_code == 200:
            self._echoes = echo is True
        record.is_foreign = echo is False
        if echo is True:
            self._echoes_others = False
        elif echo is None:
            # This upstream echoes ids, so a response without them may belong to another caller's request. An error may
            # be its own, too: a new connection decides.
            if is_reused:
                raise AttemptFailed(_foreign())
        elif is_reused or not (accept_foreign or self._echoes_others):
            raise AttemptFailed(_foreign())
        elif not self._echoes_others:
            self._echoes_others = True
            log.warning("The upstream echoes other request ids than it was sent; connections are not reused.")


def _echo(headers: httpx.Headers, ids: RequestIds) -> bool | None:
    """Return True if the response names this request, False if it names another, None if it names no request."""
    request, correlation = headers.get("MS-RequestId"), headers.get("MS-CorrelationId")
    if request is not None and request.strip().lower() != ids.request.lower():
        return False
    if correlation is not None and correlation.strip().lower() != ids.correlation.lower():
        return False
    return None if request is None else True


def _foreign() -> Failure:
    return Failure(UpstreamBadResponse("The upstream sent the response to another request. Try again."), Retry.FOREIGN)
