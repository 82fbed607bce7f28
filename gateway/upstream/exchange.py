"""One HTTP exchange: the request to the byte, the check that the reply is its own, and the body."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version

import httpx

from gateway.config.upstream import UpstreamConfig
from gateway.errors import UpstreamBadResponse
from gateway.page import Caller
from gateway.query import PageQuery
from gateway.upstream.decompress import ACCEPT_ENCODING, Meter, read_body
from gateway.upstream.retry import AttemptFailed, Failure, Retry
from gateway.upstream.status import GUID
from gateway.upstream.transport import Connections, HandshakeGuard

# Error bodies of the documented shapes take a kilobyte or two.
MAX_ERROR_BODY_BYTES = 65_536
# The status alone says what to do; its body is worth no long wait.
ERROR_BODY_SECONDS = 5.0

DISTRIBUTION = "partner-center-graphql"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ids:
    """``MS-RequestId`` and ``MS-CorrelationId`` (Partner Center docs, REST headers): GUIDs that replies echo."""

    correlation: str
    request: str = field(default_factory=lambda: str(uuid.uuid4()))

    @staticmethod
    def of(caller: Caller) -> Ids:
        """The caller's correlation id, or a new one, and a new request id."""
        known = GUID.fullmatch(caller.correlation_id)
        return Ids(caller.correlation_id if known else str(uuid.uuid4()))

    def renewed(self) -> Ids:
        """For another attempt after a reply."""
        return replace(self, request=str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply. ``body`` is unpacked, and empty when an error's body is unreadable or large."""

    status: int
    headers: httpx.Headers
    body: bytes


class Requests:
    """Builds requests for one upstream."""

    def __init__(self, config: UpstreamConfig) -> None:
        self._root = config.base_url.rstrip("/") + config.path_prefix
        self._slash = "/" if config.trailing_slash else ""
        self._agent = f"{DISTRIBUTION}/{_version()}"

    def build(self, query: PageQuery, caller: Caller, ids: Ids) -> httpx.Request:
        """The Microsoft page's request, with top and skip."""
        headers = httpx.Headers(
            {
                "Authorization": f"Bearer {caller.token.reveal()}",
                "Accept": "application/json",
                "MS-RequestId": ids.request,
                "MS-CorrelationId": ids.correlation,
                **({"X-Locale": caller.locale} if caller.locale else {}),
                "Accept-Encoding": ACCEPT_ENCODING,
                "User-Agent": self._agent,
            }
        )
        url = f"{self._root}/{query.dataset.path}{self._slash}?{query.query_string}"
        return httpx.Request("GET", url, headers=headers, extensions={"trace": HandshakeGuard()})


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "0"


class Exchanger:
    """Sends requests and takes only replies that are their own.

    A kept connection may hold an extra reply, which the HTTP library would hand to the next request, whoever makes it.
    So a connection is reused only while the upstream's last reply echoed the request's id, and what is answered to
    another request is refused. An upstream that echoes other ids even on fresh connections is believed, with a warning.
    """

    def __init__(self, connections: Connections, max_body_bytes: int) -> None:
        self._connections = connections
        self._max_body_bytes = max_body_bytes
        self._echoes = False
        self._echoes_others = False

    async def exchange(
        self, request: httpx.Request, ids: Ids, meter: Meter, *, limit: float, fresh: bool, believe: bool = False
    ) -> Answer:
        """The reply. ``fresh`` forbids a used connection, ``believe`` takes a reply to another request.

        ``limit``, on the loop's clock, is when the caller will end the exchange.

        Raises AttemptFailed and the HTTP library's errors.
        """
        kept = self._echoes and not fresh
        transport = self._connections.kept if kept else self._connections.fresh
        response = await transport.handle_async_request(request)
        try:
            # Before the body: a connection that is left in the middle of a reply is closed, not kept.
            self._check_echo(response, ids, meter, kept=kept, believe=believe)
            meter.status = response.status_code
            body = await self._body(response, meter, limit)
            return Answer(response.status_code, response.headers, body)
        finally:
            await response.aclose()

    async def _body(self, response: httpx.Response, meter: Meter, limit: float) -> bytes:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        encoding = response.headers.get("Content-Encoding", "")
        if response.status_code == 200:
            return await read_body(response.stream, encoding, self._max_body_bytes, meter)
        try:
            # Half of what is left at most, so that the status is still told when the body never ends.
            left_seconds = limit - asyncio.get_running_loop().time()
            async with asyncio.timeout(min(ERROR_BODY_SECONDS, left_seconds / 2)):
                return await read_body(response.stream, encoding, MAX_ERROR_BODY_BYTES, meter)
        except (AttemptFailed, httpx.HTTPError, TimeoutError):
            return b""

    def _check_echo(self, response: httpx.Response, ids: Ids, meter: Meter, *, kept: bool, believe: bool) -> None:
        echo = _echo(response.headers, ids)
        self._echoes = echo is True
        meter.is_foreign = echo is False
        if echo is True:
            self._echoes_others = False
        elif echo is None:
            # On a used connection, from an upstream that echoed so far, a good reply without ids may be anybody's.
            if kept and response.status_code == 200:
                raise AttemptFailed(_foreign())
        elif kept or not (believe or self._echoes_others):
            raise AttemptFailed(_foreign())
        elif not self._echoes_others:
            self._echoes_others = True
            log.warning("The upstream echoes other request ids than it was sent; connections are not reused.")


def _echo(headers: httpx.Headers, ids: Ids) -> bool | None:
    """True when the reply names this request, False when it names another, None when it names none."""
    request, correlation = headers.get("MS-RequestId"), headers.get("MS-CorrelationId")
    if request is not None and request.strip().lower() != ids.request.lower():
        return False
    if correlation is not None and correlation.strip().lower() != ids.correlation.lower():
        return False
    return None if request is None else True


def _foreign() -> Failure:
    return Failure(
        UpstreamBadResponse("The upstream answered another request than this one. Ask again."), Retry.FOREIGN
    )
