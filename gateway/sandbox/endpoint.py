"""The licence deployment endpoint: from a request to its reply, step by step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

import msgspec
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.sandbox import oddities, replies
from gateway.sandbox.engine import Answer, Engine, View
from gateway.sandbox.faults import Faults, SandboxToken
from gateway.sandbox.links import NextLink, link_entry
from gateway.sandbox.odata import FilterError
from gateway.sandbox.question import Asked, ParameterError, lenient_skip, read_question, weeks_back
from gateway.sandbox.replies import Refusal, Reply
from gateway.sandbox.stamps import stamped
from gateway.sandbox.store import Store
from gateway.sandbox.tokens import History, Tokens, authenticate, retry_after
from gateway.sandbox.wire import ClientGone, Connection

Compare = Literal["casefold", "exact"]
_T = TypeVar("_T")
_NO_ROWS: Final = Answer([], 0)


@dataclass(frozen=True, slots=True)
class LicenseEndpoint:
    """An ASGI application for all paths of the endpoint."""

    store: Store
    tokens: Tokens
    compare: Compare

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        connection = Connection(receive, send)
        faults, history = Faults(), History()
        try:
            try:
                if request.method != "GET":
                    raise replies.method_not_allowed()
                token = authenticate(request.headers.get("authorization"))
                faults, history = token.faults, self.tokens.history(token)
                reply = await self._reply(request, token, history, connection)
            except Refusal as refusal:
                reply = refusal.reply(faults.error_body)
            reply = stamped(reply, request, faults, first=history.requests <= 1)
            accepts_gzip = "gzip" in request.headers.get("accept-encoding", "")
            await connection.deliver(reply, faults, accepts_gzip=accepts_gzip)
        except ClientGone:
            return

    async def _reply(self, request: Request, token: SandboxToken, history: History, connection: Connection) -> Reply:
        faults = token.faults
        skip = lenient_skip(request.scope["query_string"])
        history.requests += 1
        _check_prefix(request.url.path, faults)
        await _wait(skip, faults, connection)
        _check_refusals(skip, faults, history)
        try:
            asked = read_question(request.scope["query_string"])
            return await self._page(request, token, history, asked)
        except (ParameterError, FilterError) as error:
            raise replies.bad_parameter(str(error)) from None

    async def _page(self, request: Request, token: SandboxToken, history: History, asked: Asked) -> Reply:
        faults = token.faults
        served = history.good_replies
        history.good_replies += 1
        blank = faults.empty_after is not None and served >= faults.empty_after
        void = _is_void(asked, faults, history)
        window = min(asked.question.top, faults.cap or asked.question.top)
        more_allowed = window + (faults.over if faults.cap is None else 0)
        limited = replace(asked, question=replace(asked.question, top=0 if void else more_allowed))
        link = _link(request, asked, 0 if void else window)

        def encoded() -> Reply:
            engine = self.store.engine(token.account)
            view = None if blank else self._view(engine, asked, faults, served)
            answer = _NO_ROWS if view is None else engine.ask(limited.question, view)
            return _envelope(answer, engine, view, limited, faults, link)

        return await self.store.in_thread(encoded)

    def _view(self, engine: Engine, asked: Asked, faults: Faults, served: int) -> View | None:
        """The state of the data that a request sees; None when there is no such processed date."""
        limits = [limit for limit in (faults.reprocess_after, faults.reprocess_total) if limit is not None]
        newest = -1 if limits and served >= min(limits) else 0
        weeks = newest if asked.processed is None else weeks_back(engine.account, asked.processed, newest=newest)
        if weeks is None:
            return None
        return View(
            weeks_back=weeks,
            first_rows=faults.rows,
            drop_some=weeks < 0 and faults.reprocess_total is not None,
            exact=faults.exact or self.compare == "exact",
            shuffle=served + 1 if faults.unstable else 0,
        )


def _check_prefix(path: str, faults: Faults) -> None:
    if faults.prefix is not None and path.startswith("/partner/") != (faults.prefix == "partner"):
        raise replies.not_found()


async def _wait(skip: int, faults: Faults, connection: Connection) -> None:
    if faults.latency:
        await connection.pause(faults.latency)
    if faults.slow_page is not None and skip == faults.slow_page[0]:
        await connection.pause(faults.slow_page[1])
    if faults.hang:
        await connection.hang()


def _check_refusals(skip: int, faults: Faults, history: History) -> None:
    if faults.throttle is not None:
        remaining_seconds = history.throttled_for(faults.throttle, time.monotonic())
        if remaining_seconds > 0:
            raise replies.throttled(math.ceil(remaining_seconds), retry_after(remaining_seconds, faults))
    if faults.mfa:
        raise replies.mfa_required()
    if faults.redirect is not None:
        code, place = faults.redirect
        raise replace(replies.asked_for(code), headers=(("Location", place),))
    if faults.status is not None:
        raise replies.asked_for(faults.status)
    if faults.status_times is not None and history.fails(faults.status_times[1]):
        raise replies.asked_for(faults.status_times[0])
    if faults.status_from is not None and skip >= faults.status_from[1]:
        raise replies.asked_for(faults.status_from[0])


def _is_void(asked: Asked, faults: Faults, history: History) -> bool:
    """Whether this reply has no rows although its link says that there are more."""
    if faults.empty_page is None or asked.question.skip != faults.empty_page[0]:
        return False
    history.empty_pages += 1
    return history.empty_pages == 1 or not faults.empty_page[1]


def _link(request: Request, asked: Asked, step: int) -> NextLink:
    origin = f"{request.url.scheme}://{request.url.netloc}"
    question = asked.question
    return NextLink(origin, request.url.path, asked.others, question.top, question.skip, question.skip + step)


def _envelope(answer: Answer, engine: Engine, view: View | None, asked: Asked, faults: Faults, link: NextLink) -> Reply:
    grouped = bool(asked.question.group_by)
    processed = engine.account.processed_at(view.weeks_back if view else 0)
    rows = oddities.dated_rows(answer.rows, processed, faults, grouped=grouped)
    more = link.next_skip < answer.total
    envelope = {
        **oddities.value_entry(oddities.odd_rows(rows, faults), faults),
        **link_entry(faults.link, faults.link_key, link, more=more, rows=len(rows)),
        **oddities.total_entry(answer.total, faults),
        **oddities.extra_entries(faults),
    }
    return Reply(200, oddities.odd_json(msgspec.json.encode(envelope), faults), rows=len(rows))
