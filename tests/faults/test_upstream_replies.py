"""What an upstream may answer instead of rows: statuses, headers, bodies that are no page."""

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

from tests.faults.bench import LEAK, PATH, Bench, check_fault, check_silence
from tests.gateway.upstream.scripted import GOOD, Step, envelope, reply, rows
from tests.schema.http.responses import check_error

if TYPE_CHECKING:
    from collections.abc import Callable

BODIES: dict[str, Any] = {
    "json": {"code": LEAK * 4, "description": f"{LEAK} at http://10.0.0.1/{LEAK}", "error": {"message": LEAK}},
    "html": f"<html><title>{LEAK}</title>".encode(),
    "empty": b"",
}

PACK: dict[str, Callable[[bytes], bytes]] = {
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
def test_a_status_is_coded_and_tried_as_often_as_it_deserves(
    bench: Bench, status: int, code: str, http_status: int, calls: int
) -> None:
    def check(body: Any) -> None:
        step = reply(body, status, {"Server": LEAK, "X-Why": LEAK})
        assert check_fault(bench, step, code, http_status, calls)["upstream"]["status"] == status

    with ThreadPoolExecutor(len(BODIES)) as pool:
        list(pool.map(check, BODIES.values()))


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_drops_what_is_kept_for_the_token_and_for_no_other(bench: Bench, status: int) -> None:
    token, other = bench.token(GOOD), bench.token(GOOD)
    for kept in (token, other, token, other):
        assert bench.sold(kept) == [1, 2]
    assert (bench.calls(token), bench.calls(other)) == (1, 1)
    bench.upstream.script(token, reply(status=status), GOOD)
    response = bench.post(token, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
    assert response.json()["data"] == {"licenseDeployments": None}
    assert (bench.sold(token), bench.sold(other)) == ([1, 2], [1, 2])
    assert (bench.calls(token), bench.calls(other)) == (3, 1)


@pytest.mark.parametrize(
    ("given", "seconds"),
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
def test_a_throttled_token_waits_and_no_other_does(bench: Bench, given: str | None, seconds: tuple[int, int]) -> None:
    moved_seconds = {"in 100 seconds": 100, "100 seconds ago": -100}.get(given or "")
    if moved_seconds is not None:
        given = formatdate(time.time() + moved_seconds, usegmt=True)
    step = reply(BODIES["json"], 429, {} if given is None else {"Retry-After": given})
    wait = check_fault(bench, step, "RATE_LIMITED", 429)["retryAfterSeconds"]
    assert seconds[0] <= wait <= seconds[1]


def test_no_call_is_made_before_the_cool_down_has_passed_and_calls_are_made_afterwards(bench: Bench) -> None:
    token = bench.token(reply(status=429, headers={"Retry-After": "1"}), GOOD)
    asked, tries = [], 0
    while True:
        before = bench.calls(token)
        response = bench.post(token)
        if response.status_code == 200:
            break
        tries += 1
        asked.append(bench.calls(token) - before)
        assert response.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert tries < 10_000
        threading.Event().wait(0.05)
    assert (sum(asked), bench.calls(token)) == (1, 2)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_is_not_followed(bench: Bench, bystander: tuple[str, Any], status: int) -> None:
    url, server = bystander
    check_fault(bench, reply(b"", status, {"Location": f"{url}/{LEAK}"}), "UPSTREAM_REJECTED")
    assert server.connections == 0


def test_a_cookie_is_neither_sent_back_nor_passed_on(bench: Bench) -> None:
    good = envelope(rows(1, 2), 2)
    token = bench.token(reply(good, headers={"Set-Cookie": f"session={LEAK}; Path=/", "X-Anything": LEAK}))
    check_silence(bench, bench.post(token), token)
    others = [token, bench.token(GOOD), bench.token(GOOD)]
    for other in others:
        bench.post(other, "{ licenseDeployments(groupBy: [CHANNEL]) { totalCount } }")
        assert not any(b"cookie" in asked.raw.lower() for asked in bench.upstream.asked_by(other))


ROW = b'{"serviceCode": "crm", "licensesSold": %s}'


def page(row: bytes = ROW % b"1", rest: bytes = b"") -> bytes:
    """A page of one row, as bytes."""
    return b'{"Value": [' + row + b'], "TotalCount": 1' + rest + b"}"


UNREADABLE: dict[str, bytes] = {
    "cut": page()[:-1],
    "trailing": page() + b"}",
    "two documents": page() * 2,
    "a number": b"42",
    "a text": json.dumps(LEAK).encode(),
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
    "blanks": b" " * 1000,
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_body_that_cannot_be_read_is_asked_for_once_more_and_then_coded(bench: Bench, name: str) -> None:
    check_fault(bench, reply(UNREADABLE[name]), "UPSTREAM_BAD_RESPONSE", calls=2)


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
    ids=["BOM", "HTML type", "no type", "blanks", "twice the row", "twice a key", "deep", "digits", "new key"],
)
def test_a_body_that_is_odd_but_harmless_is_read(bench: Bench, body: bytes, headers: dict[str, str], sold: int) -> None:
    token = bench.token(reply(body, headers=headers))
    response = bench.post(token)
    assert "errors" not in response.json(), response.text
    assert response.json()["data"]["licenseDeployments"]["nodes"][0]["licensesSold"] == sold
    check_silence(bench, response, token)


@pytest.mark.parametrize("encoding", PACK)
def test_a_packed_body_is_read(bench: Bench, encoding: str) -> None:
    body = json.dumps(envelope(rows(1, 2), 2)).encode()
    token = bench.token(reply(PACK[encoding](body), headers={"Content-Encoding": encoding}))
    assert bench.sold(token) == [1, 2]
    assert encoding in bench.upstream.asked_by(token)[0].header("Accept-Encoding")


def packed(encoding: str, body: bytes) -> Step:
    """Answers with ``body`` as it is, and says that it is packed."""
    return reply(body, headers={"Content-Encoding": encoding})


BOMB = b" " * 5_000_000


@pytest.mark.parametrize("encoding", PACK)
def test_a_bomb_is_cut_off(bench: Bench, encoding: str) -> None:
    check_fault(bench, packed(encoding, PACK[encoding](BOMB)), "UPSTREAM_BAD_RESPONSE")


@pytest.mark.parametrize("encoding", PACK)
def test_packing_inside_packing_is_refused_unread(bench: Bench, encoding: str) -> None:
    pack = PACK[encoding]
    check_fault(bench, packed(f"{encoding}, {encoding}", pack(pack(page()))), "UPSTREAM_BAD_RESPONSE")


@pytest.mark.parametrize("encoding", PACK)
def test_a_packed_body_without_its_end_is_asked_for_once_more(bench: Bench, encoding: str) -> None:
    check_fault(bench, packed(encoding, PACK[encoding](page())[:-2]), "UPSTREAM_BAD_RESPONSE", calls=2)


@pytest.mark.parametrize(
    ("step", "calls"),
    [
        (reply(b" " * 1_000_000), 1),
        (packed("sdch", page()), 1),
        (reply(page(), headers={f"X-{number}": "y" for number in range(20_000)}), 2),
        (reply(page(), headers={"X-Long": "y" * 300_000}), 2),
    ],
    ids=["a huge body", "unknown packing", "thousands of headers", "a long header"],
)
def test_what_would_fill_the_memory_is_cut_off(bench: Bench, step: Step, calls: int) -> None:
    check_fault(bench, step, "UPSTREAM_BAD_RESPONSE", calls=calls)


def test_every_request_goes_to_the_one_path_with_the_token_in_one_header(bench: Bench) -> None:
    token = bench.token(reply(status=500), GOOD)
    bench.sold(token)
    for asked in bench.upstream.asked_by(token):
        assert asked.raw.startswith(b"GET " + PATH + b"?")
        assert asked.raw.count(token.encode()) == 1


def test_no_failure_is_told_as_an_empty_success(bench: Bench) -> None:
    response = bench.post(bench.token(reply(b"{}")))
    check_error(response, "UPSTREAM_BAD_RESPONSE")
