"""A response belongs to its request's token, however the Authorization header is spelled."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Scope

from gateway.access_token import AccessToken
from gateway.http.response_buffers import ResponseBuffers
from gateway.paging.block_sizes import BlockSizes
from gateway.scheduling.accepted_tokens import NO_OWNER
from schema.build import build_schema
from schema.execution.operations import Operations
from schema.http.persisted_documents import AutomaticDocuments
from schema.http.view import GraphQLView
from tests.gateway.fakes import FakeSource, row_sources
from tests.schema.http.test_errors_over_http import LIMITS

TOKEN = AccessToken("contoso")


class Unread:
    """Responses whose clients do not read."""

    def __init__(self) -> None:
        operations = Operations(build_schema(), LIMITS, introspection=True)
        self.buffers = ResponseBuffers(1_048_576)
        self.view = GraphQLView(
            operations,
            row_sources(FakeSource(lambda: 0.0), BlockSizes(10, 10)),
            self.buffers,
            10_000,
            AutomaticDocuments(),
        )
        self.gate = asyncio.Event()

    async def request(self, authorization: bytes | None) -> asyncio.Task[None]:
        """Send a request; return once its response waits for its client."""
        waiting = asyncio.Event()

        async def receive() -> Message:
            await self.gate.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            waiting.set()
            await self.gate.wait()

        scope: Scope = {
            "type": "http",
            "method": "GET",
            "path": "/graphql",
            "query_string": b"query=%7B__typename%7D",
            "headers": [] if authorization is None else [(b"authorization", authorization)],
            "state": {},
        }
        task = asyncio.create_task(self.view(scope, receive, send))
        await asyncio.wait_for(waiting.wait(), 30)
        return task


@pytest.mark.parametrize("spelling", [b"Bearer contoso", b"bEARER contoso", b"Bearer   contoso", b"bearer contoso  "])
async def test_every_spelling_of_the_header_is_the_same_owner(spelling: bytes) -> None:
    unread = Unread()
    tasks = [await unread.request(authorization) for authorization in (b"Bearer contoso", spelling)]
    assert unread.buffers.used_bytes > 0
    assert unread.buffers.held_by(TOKEN.locator) == unread.buffers.used_bytes
    unread.gate.set()
    await asyncio.gather(*tasks)
    assert unread.buffers.used_bytes == 0


async def test_each_token_is_another_owner() -> None:
    unread = Unread()
    tasks = [await unread.request(b"Bearer " + secret) for secret in (b"contoso", b"fabrikam")]
    assert 0 < unread.buffers.held_by(TOKEN.locator) < unread.buffers.used_bytes
    unread.gate.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("authorization", [None, b"", b"Basic contoso", b"Bearer ", b"Bearer a b"])
async def test_requests_without_a_usable_token_share_one_owner(authorization: bytes | None) -> None:
    unread = Unread()
    task = await unread.request(authorization)
    assert 0 < unread.buffers.held_by(NO_OWNER) == unread.buffers.used_bytes
    unread.gate.set()
    await task
