"""Upstream connections that are slow, closed early, garbled, or carry extra responses."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults.harness import ATTEMPT_SECONDS, HERE, LEAK, Harness, check_fault
from tests.gateway.upstream.scripted import (
    GOOD,
    Step,
    UpstreamRequest,
    drip,
    echo,
    envelope,
    hang,
    http,
    raw,
    reset,
    respond,
    rows,
)
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import StartGateway

OK = b"HTTP/1.1 200 OK\r\n"
HEAD = OK + b"Content-Length: 100\r\n"
OTHERS = {"MS-RequestId": str(uuid.UUID(int=1)), "MS-CorrelationId": str(uuid.UUID(int=2))}
STALE = envelope(rows(666), 1)


def after_head(then: Callable[[bytes], Step], rest: bytes) -> Step:
    """Send a head with the request's ids, so that the response is accepted, and continue with ``then``."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        ids = "".join(f"{name}: {value}\r\n" for name, value in echo(request).items())
        return await then(OK + ids.encode() + rest)(request, writer)

    return step


LENGTH = b"Content-Length: 100\r\n"
SLOW = {
    "nothing": hang(),
    "a head without a body": after_head(hang, LENGTH + b"\r\n"),
    "half a body": after_head(hang, LENGTH + b'\r\n{"Value": ['),
    "a head byte by byte": drip(HEAD * 100),
    "a body byte by byte": after_head(drip, LENGTH + b"\r\n" + b" " * 100),
    "endless interim responses": drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
    "endless chunks": after_head(drip, b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100),
}


def test_slow_responses_time_out_without_delaying_other_tokens(harness: Harness) -> None:
    """Seven slow responses at once, each for another token."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        list(pool.map(lambda step: check_fault(harness, step, "UPSTREAM_TIMEOUT", calls=2), SLOW.values()))


def test_the_operation_deadline_covers_all_attempts(harness: Harness) -> None:
    """Six fields of one token share four slots; each waits for at most two attempts, including the queue."""
    token = harness.token(hang())
    fields = " ".join(
        f"a{number}: licenseDeployments(offset: {number + 1}0000) {{ totalCount }}" for number in range(6)
    )
    response = harness.post(token, f"{{ {fields} }}")
    codes = {error["extensions"]["code"] for error in response.json()["errors"]}
    assert codes <= {"UPSTREAM_TIMEOUT", "DEADLINE_EXCEEDED"}
    assert response.elapsed.total_seconds() < 5 + 4 * ATTEMPT_SECONDS


BROKEN: dict[str, tuple[Step, str]] = {
    "closed": (raw(b""), "UPSTREAM_UNAVAILABLE"),
    "reset": (reset(), "UPSTREAM_UNAVAILABLE"),
    "cut in the head": (raw(b"HTTP/1.1 200 OK\r\nConte"), "UPSTREAM_UNAVAILABLE"),
    "cut in the body": (raw(HEAD + b"\r\n{"), "UPSTREAM_BAD_RESPONSE"),
    "a bad chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"), "UPSTREAM_BAD_RESPONSE"),
    "a cut chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
    "no last chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "UPSTREAM_BAD_RESPONSE"),
    "garbage": (raw(b"\x00\xff " + LEAK.encode() + b"\r\n\r\n"), "UPSTREAM_BAD_RESPONSE"),
    "another protocol": (raw(b"SSH-2.0-" + LEAK.encode() + b"\r\n"), "UPSTREAM_UNAVAILABLE"),
    "two lengths": (raw(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
    "a negative length": (raw(OK + b"Content-Length: -1\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
    "a length that is not a number": (raw(OK + b"Content-Length: 0x10\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
    "fewer bytes than Content-Length": (raw(OK + b"Content-Length: 9\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_response_is_retried_once_and_then_an_error(harness: Harness, name: str) -> None:
    step, code = BROKEN[name]
    check_fault(harness, step, code, calls=2)


@pytest.mark.parametrize("name", BROKEN)
def test_a_retry_on_a_new_connection_hides_one_broken_response(harness: Harness, name: str) -> None:
    token = harness.token(BROKEN[name][0], GOOD)
    assert harness.sold(token) == [1, 2]
    first, second = harness.upstream.requests_of(token)
    assert first.connection != second.connection


def test_the_pool_stays_usable_after_broken_responses(harness: Harness) -> None:
    """Send more broken responses than the pool has connections; then good ones share a few connections."""
    for _ in range(3):
        for step, _code in BROKEN.values():
            harness.post(harness.token(step))
    tokens = [harness.token(GOOD) for _ in range(10)]
    for token in tokens:
        assert harness.sold(token) == [1, 2]
    assert len({harness.upstream.requests_of(token)[0].connection for token in tokens}) <= 3


def test_an_upstream_that_does_not_listen_is_unavailable(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream_url="http://127.0.0.1:9", upstream_max_retries=0)
    for token in ("one", "two"):
        response = gateway.post("{ licenseDeployments { totalCount } }", token)
        check_error(response, "UPSTREAM_UNAVAILABLE", path=HERE)
    assert gateway.client.get("/readyz").status_code == 200


def with_extra_response(status: int, ids: dict[str, str]) -> Step:
    """Send a good response with another one directly after it."""

    async def step(request: UpstreamRequest, writer: asyncio.StreamWriter) -> bool:
        good = http(200, echo(request), json.dumps(envelope(rows(1, 2), 2)).encode())
        writer.write(good + http(status, ids, json.dumps(STALE).encode()))
        return True

    return step


@pytest.mark.parametrize(
    ("status", "ids"),
    [(200, OTHERS), (401, OTHERS), (500, OTHERS), (200, {})],
    ids=["rows", "a refusal", "a failure", "rows without ids"],
)
def test_an_extra_response_on_a_connection_never_reaches_the_next_caller(
    harness: Harness, status: int, ids: dict[str, str]
) -> None:
    for _ in range(5):
        assert harness.sold(harness.token(with_extra_response(status, ids))) == [1, 2]


def test_a_foreign_response_is_refused_and_its_connection_closed(harness: Harness) -> None:
    for _ in range(2):
        harness.sold(harness.token(GOOD))
    token = harness.token(respond(STALE, ids=OTHERS), GOOD)
    assert harness.sold(token) == [1, 2]
    first, second = harness.upstream.requests_of(token)
    assert first.connection != second.connection


def test_a_response_without_ids_is_accepted(harness: Harness) -> None:
    assert harness.sold(harness.token(respond(envelope(rows(5), 1), ids={}))) == [5]
