"""Upstream responses other than rows: error statuses, odd headers, bodies that are not a page."""

from __future__ import annotations

import gzip
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import brotli
import pytest
import zstandard

from tests.faults.harness import LEAK, PATH, Harness, check_fault, check_no_leak
from tests.gateway.upstream.scripted import GOOD, Step, envelope, respond, rows
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from collections.abc import Callable

BODIES: dict[str, Any] = {
    "json": {"code": LEAK * 4, "description": f"{LEAK} at http://10.0.0.1/{LEAK}", "error": {"message": LEAK}},
    "html": f"<html><title>{LEAK}</title>".encode(),
    "empty": b"",
}

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "br": brotli.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize(
    ("status", "code", "http_status", "calls"),
    [
        (400, "UPSTREAM_REJECTED", 200, 1),
        (401, "UNAUTHENTICATED", 401, 1),
        (403, "FORBIDDEN", 200, 1),
        (404, "UPSTREAM_REJECTED", 200, 1),
        (409, "UPSTREAM_REJECTED", 200, 1),
        *((status, "UPSTREAM_UNAVAILABLE", 200, 2) for status in (408, 500, 502, 503, 504)),
        (501, "UPSTREAM_UNAVAILABLE", 200, 1),
        (599, "UPSTREAM_UNAVAILABLE", 200, 1),
        (206, "UPSTREAM_BAD_RESPONSE", 200, 1),
        (299, "UPSTREAM_BAD_RESPONSE", 200, 1),
        (999, "UPSTREAM_BAD_RESPONSE", 200, 1),
    ],
)
def test_each_status_has_its_error_code_and_number_of_attempts(
    harness: Harness, status: int, code: str, http_status: int, calls: int
) -> None:
    def check(body: Any) -> None:
        step = respond(body, status, {"Server": LEAK, "X-Why": LEAK})
        assert check_fault(harness, step, code, http_status, calls)["upstream"]["status"] == status

    with ThreadPoolExecutor(len(BODIES)) as pool:
        list(pool.map(check, BODIES.values()))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_drops_the_cached_pages_of_its_token_only(harness: Harness, status: int) -> None:
    token, other = harness.token(GOOD), harness.token(GOOD)
    for caller in (token, other, token, other):
        assert harness.sold(caller) == [1, 2]
    assert (harness.calls(token), harness.calls(other)) == (1, 1)
    harness.upstream.script(token, respond(status=status), GOOD)
    response = harness.post(token, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
    assert response.json()["data"] == {"licenseDeployments": None}
    assert (harness.sold(token), harness.sold(other)) == ([1, 2], [1, 2])
    assert (harness.calls(token), harness.calls(other)) == (3, 1)


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("17", (17, 17)),
        ("in 100 seconds", (60, 100)),
        ("100 seconds ago", (1, 30)),
        ("99999999999999999999", (600, 600)),
        ("0", (1, 1)),
        ("-5", (30, 30)),
        ("1.5e3 soon", (30, 30)),
        ("", (30, 30)),
        (None, (30, 30)),
    ],
)
def test_a_cool_down_applies_to_the_throttled_token_only(
    harness: Harness, retry_after: str | None, seconds: tuple[int, int]
) -> None:
    moved_seconds = {"in 100 seconds": 100, "100 seconds ago": -100}.get(retry_after or "")
    if moved_seconds is not None:
        retry_after = formatdate(time.time() + moved_seconds, usegmt=True)
    step = respond(BODIES["json"], 429, {} if retry_after is None else {"Retry-After": retry_after})
    wait = check_fault(harness, step, "RATE_LIMITED", 429)["retryAfterSeconds"]
    assert seconds[0] <= wait <= seconds[1]


def test_upstream_calls_resume_only_after_the_cool_down(harness: Harness) -> None:
    token = harness.token(respond(status=429, headers={"Retry-After": "1"}), GOOD)
    calls, tries = [], 0
    while True:
        before = harness.calls(token)
        response = harness.post(token)
        if response.status_code == 200:
            break
        tries += 1
        calls.append(harness.calls(token) - before)
        assert response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert tries < 10_000
        threading.Event().wait(0.05)
    assert (sum(calls), harness.calls(token)) == (1, 2)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_is_not_followed(harness: Harness, bystander: tuple[str, Any], status: int) -> None:
    url, server = bystander
    check_fault(harness, respond(b"", status, {"Location": f"{url}/{LEAK}"}), "UPSTREAM_REJECTED")
    assert server.connections == 0


def test_a_cookie_is_neither_sent_back_nor_passed_on(harness: Harness) -> None:
    good = envelope(rows(1, 2), 2)
    token = harness.token(respond(good, headers={"Set-Cookie": f"session={LEAK}; Path=/", "X-Anything": LEAK}))
    check_no_leak(harness, harness.post(token), token)
    others = [token, harness.token(GOOD), harness.token(GOOD)]
    for other in others:
        harness.post(other, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
        assert not any(b"cookie" in request.raw.lower() for request in harness.upstream.requests_of(other))


ROW = b'{"serviceCode": "crm", "licensesSold": %s}'


def page(row: bytes = ROW % b"1", rest: bytes = b"") -> bytes:
    """Return a page of one row, as bytes."""
    return b'{"Value": [' + row + b'], "TotalCount": 1' + rest + b"}"


UNREADABLE: dict[str, bytes] = {
    "cut": page()[:-1],
    "trailing": page() + b"}",
    "two documents": page() * 2,
    "a number": b"42",
    "a string": json.dumps(LEAK).encode(),
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "deep": b'{"Value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "NaN": page(ROW % b"NaN"),
    "Infinity": page(ROW % b"-Infinity"),
    "thousands of digits": page(ROW % (b"9" * 6_000)),
    "bad UTF-8": page(b'{"serviceCode": "\xff\xfe"}'),
    "UTF-16": page().decode().encode("utf-16"),
    "a page of HTML": f"<html>{LEAK}".encode(),
    "nothing": b"",
    "whitespace": b" " * 1000,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_body_is_retried_once_and_then_an_error(harness: Harness, name: str) -> None:
    check_fault(harness, respond(UNREADABLE[name]), "UPSTREAM_BAD_RESPONSE", calls=2)


@pytest.mark.parametrize(
    ("body", "headers", "sold"),
    [
        (b"\xef\xbb\xbf" + page(), {}, 1),
        (page(), {"Content-Type": "text/html"}, 1),
        (page(), {"Content-Type": f";;{LEAK}"}, 1),
        (b" \r\n\t" + page() + b"\n", {}, 1),
        (page(ROW % b"1" + b"," + ROW % b"1"), {}, 1),
        (page(b'{"licensesSold": 7, "licensesSold": 8}'), {}, 8),
        (page(rest=b', "deep": ' + b"[" * 200 + b"]" * 200), {}, 1),
        (page(rest=b', "huge": ' + b"9" * 6_000), {}, 1),
        (page(b'{"licensesSold": 1, "unheard-of": {"%s": [1]}}' % LEAK.encode()), {}, 1),
    ],
    ids=["BOM", "HTML type", "no type", "whitespace", "duplicate row", "duplicate key", "deep", "digits", "new key"],
)
def test_an_unusual_but_harmless_body_is_read(
    harness: Harness, body: bytes, headers: dict[str, str], sold: int
) -> None:
    token = harness.token(respond(body, headers=headers))
    response = harness.post(token)
    assert "errors" not in response.json(), response.text
    assert response.json()["data"]["licenseDeployments"]["nodes"][0]["licensesSold"] == sold
    check_no_leak(harness, response, token)


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_compressed_body_is_read(harness: Harness, encoding: str) -> None:
    body = json.dumps(envelope(rows(1, 2), 2)).encode()
    token = harness.token(respond(COMPRESSORS[encoding](body), headers={"Content-Encoding": encoding}))
    assert harness.sold(token) == [1, 2]
    assert encoding in harness.upstream.requests_of(token)[0].header("Accept-Encoding")


def compressed(encoding: str, body: bytes) -> Step:
    """Return a step that sends ``body`` unchanged with a Content-Encoding."""
    return respond(body, headers={"Content-Encoding": encoding})


BOMB = b" " * 5_000_000


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_decompression_bomb_is_cut_off(harness: Harness, encoding: str) -> None:
    check_fault(harness, compressed(encoding, COMPRESSORS[encoding](BOMB)), "UPSTREAM_BAD_RESPONSE")


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_nested_compression_is_refused(harness: Harness, encoding: str) -> None:
    pack = COMPRESSORS[encoding]
    check_fault(harness, compressed(f"{encoding}, {encoding}", pack(pack(page()))), "UPSTREAM_BAD_RESPONSE")


@pytest.mark.parametrize("encoding", COMPRESSORS)
def test_a_truncated_compressed_body_is_retried_once(harness: Harness, encoding: str) -> None:
    check_fault(harness, compressed(encoding, COMPRESSORS[encoding](page())[:-2]), "UPSTREAM_BAD_RESPONSE", calls=2)


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        (respond(b" " * 1_000_000), 1),
        (compressed("sdch", page()), 1),
        (respond(page(), headers={f"X-{number}": "y" for number in range(20_000)}), 2),
        (respond(page(), headers={"X-Long": "y" * 300_000}), 2),
    ],
    ids=["a huge body", "unknown encoding", "thousands of headers", "a long header"],
)
def test_an_oversized_response_is_cut_off(harness: Harness, step: Step, calls: int) -> None:
    check_fault(harness, step, "UPSTREAM_BAD_RESPONSE", calls=calls)


def test_every_request_goes_to_the_one_path_with_the_token_in_one_header(harness: Harness) -> None:
    token = harness.token(respond(status=500), GOOD)
    harness.sold(token)
    for request in harness.upstream.requests_of(token):
        assert request.raw.startswith(b"GET " + PATH + b"?")
        assert request.raw.count(token.encode()) == 1


def test_a_failure_is_never_an_empty_success(harness: Harness) -> None:
    response = harness.post(harness.token(respond(b"{}")))
    check_error(response, "UPSTREAM_BAD_RESPONSE")
