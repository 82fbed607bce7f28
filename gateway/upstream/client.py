"""One upstream call: attempts until one succeeds or none is left, inside a deadline."""

from __future__ import annotations

import asyncio
import random as random_module
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import structlog

from gateway.config.upstream import UpstreamConfig
from gateway.errors import RateLimited, UpstreamBadResponse
from gateway.page import AccessToken, Caller
from gateway.query import Dataset, PageQuery
from gateway.upstream.cooldown import Cooldowns, SharedCooldowns
from gateway.upstream.decode import Decoded, decode_in_turns, decode_odd, decode_usual
from gateway.upstream.decompress import Meter
from gateway.upstream.exchange import Answer, Exchanger, Ids, Requests
from gateway.upstream.retry import AttemptFailed, Failure, Retries, Retry, retry_after_seconds
from gateway.upstream.slots import Slots
from gateway.upstream.status import NEW_TOKEN, failure_for, upstream_reply
from gateway.upstream.transport import Connections, failure_of, reason_of, timed_out

log = structlog.get_logger("gateway")

# Measured: 10,000 rows take 3.6 MB and 5 ms; what is far beyond that is decoded beside the loop.
MAX_USUAL_BYTES = 8_388_608
# Measured: field by field, 10,000 rows take 60 ms; so many bytes take about 4.
MAX_ODD_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply's rows, perhaps more than asked for, and what it says of further ones, unjudged.

    ``attempts`` counts the HTTP requests it took.
    """

    rows: tuple[Any, ...]
    total_count: int | None
    has_link: bool
    unreadable_values: int
    attempts: int


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One attempt, for metrics and logs: ``outcome`` is ``ok`` or an error code, ``bytes`` what the body took.

    ``is_foreign`` is True when the reply named another request, whether it was refused or believed. ``path`` is the
    dataset's, without the question.
    """

    status: int | None
    outcome: str
    seconds: float
    bytes: int
    is_foreign: bool = False
    path: str = ""
    correlation_id: str = ""


class UpstreamClient:
    """Asks the upstream. ``clock`` is in seconds since 1970; deadlines are in seconds of the event loop's clock.

    ``token_remedy`` is a sentence that tells callers whose token was refused which one to use.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        shared_cooldowns: SharedCooldowns | None = None,
        token_remedy: str = NEW_TOKEN,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
        observer: Callable[[UpstreamCall], None] | None = None,
    ) -> None:
        self._config = config
        self._requests = Requests(config)
        self._slots = Slots(per_token=config.max_concurrency, total=config.max_connections)
        self._connections = Connections(config.max_connections, transport)
        self._exchanger = Exchanger(self._connections, config.max_body_bytes)
        self._token_remedy = token_remedy
        self._cooldowns = Cooldowns(clock, shared=shared_cooldowns)
        self._clock, self._sleep, self._random, self._observer = clock, sleep, random, observer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection; calls in flight fail."""
        await self._connections.aclose()

    @property
    def calls_in_flight(self) -> int:
        """Attempts under way."""
        return self._slots.held

    @property
    def calls_waiting(self) -> int:
        """Attempts that wait for their turn."""
        return self._slots.waiting

    def cooldowns(self) -> int:
        """Throttled tokens that may not ask yet."""
        return self._cooldowns.lasting()

    async def call(self, query: PageQuery, caller: Caller, *, deadline: float) -> Reply:
        """One reply to ``query``. Raises GatewayError."""
        loop = asyncio.get_running_loop()
        deadline = min(deadline, loop.time() + self._config.operation_timeout_seconds)
        retries = Retries(self._config.max_retries, self._random)
        ids = Ids.of(caller)
        attempts = 0
        last = Retry.NEVER
        while True:
            attempts += 1
            found = await self._attempt(query, caller, ids, deadline, after=last)
            if isinstance(found, Decoded):
                return Reply(found.rows, found.total_count, found.has_link, found.unreadable_values, attempts)
            pause_seconds = retries.pause_seconds(found.retry)
            if pause_seconds is None or loop.time() + pause_seconds >= deadline:
                raise found.error
            if pause_seconds:
                await self._sleep(pause_seconds)
            ids = ids if found.retry is Retry.TIMEOUT else ids.renewed()
            last = found.retry

    async def _attempt(
        self, query: PageQuery, caller: Caller, ids: Ids, deadline: float, *, after: Retry
    ) -> Decoded | Failure:
        """One HTTP request. ``after`` says what ended the one before; NEVER for the first."""
        meter = Meter()
        locator = caller.token.locator
        self._cooldowns.require_passed(locator)
        async with self._slots.hold(locator, deadline):
            # The wait for the place may have been long enough for another call to be throttled.
            await self._cooldowns.require_passed_everywhere(caller.token)
            started = time.perf_counter()
            found = await self._exchange(query, caller, ids, deadline, meter, after)
            seconds = time.perf_counter() - started
        result = found if isinstance(found, Failure) else await self._judge(found, query.dataset, ids, caller.token)
        self._observe(meter, result, seconds, query.dataset.path, ids)
        return result

    async def _exchange(
        self, query: PageQuery, caller: Caller, ids: Ids, deadline: float, meter: Meter, after: Retry
    ) -> Answer | Failure:
        limit = min(deadline, asyncio.get_running_loop().time() + self._config.timeout_seconds)
        try:
            # A total limit: the library's own only bound the time between two bytes.
            async with asyncio.timeout_at(limit):
                return await self._exchanger.exchange(
                    self._requests.build(query, caller, ids),
                    ids,
                    meter,
                    limit=limit,
                    # A repetition does not trust a connection that was used before.
                    fresh=after is not Retry.NEVER,
                    believe=after is Retry.FOREIGN,
                )
        except TimeoutError:
            log.warning("an upstream attempt failed", reason="timeout", correlation_id=caller.correlation_id)
            return Failure(timed_out(), Retry.TIMEOUT)
        except AttemptFailed as failed:
            return failed.failure
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            log.warning("an upstream attempt failed", reason=reason_of(error), correlation_id=caller.correlation_id)
            return failure_of(error)

    async def _judge(self, answer: Answer, dataset: Dataset, ids: Ids, token: AccessToken) -> Decoded | Failure:
        if answer.status == 200:
            return await _decoded(answer.body, dataset)
        reply = upstream_reply(
            answer.status, answer.body, answered_id=answer.headers.get("MS-RequestId"), sent_id=ids.request
        )
        pause_seconds = retry_after_seconds(answer.headers.get("Retry-After"), self._clock())
        failure = failure_for(reply, pause_seconds, self._token_remedy)
        if isinstance(failure.error, RateLimited):
            await self._cooldowns.start_everywhere(token, failure.error.retry_after_seconds)
        return failure

    def _observe(self, meter: Meter, result: Decoded | Failure, seconds: float, path: str, ids: Ids) -> None:
        if self._observer is not None:
            outcome = "ok" if isinstance(result, Decoded) else result.error.code
            received_bytes, is_foreign = meter.received_bytes, meter.is_foreign
            self._observer(
                UpstreamCall(meter.status, outcome, seconds, received_bytes, is_foreign, path, ids.correlation)
            )


async def _decoded(body: bytes, dataset: Dataset) -> Decoded | Failure:
    try:
        if len(body) > MAX_USUAL_BYTES:
            usual = await asyncio.to_thread(decode_usual, body, dataset)
        else:
            usual = await decode_in_turns(body, dataset, _turn)
        if usual is not None:
            return usual
        if len(body) > MAX_ODD_BYTES:
            return await asyncio.to_thread(decode_odd, body, dataset)
        return decode_odd(body, dataset)
    except UpstreamBadResponse as error:
        return Failure(error, Retry.ONCE)


async def _turn() -> None:
    """Let others go first: once for the loop to see who is there, and once for them to be served."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
