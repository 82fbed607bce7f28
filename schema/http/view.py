"""The ASGI endpoint ``/graphql``: convert a request to an operation, and its outcome to a response."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.caller import Budget, Caller
from gateway.errors import BadRequest, DocumentRefused, GatewayError, Unauthenticated
from gateway.held_rows import HeldRows
from gateway.http.content_negotiation import prefers_html
from gateway.http.request_headers import list_header
from gateway.http.response_buffers import PIECE_BYTES, ResponseBuffer, ResponseBuffers, attach_buffer, buffer_of
from gateway.http.whole_bodies import cache_compressed
from gateway.page import age_seconds
from gateway.paging.agreement import OperationSnapshots
from gateway.scanning.sources import RowSources
from gateway.scheduling.accepted_tokens import NO_OWNER
from gateway.scheduling.scheduler import Scheduler
from schema.execution.context import OperationContext
from schema.execution.operations import OperationRequest, Operations, Outcome
from schema.execution.plans import MAX_KEY_CHARACTERS, PlanKey, Plans, plan_key
from schema.http.disconnect import correlation_id_of, cost_of, note_facts, unless_disconnected
from schema.http.operation_starts import OperationStarts
from schema.http.persisted_documents import Documents
from schema.http.request import Parameters, access_token, locale_of, read_parameters, take_variables
from schema.http.request_bodies import RequestBodies
from schema.http.response import VARY, RenderedResponse, outcome_response, refusal
from schema.http.running_operations import OPERATION_BYTES, RunningOperation, RunningOperations, operation_bytes

# Time for a request body to arrive (our choice; a megabyte takes less on the slowest link worth serving).
BODY_TIMEOUT_SECONDS = 20.0

_NO_FACTS: dict[str, Any] = {"operation": None, "cache": None, "rows": 0}

# Of callers whose rows are in the cache.
_UNUSED_BUDGET = Budget(0)


@dataclass(frozen=True, slots=True)
class GraphQLView:
    """The endpoint. ``page`` returns GraphiQL's page. ``page`` and ``plans`` are None if switched off."""

    operations: Operations
    sources: RowSources
    buffers: ResponseBuffers
    max_request_bytes: int
    documents: Documents
    page: Callable[[], Response] | None = None
    plans: Plans | None = None
    body_timeout_seconds: float = BODY_TIMEOUT_SECONDS
    scheduler: Scheduler = field(default_factory=Scheduler)
    held_rows: HeldRows = field(default_factory=HeldRows)
    bodies: RequestBodies = field(default_factory=RequestBodies)
    running: RunningOperations = field(default_factory=RunningOperations)
    starts: OperationStarts = field(default_factory=OperationStarts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; each error becomes a response in GraphQL form."""
        try:
            await self._answer(scope, receive, send)
        finally:
            buffer = buffer_of(scope)
            if buffer is not None:
                buffer.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        response: Response | RenderedResponse
        try:
            response = await self._respond(scope, receive)
        except ClientDisconnect:
            return
        except GatewayError as error:
            buffer = buffer_of(scope)
            if isinstance(error, DocumentRefused) or (buffer is not None and error is buffer.refusal):
                note_facts(scope, **{**_NO_FACTS, **scope["state"].get("facts", {}), "outcome": error.code})
            if buffer is not None:
                buffer.close()
            response = refusal(scope, error, correlation_id_of(scope))
        response.raw_headers.append((b"vary", VARY))
        await response(scope, receive, send)

    async def _respond(self, scope: Scope, receive: Receive) -> Response | RenderedResponse:
        # HEAD is GET without the body, which the server leaves out (RFC 9110, section 9.3.2).
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise BadRequest("Use GET or POST.", status=405)
        if scope["method"] != "POST" and self.page is not None and prefers_html(list_header(scope, b"accept")):
            return self.page()
        parameters = await read_parameters(
            scope,
            receive,
            self.bodies,
            max_bytes=self.max_request_bytes,
            timeout_seconds=self.body_timeout_seconds,
        )
        text = self.documents.text_of(parameters)
        key = plan_key(text, parameters.operationName, parameters.variables)
        # A plan's stored rendering has no cost.
        planned = None if parameters.wants_cost or key is None else await self._planned(scope, key)
        if planned is not None:
            # A document with a plan is valid.
            self.documents.store(parameters.document_id(), text)
            return planned
        return await self._executed(scope, receive, text, parameters, key)

    async def _executed(
        self, scope: Scope, receive: Receive, text: str, parameters: Parameters, key: PlanKey | None
    ) -> Response:
        """Return the response to an operation on the ordinary path."""
        context = self._context(scope, shows_cost=parameters.wants_cost)
        try:
            with self.running.operation(self.scheduler.accepted.owner(context.buffer.owner)) as running:
                may_mutate = scope["method"] == "POST"
                work = self._run(text, parameters, context, running, may_mutate=may_mutate)
                outcome = await unless_disconnected(receive, work)
            if context.cache_state is not None:
                self.scheduler.accepted.note(context.buffer.owner)
            if self.plans is not None and key is not None and outcome.data and not outcome.errors:
                self.plans.learn(key, outcome.data, context, outcome.operation_name)
            note_facts(
                scope,
                outcome=outcome.causes[0].code if outcome.causes else "ok",
                operation=outcome.operation_name,
                cache=context.cache_state,
                rows=context.rows,
            )
            return await outcome_response(scope, context, outcome, self.scheduler.thread)
        finally:
            context.release()

    async def _run(
        self,
        text: str,
        parameters: Parameters,
        context: OperationContext,
        running: RunningOperation,
        *,
        may_mutate: bool,
    ) -> Outcome:
        """Prepare the document of an operation and run it. Meanwhile, keep only what it uses."""
        document_id = parameters.document_id()
        parameters.release()
        # A plan's key contains the text of short variables.
        kept_bytes = sys.getsizeof(text) + min(len(parameters.variables), MAX_KEY_CHARACTERS)
        owner, document = running.owner, self.operations.known(text)
        is_new = document is None
        if document is None:
            self.running.hold(running, kept_bytes + len(parameters.variables) + OPERATION_BYTES)
            document = await self.operations.prepared(text, owner)
        if document.is_valid:
            self.documents.store(document_id, text)
        variables, variables_bytes = take_variables(parameters, document.uses)
        kept_bytes += operation_bytes(variables_bytes, document.root_fields)
        self.running.hold(running, kept_bytes, document)
        # A new document had its turn when it was prepared.
        if not is_new:
            await self.starts.wait(owner, document.root_fields, self.operations.limits.operation_timeout_seconds)
        request = OperationRequest(document, parameters.operationName, variables, may_mutate=may_mutate)
        return await self.operations.run(request, context)

    async def _planned(self, scope: Scope, key: PlanKey) -> RenderedResponse | None:
        """Return the response to an operation that ran before, if the caller's rows are cached and fresh."""
        # A GET response has an ETag, which only the ordinary path creates.
        plan = self.plans.find(key) if self.plans is not None and scope["method"] == "POST" else None
        if plan is None or self.plans is None:
            return None
        try:
            caller = Caller(access_token(scope), locale_of(scope), budget=_UNUSED_BUDGET)
            rendered = plan.run(self.plans.cached_pages, caller)
        except Unauthenticated:
            # The ordinary path reports the missing token with the field's path.
            return None
        if rendered is None:
            return None
        body, page = rendered
        if len(body) > PIECE_BYTES:
            buffer = self._buffer(scope)
            if not buffer.take(len(body)) and buffer.refusal:
                raise buffer.refusal
        rows = plan.arguments.rows_within(page.end)
        note_facts(scope, outcome="ok", operation=plan.operation_name, cache="hit", rows=rows)
        response = RenderedResponse(scope, body, age_seconds=age_seconds(page.fetched_at))
        if page.renderings is not None:
            cache_compressed(scope, page.renderings, plan.name)
        return response

    def _context(self, scope: Scope, *, shows_cost: bool) -> OperationContext:
        limits = self.operations.limits
        budget = Budget(limits.max_upstream_calls, cost_of(scope))
        deadline = asyncio.get_running_loop().time() + limits.operation_timeout_seconds
        correlation_id = correlation_id_of(scope)

        buffer, snapshots = self._buffer(scope), OperationSnapshots(self.sources.differing)
        held = self.held_rows.operation(buffer.owner)

        def caller() -> Caller:
            return Caller(access_token(scope), locale_of(scope), correlation_id, deadline, budget, held=held)

        return OperationContext(
            self.sources,
            limits,
            correlation_id,
            budget,
            caller,
            buffer,
            snapshots,
            shows_cost=shows_cost,
            held=held,
        )

    def _buffer(self, scope: Scope) -> ResponseBuffer:
        """Return the buffer of this request's response; a retried plan has one already."""
        buffer = buffer_of(scope)
        if buffer is None:
            try:
                owner = access_token(scope).locator
            except Unauthenticated:
                owner = NO_OWNER
            buffer = self.buffers.open(owner)
            attach_buffer(scope, buffer)
        return buffer
