"""Retry-After, pauses, cool-downs, error codes and the table of library errors."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access_token import AccessToken
from gateway.errors import GatewayError, RateLimited, Unauthenticated, UpstreamRejected, UpstreamUnavailable
from gateway.upstream.concurrency import ConcurrencyLimiter
from gateway.upstream.cooldown import CALM_SECONDS, Cooldowns
from gateway.upstream.retry import Retries, Retry, retry_after_seconds
from gateway.upstream.status import error_code
from gateway.upstream.transport import LIBRARY_ERRORS, failure_of
from tests.gateway.upstream.scripted import Clock, caller, client, page_query, respond, upstream

NOW = 1_540_420_638.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("57", 57),
        (" 57 ", 57),
        ("0", 1),
        ("600", 600),
        ("601", 600),
        ("9" * 5000, 600),
        (None, 30),
        ("", 30),
        ("-5", 30),
        ("1.5", 30),
        ("soon", 30),
        ("5, 6", 30),
        ("\u0665", 30),
        ("1e3", 30),
        (formatdate(NOW + 90, usegmt=True), 90),
        (formatdate(NOW - 90, usegmt=True), 1),
        (formatdate(NOW + 10**6, usegmt=True), 600),
        ("Wednesday, 24-Oct-18 22:38:18 GMT", 60),
        ("Wed, 99 Oct 2018 22:37:18 GMT", 30),
        ("Wed, 99999999999999999999 Oct 2018 22:37:18 GMT", 30),
        ("Wed, 24 Oct 2018 22:37:18 +99999999999999999999", 30),
        ("24 Oct 2018 99999999999999999999:0:0 +0000", 30),
    ],
)
def test_retry_after_is_read_in_every_form_and_clamped(value: str | None, seconds: int) -> None:
    assert retry_after_seconds(value, NOW) == seconds


@given(st.text(max_size=60))
def test_every_retry_after_is_clamped(value: str) -> None:
    assert 1 <= retry_after_seconds(value, NOW) <= 600


@pytest.mark.parametrize("value", ["120", "junk", "-1", "999999999999"])
async def test_the_error_for_a_throttled_caller_has_the_time_to_wait(value: str) -> None:
    body = b'{ "statusCode": 429, "message": "Rate limit is exceeded. Try again in 57 seconds." }'
    async with (
        upstream(respond(body, 429, {"Retry-After": value})) as up,
        client(up.url, clock=Clock(NOW)) as it,
    ):
        with pytest.raises(RateLimited) as caught:
            await it.call(page_query(), caller(), deadline=float("inf"))
        assert caught.value.facts["retryAfterSeconds"] == {"120": 120, "junk": 30, "-1": 30}.get(value, 600)
        assert caught.value.upstream is not None
        assert caught.value.upstream.code == 429


def test_pauses_grow_to_a_cap_and_have_full_jitter() -> None:
    retries = Retries(8, lambda: 1.0)
    assert [retries.pause_seconds(Retry.BACKOFF) for _ in range(9)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0, 8.0, 8.0, None]
    assert Retries(1, lambda: 0.0).pause_seconds(Retry.BACKOFF) == 0.0


@pytest.mark.parametrize("kind", [Retry.ONCE, Retry.TIMEOUT, Retry.FOREIGN])
def test_kinds_of_failure_without_backoff_are_retried_once_without_a_pause(kind: Retry) -> None:
    retries = Retries(8, lambda: 1.0)
    assert [retries.pause_seconds(kind) for _ in range(2)] == [0.0, None]


def test_the_longest_cooldown_of_a_token_applies_and_the_number_of_cooldowns_is_bounded() -> None:
    clock = Clock(0.0)
    cooldowns = Cooldowns(clock, max_cooldowns=10)
    cooldowns.start(b"first", 500)
    cooldowns.start(b"first", 5)
    for number in range(1000):
        cooldowns.start(b"%d" % number, 30 + number % 7)
        assert len(cooldowns) <= 10
    with pytest.raises(RateLimited) as caught:
        cooldowns.require_passed(b"first")
    assert caught.value.retry_after_seconds == 500
    clock.now = 500.0
    cooldowns.require_passed(b"first")
    cooldowns.require_passed(b"unknown")


def test_only_active_cooldowns_are_counted() -> None:
    clock = Clock(0.0)
    cooldowns = Cooldowns(clock)
    cooldowns.start(b"short", 10)
    cooldowns.start(b"long", 20)
    assert cooldowns.active() == 2
    clock.now = 10.0
    assert cooldowns.active() == 1
    clock.now = 20.0
    assert cooldowns.active() == 0


async def test_the_limiter_counts_calls_in_flight_and_waiting() -> None:
    """Each waiting call counts once, whether it waits for its token's limit or the process's.

    Finished calls do not count.
    """
    limiter = ConcurrencyLimiter(per_token=1, total=2, accepted={b"first", b"second", b"third"})
    loop = asyncio.get_running_loop()
    async with limiter.hold(b"first", float("inf")), limiter.hold(b"second", float("inf")):
        assert (limiter.held, limiter.waiting) == (2, 0)
        for locator in (b"first", b"third"):
            with pytest.raises(GatewayError):
                async with asyncio.timeout(5), limiter.hold(locator, loop.time()):
                    pytest.fail("no place is free")
        waiting = asyncio.ensure_future(_hold(limiter, b"first"))
        await asyncio.sleep(0)
        assert (limiter.held, limiter.waiting) == (2, 1)
    await waiting
    assert (limiter.held, limiter.waiting) == (0, 0)


async def test_unaccepted_tokens_share_half_of_the_permits_and_those_with_no_call_in_flight_are_first() -> None:
    limiter = ConcurrencyLimiter(per_token=4, total=4, accepted={b"known"})
    begun: list[str] = []
    ends = {name: asyncio.Event() for name in ("a1", "a2", "a3", "b1", "c1", "c2", "known1", "known2")}

    async def call(name: str, locator: bytes) -> None:
        async with limiter.hold(locator, float("inf")):
            begun.append(name)
            await ends[name].wait()

    async def end(name: str) -> None:
        ends[name].set()
        await asyncio.sleep(0.001)

    tasks = [
        asyncio.create_task(call(name, b"known" if name.startswith("known") else name[:1].encode()))
        for name in ("a1", "a2", "a3", "b1", "c1", "c2", "known1", "known2")
    ]
    await asyncio.sleep(0.001)
    assert begun == ["a1", "a2", "known1", "known2"]
    for ended, next_one in (("known1", None), ("a1", "b1"), ("a2", "a3"), ("b1", "c1"), ("a3", "c2")):
        count = len(begun)
        await end(ended)
        assert begun[count:] == ([next_one] if next_one else [])
    for event in ends.values():
        event.set()
    await asyncio.gather(*tasks)
    assert (limiter.held, limiter.waiting, len(limiter)) == (0, 0, 0)
    assert not limiter._unaccepted_held


async def test_a_refused_token_fails_wherever_its_calls_wait() -> None:
    """Also those that have its token's permit, and wait for the process's."""
    limiter = ConcurrencyLimiter(per_token=3, total=2)
    gate = asyncio.Event()

    async def call() -> None:
        async with limiter.hold(b"refused", float("inf")):
            await gate.wait()

    calls = [asyncio.create_task(call()) for _ in range(5)]
    await asyncio.sleep(0.001)
    assert (limiter.held, limiter.waiting) == (1, 4)
    limiter.refuse_waiting(b"refused", partial(Unauthenticated, "refused"))
    gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(result) for result in results] == [type(None)] + [Unauthenticated] * 4
    # A later call of the token asks the upstream again.
    await call()


async def _hold(limiter: ConcurrencyLimiter, locator: bytes) -> None:
    async with limiter.hold(locator, float("inf")):
        assert limiter.held == 1


STORE = {
    "code": "BadRequest",
    "data": [],
    "innererror": {"code": "InvalidQueryParameters", "data": ["top parameter cannot be more than 10000"]},
    "message": "The calling client sent a bad request to the service.",
}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"code": 3000, "description": "d", "data": [], "source": "PartnerFD"}, 3000),
        ({"code": "2000", "description": "d"}, 2000),
        ({"code": "900421"}, 900421),
        (STORE, "BadRequest"),
        ({"statusCode": 429, "message": "Rate limit is exceeded."}, 429),
        ({"error": {"code": "NotFound", "message": "m", "target": "t", "innerError": {}}}, "NotFound"),
        ({"error": "invalid_grant", "error_description": "AADSTS50076", "error_codes": [50076]}, "invalid_grant"),
        ({"code": "x" * 65}, None),
        ({"code": "<b>no</b>"}, None),
        ({"code": True}, None),
        ({"code": 2**70}, None),
        ({"code": {"a": 1}, "error": {"code": ["x"]}}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_an_error_code_is_read_from_every_shape_of_body(body: Any, code: int | str | None) -> None:
    text = json.dumps(body).encode()
    assert error_code(text) == code
    assert error_code(b"\xef\xbb\xbf" + text) == code


@given(st.binary(max_size=100))
def test_arbitrary_error_bodies_are_handled(body: bytes) -> None:
    code = error_code(body)
    assert code is None or isinstance(code, int | str)


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"code": ' + b"9" * 6000 + b"}", b'{"code": "\xff"}'])
def test_hostile_error_bodies_have_no_code(body: bytes) -> None:
    assert error_code(body) is None


async def test_the_error_for_a_token_without_multi_factor_authentication_says_so() -> None:
    async with upstream(respond({"code": "900421"}, 401)) as up, client(up.url) as it:
        with pytest.raises(Unauthenticated) as caught:
            await it.call(page_query(), caller(), deadline=float("inf"))
        assert caught.value.upstream is not None
        assert caught.value.upstream.code == 900421
        assert "Multi-factor authentication" in caught.value.message


async def test_the_error_for_an_unknown_path_names_its_settings() -> None:
    async with upstream(respond({"code": 1000}, 404)) as up, client(up.url) as it:
        with pytest.raises(UpstreamRejected) as caught:
            await it.call(page_query(), caller(), deadline=float("inf"))
        assert "GATEWAY_UPSTREAM_PATH_PREFIX" in caught.value.message
        assert "GATEWAY_UPSTREAM_TRAILING_SLASH" in caught.value.message


async def test_an_upstream_request_id_that_is_not_a_guid_is_dropped() -> None:
    ids = {"MS-RequestId": "<script>"}
    async with upstream(respond(b"", 400, ids=ids)) as up, client(up.url) as it:
        with pytest.raises(UpstreamRejected) as caught:
            await it.call(page_query(), caller(), deadline=float("inf"))
        assert caught.value.upstream is not None
        assert caught.value.upstream.request_id == up.requests[-1].header("MS-RequestId")


def test_every_error_of_the_http_library_is_translated() -> None:
    """The library raises the leaves of its exception tree.

    If this test fails, the tree has a new leaf, which needs a translation.
    """
    kinds = [kind for kind in vars(httpx).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    leaves = {kind for kind in kinds if not any(other is not kind and issubclass(other, kind) for other in kinds)}
    assert leaves == set(LIBRARY_ERRORS)


@pytest.mark.parametrize("kind", list(LIBRARY_ERRORS))
def test_no_translated_error_reveals_library_address_or_text(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    Exception.__init__(error, "https://secret.example")
    message = failure_of(error).error.message
    assert isinstance(failure_of(error).error, GatewayError)
    assert not any(word in message.lower() for word in ("secret", "http", "://", kind.__name__.lower()))


def test_an_operating_system_error_means_upstream_unavailable() -> None:
    failure = failure_of(OSError("no route"))
    assert (type(failure.error), failure.retry) == (UpstreamUnavailable, Retry.BACKOFF)


def test_a_broken_response_after_a_foreign_one_is_not_requested_a_third_time() -> None:
    """The rejected response may have been the right one, because broken responses often lack their ids."""
    retries = Retries(8, lambda: 1.0)
    assert retries.pause_seconds(Retry.FOREIGN) == 0.0
    assert retries.pause_seconds(Retry.ONCE) is None
    assert retries.pause_seconds(Retry.BACKOFF) == 1.0


def test_an_expired_cooldown_is_removed() -> None:
    clock = Clock(0.0)
    cooldowns = Cooldowns(clock)
    cooldowns.start(b"token", 10)
    clock.now = 9.5
    with pytest.raises(RateLimited) as caught:
        cooldowns.require_passed(b"token")
    assert caught.value.retry_after_seconds == 1
    assert len(cooldowns) == 1
    clock.now = 10.0
    cooldowns.require_passed(b"token")
    assert (len(cooldowns), cooldowns.is_calm(b"token")) == (1, False)
    clock.now = 10.0 + CALM_SECONDS
    assert cooldowns.is_calm(b"token")
    cooldowns.require_passed(b"token")
    assert len(cooldowns) == 0


def test_a_full_table_drops_all_expired_cooldowns() -> None:
    clock = Clock(0.0)
    cooldowns = Cooldowns(clock, max_cooldowns=10)
    for number in range(10):
        cooldowns.start(b"%d" % number, 10)
    clock.now = 10.0 + CALM_SECONDS
    cooldowns.start(b"new", 10)
    assert len(cooldowns) == 1


async def test_a_cooldown_of_another_process_applies_at_once() -> None:
    class Shared:
        async def until(self, token: AccessToken) -> float | None:
            return NOW + 42

        async def publish(self, token: AccessToken, until: float) -> None:
            pytest.fail("nothing new is known")

    cooldowns = Cooldowns(Clock(NOW), shared=Shared())
    with pytest.raises(RateLimited) as caught:
        await cooldowns.require_passed_everywhere(caller().token)
    assert caught.value.retry_after_seconds == 42
