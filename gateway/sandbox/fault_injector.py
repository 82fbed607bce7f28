"""The layer around an endpoint that applies the faults of a token.

Before the endpoint, it delays and refuses requests, and puts the dialect into the scope's state. After the endpoint, it
encodes and corrupts the page, and sends the bytes. A token without faults makes it a plain encoder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.sandbox import responses
from gateway.sandbox.corruption import encode_page
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import STANDARD, Dialect
from gateway.sandbox.fault_values import FaultError
from gateway.sandbox.faults import Faults, SandboxToken, TimeFaults, UnknownAccountError, parse_token
from gateway.sandbox.injected_refusals import check_prefix, check_refusals
from gateway.sandbox.page import SandboxPage
from gateway.sandbox.query import ParameterError, SandboxQuery, lenient_skip, parse_parameters
from gateway.sandbox.response_headers import with_headers
from gateway.sandbox.responses import Refusal, SandboxResponse
from gateway.sandbox.tokens import History, Tokens, bearer
from gateway.sandbox.wire import ClientConnection, ClientGone


@dataclass(frozen=True, slots=True)
class FaultInjector:
    """The ASGI application behind all paths of a dataset."""

    dataset: SandboxDataset
    endpoint: Callable[[Request], Awaitable[SandboxPage]]
    tokens: Tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        connection = ClientConnection(receive, send)
        faults, history = Faults(), History()
        try:
            try:
                token = _token(request)
                if token is None:
                    page = await self.endpoint(request)
                else:
                    faults, history = token.faults, self.tokens.history(token)
                    page = await self._page(request, token, history, connection)
                body = await asyncio.to_thread(encode_page, page, self.dataset.measures, faults)
                response = SandboxResponse(200, body)
            except Refusal as refusal:
                response = refusal.response(faults.refusals.error_body)
            response = with_headers(response, request, faults.headers, first=history.requests <= 1)
            accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
            await connection.send_response(response, faults, accepts_gzip=accepts_gzip)
        except ClientGone:
            return

    async def _page(
        self, request: Request, token: SandboxToken, history: History, connection: ClientConnection
    ) -> SandboxPage:
        faults = token.faults
        skip = lenient_skip(request.scope["query_string"])
        history.requests += 1
        check_prefix(request.url.path, faults.refusals)
        await _wait(skip, faults.time, connection)
        check_refusals(skip, faults.refusals, history)
        dialect = self._dialect(request, faults, history)
        return await self.endpoint(_forwarded(request, token.account, dialect))

    def _dialect(self, request: Request, faults: Faults, history: History) -> Dialect:
        """Return the dialect of a response, and count the response unless its parameters are invalid."""
        if faults == Faults():
            return STANDARD
        try:
            parameters = parse_parameters(request.scope["query_string"], self.dataset.fields)
        except ParameterError:
            # The endpoint refuses the request.
            return STANDARD
        return _counted_dialect(parameters.query, faults, history)


def _token(request: Request) -> SandboxToken | None:
    """Return the request's token, or None if the endpoint refuses the request. Raises Refusal for invalid faults."""
    if request.method != "GET":
        return None
    try:
        return parse_token(bearer(request.headers.get("authorization")))
    except UnknownAccountError:
        return None
    except FaultError as error:
        raise responses.bad_fault(str(error)) from None


def _forwarded(request: Request, account: str, dialect: Dialect) -> Request:
    """Return the request with a token that has no faults, and with the dialect in its state."""
    headers = [(name, value) for name, value in request.scope["headers"] if name.lower() != b"authorization"]
    headers.append((b"authorization", f"Bearer {account}".encode()))
    state = {**request.scope.get("state", {}), "dialect": dialect}
    return Request({**request.scope, "headers": headers, "state": state})


async def _wait(skip: int, faults: TimeFaults, connection: ClientConnection) -> None:
    if faults.latency:
        await connection.pause(faults.latency)
    if faults.slow_page is not None and skip == faults.slow_page[0]:
        await connection.pause(faults.slow_page[1])
    if faults.hang:
        await connection.hang()


def _counted_dialect(query: SandboxQuery, faults: Faults, history: History) -> Dialect:
    rows, envelope = faults.rows, faults.envelope
    successes = history.successful_responses
    history.successful_responses += 1
    limits = [limit for limit in (rows.reprocess_after, rows.reprocess_total) if limit is not None]
    return Dialect(
        exact=rows.exact,
        first_rows=rows.limit,
        next_processing=bool(limits) and successes >= min(limits),
        drop_some=rows.reprocess_total is not None,
        shuffle=successes + 1 if rows.unstable else 0,
        blank=rows.empty_after is not None and successes >= rows.empty_after,
        void=_is_void(query.skip, envelope.empty_page, history),
        max_rows=envelope.cap,
        extra_rows=envelope.over if envelope.cap is None else 0,
        group_dates=faults.values.groupdate,
        mixed_dates=faults.values.mixed_dates,
    )


def _is_void(skip: int, empty_page: tuple[int, bool] | None, history: History) -> bool:
    """Return whether this page is empty although its link promises more rows. Counts such pages."""
    if empty_page is None or skip != empty_page[0]:
        return False
    once = empty_page[1]
    history.empty_pages += 1
    return history.empty_pages == 1 or not once
