"""The endpoint of a dataset: turns a request into a response."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.sandbox import corruption, responses
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.engine import Engine, QueryResult, View
from gateway.sandbox.faults import Faults, SandboxToken
from gateway.sandbox.links import NextLink, link_entry
from gateway.sandbox.odata import FilterError
from gateway.sandbox.query import ParameterError, RequestParameters, lenient_skip, parse_parameters, weeks_back
from gateway.sandbox.response_headers import with_headers
from gateway.sandbox.responses import Refusal, SandboxResponse
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import History, Tokens, authenticate, retry_after
from gateway.sandbox.wire import ClientConnection, ClientGone

Compare = Literal["casefold", "exact"]
_NO_ROWS: Final = QueryResult([], 0)


@dataclass(frozen=True, slots=True)
class DatasetEndpoint:
    """The ASGI application behind all paths of a dataset."""

    dataset: SandboxDataset
    store: Store
    tokens: Tokens
    compare: Compare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        connection = ClientConnection(receive, send)
        faults, history = Faults(), History()
        try:
            try:
                if request.method != "GET":
                    raise responses.method_not_allowed()
                token = authenticate(request.headers.get("authorization"))
                faults, history = token.faults, self.tokens.history(token)
                response = await self._respond(request, token, history, connection)
            except Refusal as refusal:
                response = refusal.response(faults.refusals.error_body)
            response = with_headers(response, request, faults, first=history.requests <= 1)
            accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
            await connection.send_response(response, faults, accepts_gzip=accepts_gzip)
        except ClientGone:
            return

    async def _respond(
        self, request: Request, token: SandboxToken, history: History, connection: ClientConnection
    ) -> SandboxResponse:
        faults = token.faults
        skip = lenient_skip(request.scope["query_string"])
        history.requests += 1
        _check_prefix(request.url.path, faults)
        await _wait(skip, faults, connection)
        _check_refusals(skip, faults, history)
        try:
            parameters = parse_parameters(request.scope["query_string"], self.dataset.fields)
            return await self._page(request, token, history, parameters)
        except (ParameterError, FilterError) as error:
            raise responses.bad_parameter(str(error)) from None

    async def _page(
        self, request: Request, token: SandboxToken, history: History, parameters: RequestParameters
    ) -> SandboxResponse:
        faults = token.faults
        successes = history.successful_responses
        history.successful_responses += 1
        blank = faults.rows.empty_after is not None and successes >= faults.rows.empty_after
        void = _is_void(parameters, faults, history)
        window = min(parameters.query.top, faults.envelope.cap or parameters.query.top)
        more_allowed = window + (faults.envelope.over if faults.envelope.cap is None else 0)
        limited = replace(parameters, query=replace(parameters.query, top=0 if void else more_allowed))
        link = _link(request, self.dataset.path, parameters, 0 if void else window)

        def encode_page() -> SandboxResponse:
            engine = self.store.engine(token.account)
            view = None if blank else self._view(engine, parameters, faults, successes)
            result = _NO_ROWS if view is None else engine.execute(limited.query, view)
            return _envelope(result, engine, view, limited, faults, link)

        return await self.store.in_thread(encode_page)

    def _view(self, engine: Engine, parameters: RequestParameters, faults: Faults, successes: int) -> View | None:
        """Return the state of the data for a request, or None if its processed date does not exist."""
        limits = [limit for limit in (faults.rows.reprocess_after, faults.rows.reprocess_total) if limit is not None]
        newest = -1 if limits and successes >= min(limits) else 0
        processed = parameters.processed
        weeks = newest if processed is None else weeks_back(engine.account, processed, newest=newest)
        if weeks is None:
            return None
        return View(
            weeks_back=weeks,
            first_rows=faults.rows.limit,
            drop_some=weeks < 0 and faults.rows.reprocess_total is not None,
            exact=faults.rows.exact or self.compare == "exact",
            shuffle=successes + 1 if faults.rows.unstable else 0,
        )


def _check_prefix(path: str, faults: Faults) -> None:
    if faults.refusals.prefix is not None and path.startswith("/partner/") != (faults.refusals.prefix == "partner"):
        raise responses.not_found()


async def _wait(skip: int, faults: Faults, connection: ClientConnection) -> None:
    if faults.time.latency:
        await connection.pause(faults.time.latency)
    if faults.time.slow_page is not None and skip == faults.time.slow_page[0]:
        await connection.pause(faults.time.slow_page[1])
    if faults.time.hang:
        await connection.hang()


def _check_refusals(skip: int, faults: Faults, history: History) -> None:
    if faults.refusals.throttle is not None:
        remaining_seconds = history.throttled_for(faults.refusals.throttle, time.monotonic())
        if remaining_seconds > 0:
            raise responses.throttled(math.ceil(remaining_seconds), retry_after(remaining_seconds, faults))
    if faults.refusals.mfa:
        raise responses.mfa_required()
    if faults.refusals.redirect is not None:
        code, location = faults.refusals.redirect
        raise replace(responses.injected_status(code), headers=(("Location", location),))
    if faults.refusals.status is not None:
        raise responses.injected_status(faults.refusals.status)
    if faults.refusals.status_times is not None and history.take_failure(faults.refusals.status_times[1]):
        raise responses.injected_status(faults.refusals.status_times[0])
    if faults.refusals.status_from is not None and skip >= faults.refusals.status_from[1]:
        raise responses.injected_status(faults.refusals.status_from[0])


def _is_void(parameters: RequestParameters, faults: Faults, history: History) -> bool:
    """Return whether this page is empty although its link promises more rows. Counts such pages."""
    if faults.envelope.empty_page is None or parameters.query.skip != faults.envelope.empty_page[0]:
        return False
    history.empty_pages += 1
    return history.empty_pages == 1 or not faults.envelope.empty_page[1]


def _link(request: Request, resource_path: str, parameters: RequestParameters, step: int) -> NextLink:
    origin = f"{request.url.scheme}://{request.url.netloc}"
    query = parameters.query
    return NextLink(
        origin, request.url.path, resource_path, parameters.link_parameters, query.top, query.skip, query.skip + step
    )


def _envelope(
    result: QueryResult,
    engine: Engine,
    view: View | None,
    parameters: RequestParameters,
    faults: Faults,
    link: NextLink,
) -> SandboxResponse:
    grouped = bool(parameters.query.group_by)
    processed = engine.account.processed_at(view.weeks_back if view else 0)
    rows = corruption.dated_rows(result.rows, processed, faults, grouped=grouped)
    more = link.next_skip < result.total
    envelope = {
        **corruption.value_entry(corruption.corrupt_rows(rows, engine.dataset.measures, faults), faults),
        **link_entry(faults.envelope.link, faults.envelope.link_key, link, more=more, rows=len(rows)),
        **corruption.total_entry(result.total, faults),
        **corruption.extra_entries(faults),
    }
    return SandboxResponse(200, corruption.corrupt_json(msgspec.json.encode(envelope), faults), rows=len(rows))
