"""One call over a real socket: exact request bytes, statuses, attempts, deadlines, concurrency and secrets."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import re
import sys
import traceback
from typing import Any

import httpcore
import httpx
import pytest

from gateway.caller import Ahead
from gateway.errors import (
    DeadlineExceeded,
    Forbidden,
    GatewayError,
    RateLimited,
    ServiceUnavailable,
    Unauthenticated,
    UpstreamBadResponse,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from gateway.query import Comparison
from gateway.scheduling.backlog import Backlog
from gateway.scheduling.scheduler import Scheduler
from gateway.upstream import UpstreamResponse
from tests.gateway.upstream.scripted import (
    CORRELATION_ID,
    GOOD,
    SECRET,
    Clock,
    RecordingObserver,
    Scripted,
    Step,
    UpstreamRequest,
    caller,
    client,
    drip,
    envelope,
    hang,
    http,
    page_query,
    raw,
    reset,
    respond,
    rows,
    sold,
    upstream,
)

FAR = float("inf")
GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


async def test_the_microsoft_example_is_reproduced_exactly() -> None:
    """Path, filter encoding and headers match the page; top, skip, new ids and two transport headers are added."""
    async with upstream(GOOD) as up, client(up.url) as it:
        query = page_query(
            filter=Comparison("customerTenantId", "eq", "0112A436-B14E-4888-967B-CA4BB2CF1234"), top=10000
        )
        await it.call(query, caller("<token>", locale="en-US"), deadline=FAR)
        expected = (
            "GET /partner/v1/analytics/commercial/deployment/license"
            "?filter=customerTenantId%20eq%20%270112A436-B14E-4888-967B-CA4BB2CF1234%27&top=10000&skip=0 HTTP/1.1\r\n"
            f"Host: {up.url.removeprefix('http://')}\r\n"
            "Authorization: Bearer <token>\r\n"
            "Accept: application/json\r\n"
            f"MS-RequestId: {up.requests[0].header('MS-RequestId')}\r\n"
            f"MS-CorrelationId: {CORRELATION_ID}\r\n"
            "X-Locale: en-US\r\n"
            "Accept-Encoding: zstd, br, gzip\r\n"
        )
        assert up.requests[0].raw.decode().startswith(expected)
        assert re.fullmatch(
            r"User-Agent: partner-center-graphql/\S+\r\n\r\n", up.requests[0].raw.decode()[len(expected) :]
        )
        assert re.fullmatch(GUID, up.requests[0].header("MS-RequestId"))


@pytest.mark.parametrize(
    "value", ["A & B #1", "50%27 off", "O'Neil/…?", "a+b=c;d", "\u202eü", "..//../x", "\\ { } ^ ` |"]
)
async def test_the_query_is_sent_verbatim(value: str) -> None:
    """Nothing between the query and the socket encodes it a second time."""
    async with upstream(GOOD) as up, client(up.url, path_prefix="/v1", trailing_slash=True) as it:
        query = page_query(
            filter=Comparison("customerName", "ne", value),
            group_by=("channel", "productName"),
            processed_date_time="2018-10-14T00:00:00",
            skip=7,
        )
        await it.call(query, caller(), deadline=FAR)
        target = f"GET /v1/analytics/commercial/deployment/license/?{query.query_string} HTTP/1.1\r\n"
        assert up.requests[0].raw.decode().startswith(target)


async def test_a_missing_correlation_id_is_generated_and_a_missing_locale_omitted() -> None:
    async with upstream(GOOD) as up, client(up.url) as it:
        await it.call(page_query(), caller(correlation_id="no\r\nguid"), deadline=FAR)
        assert re.fullmatch(GUID, up.requests[0].header("MS-CorrelationId"))
        assert b"x-locale" not in up.requests[0].raw.lower()


async def test_a_refused_token_is_not_sent_again_by_the_calls_that_wait() -> None:
    """They fail with the same error, but calls of another token do not, and neither do later ones."""
    async with upstream(respond(status=401), GOOD) as up, client(up.url, max_concurrency=1) as it:
        calls = [it.call(page_query(skip=skip), caller(), deadline=FAR) for skip in range(50)]
        others = [it.call(page_query(skip=skip), caller("another"), deadline=FAR) for skip in range(2)]
        results = await asyncio.gather(*calls, *others, return_exceptions=True)
        assert {type(result) for result in results[:50]} == {Unauthenticated}
        assert len(set(map(id, results))) == len(results)
        assert [type(result) for result in results[50:]] == [UpstreamResponse] * 2
        assert len(up.requests) == 3
        await it.call(page_query(), caller(), deadline=FAR)


@pytest.mark.parametrize(
    ("status", "error", "retried"),
    [
        (400, UpstreamRejected, False),
        (401, Unauthenticated, False),
        (403, Forbidden, False),
        (404, UpstreamRejected, False),
        (405, UpstreamRejected, False),
        (409, UpstreamRejected, False),
        (418, UpstreamRejected, False),
        (429, RateLimited, False),
        (408, UpstreamUnavailable, True),
        (500, UpstreamUnavailable, True),
        (502, UpstreamUnavailable, True),
        (503, UpstreamUnavailable, True),
        (504, UpstreamUnavailable, True),
        (501, UpstreamUnavailable, False),
        (599, UpstreamUnavailable, False),
        (204, UpstreamBadResponse, False),
        (206, UpstreamBadResponse, False),
        (299, UpstreamBadResponse, False),
        (301, UpstreamRejected, False),
        (302, UpstreamRejected, False),
        (307, UpstreamRejected, False),
        (600, UpstreamBadResponse, False),
        (999, UpstreamBadResponse, False),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html><b>secret</b></html>", b'{"code": 1'])
async def test_every_status_has_its_code_and_number_of_attempts(
    status: int, error: type[GatewayError], retried: bool, body: bytes
) -> None:
    """The body does not matter. Redirects are not followed, and the client recovers as soon as the upstream does."""
    observer = RecordingObserver()
    body = b"" if status == 204 else body
    bad = respond(body, status, {"Location": "http://127.0.0.1:1/elsewhere"})
    attempts = 3 if retried else 1
    async with upstream(*[bad] * attempts, GOOD) as up, client(up.url, observer=observer) as it:
        with pytest.raises(error) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
        assert type(caught.value) is error
        assert caught.value.upstream is not None
        assert caught.value.upstream.status == status
        assert caught.value.upstream.code is None
        assert caught.value.upstream.request_id == up.requests[-1].header("MS-RequestId")
        assert "secret" not in caught.value.message
        assert len(up.requests) == attempts
        assert observer.outcomes == [error.code] * attempts
        assert [call.status for call in observer.calls] == [status] * attempts
        result = await it.call(page_query(), caller("another"), deadline=FAR)
        assert sold(result.rows) == [1, 2]


async def test_calls_are_retried_until_the_upstream_recovers() -> None:
    """Each attempt has its own request id and the same correlation id; pauses grow."""
    clock = Clock()
    bad = respond(status=503)
    async with upstream(bad, bad, GOOD) as up, client(up.url, clock=clock) as it:
        result = await it.call(page_query(), caller(), deadline=FAR)
        assert (result.attempts, len(up.requests)) == (3, 3)
        assert len({request.header("MS-RequestId") for request in up.requests}) == 3
        assert {request.header("MS-CorrelationId") for request in up.requests} == {CORRELATION_ID}
        assert clock.slept == [0.5, 1.0]


BROKEN = {
    "unavailable": respond(status=503),
    "unreadable": respond(b"{"),
    "foreign": respond(envelope(rows(1)), ids={"MS-RequestId": "another", "MS-CorrelationId": "another"}),
    "reset": reset(),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_call_ahead_is_not_retried_unless_somebody_needs_it(broken: Step) -> None:
    ahead = Ahead()

    async def needed_meanwhile(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        ahead.need()
        return await broken(request, writer)

    async with upstream(broken, needed_meanwhile, GOOD) as up, client(up.url) as it:
        with pytest.raises(GatewayError):
            await it.call(page_query(), caller(ahead=ahead), deadline=FAR)
        assert len(up.requests) == 1
        result = await it.call(page_query(), caller(ahead=ahead), deadline=FAR)
        assert (sold(result.rows), result.attempts) == ([1, 2], 2)


async def test_a_retry_beyond_the_deadline_is_not_started() -> None:
    clock = Clock()
    async with upstream(respond(status=503)) as up, client(up.url, clock=clock, random=lambda: 1.0) as it:
        with pytest.raises(UpstreamUnavailable):
            await it.call(page_query(), caller(), deadline=asyncio.get_running_loop().time() + 0.9)
        assert (len(up.requests), clock.slept) == (1, [])


async def test_no_retries_are_made_when_none_are_allowed() -> None:
    async with upstream(respond(status=503)) as up, client(up.url, max_retries=0) as it:
        with pytest.raises(UpstreamUnavailable):
            await it.call(page_query(), caller(), deadline=FAR)
        assert len(up.requests) == 1


async def test_an_upstream_that_does_not_listen_is_unavailable() -> None:
    async with upstream(GOOD) as up:
        pass
    observer = RecordingObserver()
    async with client(up.url, observer=observer) as it:
        with pytest.raises(UpstreamUnavailable) as caught:
            await it.call(page_query(), caller(), deadline=FAR)
    assert observer.outcomes == ["UPSTREAM_UNAVAILABLE"] * 3
    assert "127.0.0.1" not in caught.value.message


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n"


@pytest.mark.parametrize(
    "step",
    [hang(), hang(HEAD), hang(HEAD + b'\r\n{"Value": ['), drip(HEAD * 100), drip(HEAD + b"\r\n" + b" " * 100)],
    ids=["nothing", "half the head", "half the body", "a head byte by byte", "a body byte by byte"],
)
async def test_a_slow_response_times_out_and_is_requested_once_more(step: Any) -> None:
    """The second attempt carries the first one's request id, and both connections are closed."""
    observer = RecordingObserver()
    async with upstream(step) as up, client(up.url, timeout_seconds=0.15, observer=observer) as it:
        started = asyncio.get_running_loop().time()
        with pytest.raises(UpstreamTimeout):
            await it.call(page_query(), caller(), deadline=FAR)
        assert asyncio.get_running_loop().time() - started < 2
        assert len(up.requests) == 2
        assert len({request.header("MS-RequestId") for request in up.requests}) == 1
        assert observer.outcomes == ["UPSTREAM_TIMEOUT"] * 2
        async with asyncio.timeout(5):
            await up.all_closed.wait()


async def test_an_attempt_ends_at_the_deadline_of_its_shared_call() -> None:
    async with upstream(hang()) as up, client(up.url, timeout_seconds=60) as it:
        with pytest.raises(UpstreamTimeout):
            await it.call(page_query(), caller(), deadline=asyncio.get_running_loop().time() + 0.1)
        assert len(up.requests) == 1


@pytest.mark.parametrize("size_bytes", [0, 10, 100_000])
async def test_an_error_whose_body_never_ends_keeps_its_status(size_bytes: int) -> None:
    head = b"HTTP/1.1 401 No\r\nContent-Length: 10000000\r\n\r\n" + b"x" * size_bytes
    async with upstream(hang(head)) as up, client(up.url, timeout_seconds=0.3) as it:
        with pytest.raises(Unauthenticated):
            await it.call(page_query(), caller(), deadline=FAR)
        assert len(up.requests) == 1


async def test_a_throttled_token_fails_without_another_call_until_its_cooldown_ends() -> None:
    """Other tokens are served during the cool-down."""
    clock = Clock()
    async with (
        upstream(respond(status=429, headers={"Retry-After": "57"}), GOOD) as up,
        client(up.url, clock=clock) as it,
    ):
        with pytest.raises(RateLimited) as first:
            await it.call(page_query(), caller(), deadline=FAR)
        assert first.value.retry_after_seconds == 57
        assert first.value.upstream is not None
        clock.now += 56.5
        with pytest.raises(RateLimited) as second:
            await it.call(page_query(), caller(), deadline=FAR)
        assert second.value.extensions() == {"code": "RATE_LIMITED", "retryAfterSeconds": 1}
        assert len(up.requests) == 1
        await it.call(page_query(), caller("another"), deadline=FAR)
        clock.now += 0.5
        await it.call(page_query(), caller(), deadline=FAR)
        assert len(up.requests) == 3


async def test_calls_waiting_for_a_permit_see_the_throttling_too() -> None:
    async with upstream(respond(status=429), GOOD) as up, client(up.url, max_concurrency=1) as it:
        calls = [it.call(page_query(), caller(), deadline=FAR) for _ in range(5)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(result) for result in results] == [RateLimited] * 5
        assert len(up.requests) == 1


class Gate:
    """A step that responds once opened, and counts the requests it holds at once."""

    def __init__(self, expected: int) -> None:
        self.held = 0
        self.most = 0
        self._expected = expected
        self.full = asyncio.Event()
        self.open = asyncio.Event()

    async def __call__(self, request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        self.held += 1
        self.most = max(self.most, self.held)
        if self.held == self._expected:
            self.full.set()
        await self.open.wait()
        self.held -= 1
        return await GOOD(request, writer)


async def test_one_token_never_exceeds_its_concurrency_limit() -> None:
    gate = Gate(4)
    async with upstream(gate) as up, client(up.url, max_concurrency=2) as it:
        names = ["one"] * 5 + ["two"] * 5
        calls = [asyncio.ensure_future(it.call(page_query(), caller(name), deadline=FAR)) for name in names]
        await gate.full.wait()
        assert (
            sorted(request.header("Authorization") for request in up.requests)
            == ["Bearer one"] * 2 + ["Bearer two"] * 2
        )
        gate.open.set()
        await asyncio.gather(*calls)
        assert gate.most <= 4
        assert len(it.limiter) == 0


async def test_many_rows_are_decoded_when_fewer_wait_to_be_rendered_and_few_at_once() -> None:
    backlog = Backlog(max_rows=3_000)
    many = respond(envelope(rows(*range(9_000)), total=9_000))
    async with upstream(many, GOOD) as up, client(up.url, scheduler=Scheduler(backlog=backlog)) as it:
        with backlog.rendering([range(3_000)]):
            waiting = asyncio.ensure_future(it.call(page_query(top=10_000), caller(), deadline=FAR))
            while not up.requests:  # noqa: ASYNC110  # the upstream sets no event
                await asyncio.sleep(0.01)
            await it.call(page_query(), caller(), deadline=FAR)
            await asyncio.sleep(0.2)
            assert not waiting.done()
        assert len((await waiting).rows) == 9_000


async def test_calls_beyond_the_connection_limit_wait_and_then_fail() -> None:
    gate = Gate(2)
    # Tokens that were never accepted share half of the limit.
    async with upstream(gate) as up, client(up.url, max_connections=4) as it:
        calls = [asyncio.ensure_future(it.call(page_query(), caller(name), deadline=FAR)) for name in ("one", "two")]
        await gate.full.wait()
        with pytest.raises(ServiceUnavailable):
            await it.call(page_query(), caller("three"), deadline=asyncio.get_running_loop().time() + 0.05)
        gate.open.set()
        await asyncio.gather(*calls)
        assert len(up.requests) == 2


async def test_calls_of_an_accepted_token_do_not_wait_for_those_of_new_tokens() -> None:
    gate = Gate(2)
    async with upstream(GOOD, gate, gate, GOOD) as up, client(up.url, max_connections=4) as it:
        await it.call(page_query(), caller("accepted"), deadline=FAR)
        calls = [asyncio.ensure_future(it.call(page_query(), caller(str(n)), deadline=FAR)) for n in range(8)]
        await gate.full.wait()
        await it.call(page_query(), caller("accepted"), deadline=FAR)
        assert len(up.requests) == 4
        gate.open.set()
        await asyncio.gather(*calls)


async def test_a_call_times_out_while_its_token_is_at_the_limit() -> None:
    gate = Gate(1)
    async with upstream(gate) as up, client(up.url, max_concurrency=1) as it:
        call = asyncio.ensure_future(it.call(page_query(), caller(), deadline=FAR))
        await gate.full.wait()
        with pytest.raises(DeadlineExceeded):
            await it.call(page_query(), caller(), deadline=asyncio.get_running_loop().time() + 0.05)
        gate.open.set()
        await call


async def test_a_canceled_call_closes_its_connection_and_releases_its_permit() -> None:
    gate = Gate(1)
    async with upstream(gate) as up, client(up.url, max_concurrency=1) as it:
        call = asyncio.ensure_future(it.call(page_query(), caller(), deadline=FAR))
        await gate.full.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            await up.all_closed.wait()
        gate.open.set()
        await it.call(page_query(), caller(), deadline=FAR)
        assert len(it.limiter) == 0


async def test_no_cookie_of_one_caller_is_sent_with_anothers_token() -> None:
    async with upstream(respond(envelope([]), headers={"Set-Cookie": "who=one; Path=/"})) as up, client(up.url) as it:
        await it.call(page_query(), caller("one"), deadline=FAR)
        await it.call(page_query(), caller("two"), deadline=FAR)
        assert b"cookie" not in up.requests[1].raw.lower()


@pytest.mark.parametrize("step", [GOOD, respond(status=401), raw(b"garbage\r\n\r\n"), reset(), respond(b"{")])
async def test_the_token_is_nowhere_but_in_the_request(step: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The token is absent from logs, errors and every request object that outlives the call."""
    caplog.set_level(logging.DEBUG)
    gc.collect()
    gc.disable()
    try:
        async with upstream(step) as up, client(up.url) as it:
            [error] = await asyncio.gather(it.call(page_query(), caller(), deadline=FAR), return_exceptions=True)
            if isinstance(error, GatewayError):
                text = "".join(traceback.format_exception(error))
                assert SECRET not in text + repr(error) + json.dumps(error.extensions())
                assert (error.__cause__, error.__context__) == (None, None)
            # From Python 3.13 on, tracebacks of the libraries hold requests in cycles until the garbage collector runs.
            if sys.version_info >= (3, 13):
                gc.collect()
            left = [it for it in gc.get_objects() if isinstance(it, httpx.Request | httpcore.Request)]
            assert not left
            assert SECRET not in caplog.text
            assert "/analytics" not in caplog.text
    finally:
        gc.enable()


async def test_an_embedded_application_serves_as_the_upstream() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
        await send(start)
        await send({"type": "http.response.body", "body": json.dumps(envelope(rows(1), 1)).encode()})

    async with client("http://sandbox", transport=httpx.ASGITransport(app)) as it:
        query = page_query(filter=Comparison("customerName", "eq", "Ü & Co"))
        result = await it.call(query, caller(), deadline=FAR)
    assert sold(result.rows) == [1]
    assert seen[0]["query_string"].decode() == query.query_string
    assert seen[0]["path"] == "/partner/v1/analytics/commercial/deployment/license"


async def test_a_query_too_long_for_a_url_fails_without_a_call() -> None:
    async with upstream(GOOD) as up, client(up.url) as it:
        with pytest.raises(UpstreamRejected):
            await it.call(page_query(filter=Comparison("customerName", "eq", "x" * 70_000)), caller(), deadline=FAR)
        assert not up.requests


def test_the_tests_use_a_scripted_upstream() -> None:
    """The helpers speak HTTP."""
    assert http(200, {"A": "b"}, b"xy") == b"HTTP/1.1 200 Whatever\r\nA: b\r\nContent-Length: 2\r\n\r\nxy"
    assert Scripted(GOOD).requests == []
