"""The layer around an endpoint that applies the faults of a token.

Before the endpoint, it delays and refuses requests. The endpoint gets the dialect of the faults. After the endpoint, it
encodes and corrupts the page, and sends the bytes. A token without faults makes it a plain encoder.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.sandbox.accounts import SAMPLE, Account
from gateway.sandbox.corruption import encode_page
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import Dialect
from gateway.sandbox.faults import Faults, RefusalFaults, TimeFaults
from gateway.sandbox.forms import RETRY_AFTER_FORMS
from gateway.sandbox.parameters import SandboxQuery, lenient_skip
from gateway.sandbox.responses import Refusal, SandboxResponse, refusal_with
from gateway.sandbox.sandbox_page import SandboxPage
from gateway.sandbox.tokens import History, authenticate
from gateway.sandbox.wire import ClientConnection, ClientGone

Endpoint = Callable[[Request, Account, Callable[[SandboxQuery], Dialect]], Awaitable[SandboxPage]]


@dataclass(frozen=True, slots=True)
class FaultInjector:
    """The ASGI application behind all paths of a dataset. ``history`` returns the history of a token."""

    dataset: SandboxDataset
    endpoint: Endpoint
    history: Callable[[str], History]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        connection = ClientConnection(request, receive, send)
        faults, history = Faults(), History()
        try:
            try:
                if request.method != "GET":
                    raise Refusal(405, 405, "Method not allowed", headers=(("Allow", "GET"),))
                token = authenticate(request.headers.get("authorization"))
                faults, history = token.faults, self.history(token.text)
                history.requests += 1
                await _apply_before(request, faults, history, connection)
                page = await self.endpoint(request, token.account, lambda query: _dialect(query, faults, history))
                if self.dataset.has_bare_example and token.account.name == SAMPLE:
                    faults = faults.without_envelope()
                response = SandboxResponse(200, await asyncio.to_thread(encode_page, page, self.dataset, faults))
            except Refusal as refusal:
                response = refusal.response(faults.refusals.error_body)
            await connection.send_response(response, faults, is_first=history.requests <= 1)
        except ClientGone:
            return


async def _apply_before(request: Request, faults: Faults, history: History, connection: ClientConnection) -> None:
    """Delay a request, and raise Refusal if the faults refuse it. Raises ClientGone."""
    skip = lenient_skip(request.scope["query_string"])
    prefix = faults.refusals.prefix
    if prefix is not None and request.url.path.startswith("/partner/") != (prefix == "partner"):
        raise refusal_with(404)
    await _wait(skip, faults.time, connection)
    _check_refusals(skip, faults.refusals, history)


async def _wait(skip: int, faults: TimeFaults, connection: ClientConnection) -> None:
    if faults.latency:
        await connection.pause(faults.latency)
    if faults.slow_page is not None and skip == faults.slow_page[0]:
        await connection.pause(faults.slow_page[1])
    if faults.hang:
        await connection.pause(None)


def _check_refusals(skip: int, faults: RefusalFaults, history: History) -> None:
    """Raise Refusal if the faults refuse a request. Counts injected failures."""
    if faults.throttle is not None:
        _check_throttle(faults.throttle, faults.throttle_form, history)
    if faults.mfa:
        raise Refusal(401, 900421, "MFA required")
    if faults.redirect is not None:
        code, location = faults.redirect
        raise replace(refusal_with(code), headers=(("Location", location),))
    if faults.status is not None:
        raise refusal_with(faults.status)
    if faults.status_times is not None and history.take_failure(faults.status_times[1]):
        raise refusal_with(faults.status_times[0])
    if faults.status_from is not None and skip >= faults.status_from[1]:
        raise refusal_with(faults.status_from[0])


def _check_throttle(window_seconds: float, form: str, history: History) -> None:
    seconds = math.ceil(history.throttled_for(window_seconds, time.monotonic()))
    if seconds == 0:
        return
    value = RETRY_AFTER_FORMS[form](seconds)
    headers = () if value is None else (("Retry-After", value),)
    # Source: Partner Center documents on API throttling.
    message = f"Rate limit is exceeded. Try again in {seconds} seconds."
    raise Refusal(429, 429, message, shape="3", headers=headers)


def _dialect(query: SandboxQuery, faults: Faults, history: History) -> Dialect:
    """Return the dialect of a successful response, and count that response."""
    rows, envelope = faults.rows, faults.envelope
    successes = history.successful_responses
    history.successful_responses += 1
    limits = [limit for limit in (rows.reprocess_after, rows.reprocess_total) if limit is not None]
    return Dialect(
        exact=rows.exact,
        first_rows=rows.limit,
        next_processing=bool(limits) and successes >= min(limits),
        drop_some=rows.reprocess_total is not None,
        recount=rows.recount_after is not None and successes >= rows.recount_after,
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
