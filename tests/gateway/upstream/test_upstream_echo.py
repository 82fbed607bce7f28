"""A response is accepted only for the request that it answers."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid

import pytest

from gateway.errors import Unauthenticated
from tests.gateway.upstream.scripted import (
    GOOD,
    RecordingObserver,
    Step,
    UpstreamRequest,
    caller,
    client,
    echo,
    envelope,
    http,
    page_query,
    respond,
    rows,
    sold,
    upstream,
)

FAR = float("inf")
OTHERS = {"MS-RequestId": str(uuid.UUID(int=1)), "MS-CorrelationId": str(uuid.UUID(int=2))}
STALE = envelope(rows(666), 1)


def with_extra(extra: bytes) -> Step:
    """Return a step that sends a valid response followed by another one."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        writer.write(http(200, echo(request), json.dumps(envelope(rows(1, 2), 2)).encode()) + extra)
        return True

    return step


@pytest.mark.parametrize("ids", [OTHERS, {}, {"MS-RequestId": OTHERS["MS-RequestId"]}])
@pytest.mark.parametrize("status", [200])
async def test_an_extra_response_in_the_stream_never_reaches_the_next_caller(ids: dict[str, str], status: int) -> None:
    """The extra response has wrong ids or none. Each caller gets its own rows, over another connection."""
    extra = http(status, ids, json.dumps(STALE).encode())
    async with upstream(with_extra(extra)) as up, client(up.url) as it:
        for name in ("one", "two", "three", "four"):
            result = await it.call(page_query(), caller(name), deadline=FAR)
            assert sold(result.rows) == [1, 2]


async def test_a_foreign_error_response_is_not_accepted() -> None:
    extra = http(401, OTHERS, b"")
    async with upstream(with_extra(extra)) as up, client(up.url) as it:
        for name in ("one", "two", "three"):
            await it.call(page_query(), caller(name), deadline=FAR)


async def test_the_connection_of_a_foreign_response_is_closed() -> None:
    """The request is retried on another connection."""
    observer = RecordingObserver()
    async with upstream(GOOD, GOOD, respond(STALE, ids=OTHERS), GOOD) as up, client(up.url, observer=observer) as it:
        for _ in range(3):
            result = await it.call(page_query(), caller(), deadline=FAR)
            assert sold(result.rows) == [1, 2]
        assert result.attempts == 2
        assert observer.outcomes == ["ok", "ok", "UPSTREAM_BAD_RESPONSE", "ok"]
        assert [call.is_foreign for call in observer.calls] == [False, False, True, False]
        assert up.requests[2].connection == up.requests[1].connection
        assert up.requests[3].connection != up.requests[2].connection


async def test_a_foreign_response_is_retried_even_without_configured_retries() -> None:
    async with upstream(respond(STALE, ids=OTHERS), GOOD) as up, client(up.url, max_retries=0) as it:
        assert sold((await it.call(page_query(), caller(), deadline=FAR)).rows) == [1, 2]


async def test_an_upstream_that_always_echoes_wrong_ids_is_accepted_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first call takes two requests, later calls one, and each request has its own connection."""
    caplog.set_level(logging.WARNING)
    async with upstream(respond(STALE, ids=OTHERS)) as up, client(up.url) as it:
        attempts = [(await it.call(page_query(), caller(), deadline=FAR)).attempts for _ in range(3)]
        assert attempts == [2, 1, 1]
        assert [request.connection for request in up.requests] == [1, 2, 3, 4]
        assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1


async def test_connections_are_reused_again_when_the_upstream_echoes_again() -> None:
    steps = [respond(STALE, ids=OTHERS)] * 2 + [GOOD] * 3
    async with upstream(*steps) as up, client(up.url) as it:
        for _ in range(4):
            await it.call(page_query(), caller(), deadline=FAR)
        assert up.requests[3].connection == up.requests[4].connection


async def test_ids_are_compared_without_case() -> None:
    async def shouting(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        ids = {name: value.upper() for name, value in echo(request).items()}
        writer.write(http(200, ids, json.dumps(STALE).encode()))
        return True

    async with upstream(shouting) as up, client(up.url) as it:
        assert (await it.call(page_query(), caller(), deadline=FAR)).attempts == 1
        await it.call(page_query(), caller(), deadline=FAR)
        assert up.connections <= 2


async def test_a_response_without_ids_is_accepted_and_its_connection_not_reused() -> None:
    """The next response could not be distinguished from an extra one."""
    async with upstream(respond(envelope(rows(5), 1), ids={})) as up, client(up.url) as it:
        for _ in range(3):
            result = await it.call(page_query(), caller(), deadline=FAR)
            assert (sold(result.rows), result.attempts) == ([5], 1)
        assert up.connections == 3


async def test_connections_to_an_upstream_that_echoes_are_reused() -> None:
    async with upstream(GOOD) as up, client(up.url) as it:
        for _ in range(5):
            await it.call(page_query(), caller(), deadline=FAR)
        assert up.connections == 2


async def test_an_error_response_without_ids_is_confirmed_on_a_new_connection() -> None:
    async with upstream(GOOD, GOOD, respond(status=401, ids={})) as up, client(up.url) as it:
        for _ in range(2):
            await it.call(page_query(), caller(), deadline=FAR)
        with pytest.raises(Unauthenticated):
            await it.call(page_query(), caller(), deadline=FAR)
        assert [request.connection for request in up.requests] == [1, 2, 2, 3]


@pytest.mark.parametrize("status", [204, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("moment", ["with the response", "later"])
async def test_an_extra_error_response_is_not_believed(status: int, moment: str) -> None:
    """It would cool down the next caller's token, or drop its rows."""
    extra = http(status, {"Retry-After": "600"}, b"{}")

    async def twice(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        good = http(200, echo(request), json.dumps(STALE).encode())
        writer.write(good + extra if moment == "with the response" else good)
        if moment == "later":
            asyncio.get_running_loop().call_later(0.05, writer.write, extra)
        return True

    async with upstream(GOOD, twice, GOOD) as up, client(up.url, max_retries=0) as it:
        for name in ("one", "two"):
            await it.call(page_query(), caller(name), deadline=FAR)
        await asyncio.sleep(0.1)
        page = await it.call(page_query(), caller("three"), deadline=FAR)
        assert sold(page.rows) == [1, 2]
        assert it.cooldowns.active() == 0
        assert up.requests[-1].connection != up.requests[1].connection


async def test_errors_without_ids_do_not_end_the_reuse_of_connections() -> None:
    """A server in front of the upstream may write them, to made-up tokens as well."""
    refusal = respond(status=401, ids={})
    async with upstream(GOOD, GOOD, refusal, refusal, GOOD) as up, client(up.url) as it:
        for _ in range(2):
            await it.call(page_query(), caller(), deadline=FAR)
        with pytest.raises(Unauthenticated):
            await it.call(page_query(), caller("invented"), deadline=FAR)
        connections = up.connections
        for _ in range(3):
            await it.call(page_query(), caller(), deadline=FAR)
        assert up.connections == connections + 1
