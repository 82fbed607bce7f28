"""Connections to the upstream that are slow, cut, garbled, or carry more than was asked for."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.faults.bench import ATTEMPT_SECONDS, HERE, LEAK, Bench, check_fault
from tests.gateway.upstream.scripted import (
    GOOD,
    Asked,
    Step,
    drip,
    echo,
    envelope,
    hang,
    http,
    raw,
    reply,
    reset,
    rows,
)
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from tests.conftest import StartGateway

OK = b"HTTP/1.1 200 OK\r\n"
HEAD = OK + b"Content-Length: 100\r\n"
OTHERS = {"MS-RequestId": str(uuid.UUID(int=1)), "MS-CorrelationId": str(uuid.UUID(int=2))}
STALE = envelope(rows(666), 1)


def begun(then: Callable[[bytes], Step], rest: bytes) -> Step:
    """Goes on from a head with the request's ids, so that the reply is taken for its own."""

    async def step(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        ids = "".join(f"{name}: {value}\r\n" for name, value in echo(asked).items())
        return await then(OK + ids.encode() + rest)(asked, writer)

    return step


LENGTH = b"Content-Length: 100\r\n"
SLOW = {
    "nothing": hang(),
    "a head and nothing": begun(hang, LENGTH + b"\r\n"),
    "half a body": begun(hang, LENGTH + b'\r\n{"Value": ['),
    "a head byte by byte": drip(HEAD * 100),
    "a body byte by byte": begun(drip, LENGTH + b"\r\n" + b" " * 100),
    "endless interim replies": drip(b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
    "endless chunks": begun(drip, b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100),
}


def test_a_slow_reply_ends_at_the_total_limit_and_all_at_once_harm_nobody(bench: Bench) -> None:
    """Seven at a time: each its own token's trouble, none another's."""
    with ThreadPoolExecutor(len(SLOW)) as pool:
        list(pool.map(lambda step: check_fault(bench, step, "UPSTREAM_TIMEOUT", calls=2), SLOW.values()))


def test_the_deadline_of_the_operation_bounds_all_attempts_together(bench: Bench) -> None:
    """Six fields of one token have four places; none waits longer than two attempts, queue included."""
    token = bench.token(hang())
    fields = " ".join(
        f"a{number}: licenseDeployments(offset: {number + 1}0000) {{ totalCount }}" for number in range(6)
    )
    response = bench.post(token, f"{{ {fields} }}")
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
    "a length that is none": (raw(OK + b"Content-Length: 0x10\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
    "less than it says": (raw(OK + b"Content-Length: 9\r\n\r\n{}"), "UPSTREAM_BAD_RESPONSE"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_reply_is_asked_for_once_more_on_a_fresh_connection_and_then_coded(bench: Bench, name: str) -> None:
    step, code = BROKEN[name]
    check_fault(bench, step, code, calls=2)


@pytest.mark.parametrize("name", BROKEN)
def test_a_reply_that_breaks_once_is_not_noticed(bench: Bench, name: str) -> None:
    token = bench.token(BROKEN[name][0], GOOD)
    assert bench.sold(token) == [1, 2]
    first, second = bench.upstream.asked_by(token)
    assert first.connection != second.connection


def test_the_pool_stays_healthy_through_all_of_them(bench: Bench) -> None:
    """More broken replies than connections are kept; then good ones share a few connections."""
    for _ in range(3):
        for step, _code in BROKEN.values():
            bench.post(bench.token(step))
    tokens = [bench.token(GOOD) for _ in range(10)]
    for token in tokens:
        assert bench.sold(token) == [1, 2]
    assert len({bench.upstream.asked_by(token)[0].connection for token in tokens}) <= 3


def test_an_upstream_that_does_not_listen_is_unavailable(start_gateway: StartGateway) -> None:
    gateway = start_gateway(upstream_url="http://127.0.0.1:9", upstream_max_retries=0)
    for token in ("one", "two"):
        response = gateway.post("{ licenseDeployments { totalCount } }", token)
        check_error(response, "UPSTREAM_UNAVAILABLE", path=HERE)
    assert gateway.client.get("/readyz").status_code == 200


def with_extra(status: int, ids: dict[str, str]) -> Step:
    """A good reply with another one glued behind it."""

    async def step(asked: Asked, writer: asyncio.StreamWriter) -> bool:
        good = http(200, echo(asked), json.dumps(envelope(rows(1, 2), 2)).encode())
        writer.write(good + http(status, ids, json.dumps(STALE).encode()))
        return True

    return step


@pytest.mark.parametrize(
    ("status", "ids"),
    [(200, OTHERS), (401, OTHERS), (500, OTHERS), (200, {})],
    ids=["rows", "a refusal", "a failure", "rows without ids"],
)
def test_an_extra_reply_in_the_stream_is_never_given_to_the_next_caller(
    bench: Bench, status: int, ids: dict[str, str]
) -> None:
    for _ in range(5):
        assert bench.sold(bench.token(with_extra(status, ids))) == [1, 2]


def test_a_foreign_reply_is_refused_and_its_connection_closed(bench: Bench) -> None:
    for _ in range(2):
        bench.sold(bench.token(GOOD))
    token = bench.token(reply(STALE, ids=OTHERS), GOOD)
    assert bench.sold(token) == [1, 2]
    first, second = bench.upstream.asked_by(token)
    assert first.connection != second.connection


def test_a_reply_without_ids_is_accepted(bench: Bench) -> None:
    assert bench.sold(bench.token(reply(envelope(rows(5), 1), ids={}))) == [5]
