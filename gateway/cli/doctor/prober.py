"""Single calls to the upstream, whose responses are kept as they came."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec

from gateway.access_token import AccessToken
from gateway.caller import Caller
from gateway.config.groups import UpstreamConfig
from gateway.network.causes import Cause
from gateway.query import PageQuery
from gateway.upstream.attempt import RequestIds, request_for
from gateway.upstream.attempt_record import UpstreamAttempt
from gateway.upstream.codec import BOM, without_bom
from gateway.upstream.decompress import read_body
from gateway.upstream.retry import AttemptFailed
from gateway.upstream.status import error_code
from gateway.upstream.transport import Connections, HandshakeGuard

# Partner Center's codes have at most six digits (its documentation, error codes). A longer number might be an id.
MAX_CODE = 999_999


@dataclass(frozen=True, slots=True)
class Answer:
    """The upstream's response to one call; ``failure`` says why it is missing or cannot be read.

    ``cause`` is set if there was no connection.
    """

    seconds: float
    ids: RequestIds
    status: int = 0
    failure: str = ""
    code: int | None = None
    document: Any = field(default=None, repr=False)
    headers: httpx.Headers = field(default_factory=httpx.Headers, repr=False)
    has_bom: bool = False
    cause: Cause | None = None

    @property
    def is_success(self) -> bool:
        return self.status == 200 and not self.failure

    @property
    def is_answered(self) -> bool:
        """True unless the upstream failed, throttled, or refused the token, so that the probe shows nothing."""
        return not self.failure and self.status not in (401, 403, 408, 429) and self.status < 500

    @property
    def text(self) -> str:
        """The outcome in words of a closed set, statuses and short codes included."""
        if self.failure:
            return self.failure
        return f"status {self.status}" + ("" if self.code is None else f", code {self.code}")


class Prober:
    """Makes calls one after another with one token, and records their times. A failed call is made twice."""

    def __init__(self, config: UpstreamConfig, token: AccessToken, transport: httpx.AsyncBaseTransport | None) -> None:
        self.config = config
        self.answers: list[Answer] = []
        self._token = token
        self._connections = Connections(config, transport)

    async def ask(self, query: PageQuery, **address: Any) -> Answer:
        """Return the answer to ``query``; ``address`` are changes of the configured address."""
        config = replace(self.config, **address)
        answer = await self._attempt(config, query)
        if answer.failure or answer.status >= 500:
            answer = await self._attempt(config, query)
        self.answers.append(answer)
        return answer

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def _attempt(self, config: UpstreamConfig, query: PageQuery) -> Answer:
        caller, started, guard = Caller(self._token), time.perf_counter(), HandshakeGuard()
        ids = RequestIds.of(caller)
        try:
            async with asyncio.timeout(config.timeout_seconds):
                request = request_for(config, query, caller, ids, guard)
                response = await self._connections.single_use.handle_async_request(request)
                try:
                    return await self._read(response, ids, started)
                finally:
                    await response.aclose()
        except AttemptFailed:
            return Answer(time.perf_counter() - started, ids, failure="the body is too large or corrupt")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            cause = guard.cause_of(error, config)
            seconds, is_unreachable = time.perf_counter() - started, guard.is_connecting
            return Answer(seconds, ids, failure=cause.text, cause=cause if is_unreachable else None)

    async def _read(self, response: httpx.Response, ids: RequestIds, started: float) -> Answer:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        encoding = response.headers.get("Content-Encoding", "")
        body = await read_body(response.stream, encoding, self.config.max_body_bytes, UpstreamAttempt())
        seconds, failure, document = time.perf_counter() - started, "", None
        if response.status_code == 200:
            try:
                document = msgspec.json.decode(without_bom(body))
            except (ValueError, RecursionError):
                failure = "the body is not JSON"
        code = error_code(body) if response.status_code != 200 else None
        code = code if isinstance(code, int) and 0 <= code <= MAX_CODE else None
        return Answer(
            seconds, ids, response.status_code, failure, code, document, response.headers, body.startswith(BOM)
        )
