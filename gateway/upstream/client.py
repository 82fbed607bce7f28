"""Upstream calls: attempts until one succeeds, the retries are used up or the deadline passes."""

from __future__ import annotations

import asyncio
import random as random_module
import time
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from functools import partial

import httpx
import structlog

from gateway.access_token import AccessToken
from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK, Clock
from gateway.config.groups import UpstreamConfig
from gateway.dataset import Dataset
from gateway.errors import RateLimited, ServiceUnavailable, Unauthenticated, UpstreamBadResponse, UpstreamErrorFacts
from gateway.network.causes import Cause
from gateway.query import PageQuery
from gateway.scheduling.scheduler import Scheduler
from gateway.scheduling.worker_thread import InThread
from gateway.upstream.attempt import Exchanger, RawResponse, RequestIds, request_for
from gateway.upstream.attempt_record import UpstreamAttempt
from gateway.upstream.codec import UpstreamResponse
from gateway.upstream.concurrency import ConcurrencyLimiter
from gateway.upstream.cooldown import Cooldowns, SharedCooldowns
from gateway.upstream.decode import Turn, decode_cooperatively, decode_leniently, decode_strictly, without_measures
from gateway.upstream.retry import AttemptFailed, Failure, Retries, Retry, retry_after_seconds
from gateway.upstream.status import description_of, failure_for, response_facts
from gateway.upstream.transport import Connections, HandshakeGuard, cannot_reach, failure_of, reason_of, timed_out

log = structlog.get_logger("gateway")

# Measured: 10,000 rows take 3.6 MB and 5 ms. Much larger bodies are decoded in the worker thread.
MAX_STRICT_BYTES = 8_388_608
# Measured: with all of its fields, a row of the license report takes 350 to 370 bytes.
BYTES_A_ROW = 350
# Measured: decoding 10,000 rows field by field takes 60 ms, and this many bytes about 4 ms.
MAX_LENIENT_BYTES = 262_144


class UpstreamClient:
    """The upstream's client. Deadlines are in seconds of the event loop's clock.

    Large bodies are decoded in turns of ``scheduler``.
    """

    def __init__(
        self,
        config: UpstreamConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        shared_cooldowns: SharedCooldowns | None = None,
        scheduler: Scheduler | None = None,
        clock: Clock = SYSTEM_CLOCK,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = random_module.random,
        observer: Callable[[UpstreamAttempt], None] | None = None,
    ) -> None:
        self._config = config
        self._connections = Connections(config, transport)
        self._exchanger = Exchanger(self._connections, config.max_body_bytes)
        self._scheduler = scheduler or Scheduler()
        self.limiter = ConcurrencyLimiter(
            per_token=config.max_concurrency, total=config.max_connections, accepted=self._scheduler.accepted
        )
        self.cooldowns = Cooldowns(clock, shared=shared_cooldowns)
        self._clock, self._sleep, self._random = clock, sleep, random
        self._observe = observer or _ignore

    async def aclose(self) -> None:
        """Close every connection; calls in flight fail."""
        await self._connections.aclose()

    async def call(self, query: PageQuery, caller: Caller, *, deadline: float) -> UpstreamResponse:
        """Return the upstream's response to ``query``. Raises GatewayError.

        A call that is made ahead is refused if its token has expired or was throttled lately.
        """
        if caller.is_ahead and not self._may_call_ahead(caller.token):
            raise ServiceUnavailable("The gateway does not read ahead for this token now. Retry.")
        loop = asyncio.get_running_loop()
        deadline = min(deadline, loop.time() + self._config.operation_timeout_seconds)
        retries = Retries(self._config.max_retries, self._random)
        ids = RequestIds.of(caller)
        attempts = 0
        last = Retry.NEVER
        while True:
            attempts += 1
            record = UpstreamAttempt(
                path=query.dataset.path, dataset=query.dataset.name, correlation_id=ids.correlation
            )
            result = await self._attempt(query, caller, ids, deadline, record, after=last)
            if isinstance(result, UpstreamResponse):
                self._observe(record)
                return replace(result, attempts=attempts)
            pause_seconds = retries.pause_seconds(result.retry)
            # A call that nobody needs yet is not retried: once its rows are needed, they are requested again.
            if caller.is_ahead or pause_seconds is None or loop.time() + pause_seconds >= deadline:
                self._observe(record)
                raise result.error
            record.is_last = False
            self._observe(record)
            log.info(
                "an upstream call is retried",
                retry=attempts,
                pause_seconds=round(pause_seconds, 3),
                code=result.error.code,
                correlation_id=ids.correlation,
            )
            if pause_seconds:
                await self._sleep(pause_seconds)
            ids = ids if result.retry is Retry.TIMEOUT else RequestIds(ids.correlation)
            last = result.retry

    def _may_call_ahead(self, token: AccessToken) -> bool:
        return token.seconds_left(self._clock.wall()) > 0 and self.cooldowns.is_calm(token.locator)

    async def _attempt(
        self,
        query: PageQuery,
        caller: Caller,
        ids: RequestIds,
        deadline: float,
        record: UpstreamAttempt,
        *,
        after: Retry,
    ) -> UpstreamResponse | Failure:
        """Make one HTTP request. ``after`` is the previous attempt's retry kind, NEVER for the first attempt."""
        locator, cost = caller.token.locator, caller.budget.cost
        self.cooldowns.require_passed(locator)
        async with self.limiter.hold(locator, deadline, is_patient=lambda: caller.is_ahead):
            # Another call may have been throttled while this one waited.
            await self.cooldowns.require_passed_everywhere(caller.token)
            cost.upstream_calls += 1
            started = time.perf_counter()
            response = await self._exchange(query, caller, ids, deadline, record, after)
            record.seconds = time.perf_counter() - started
            if isinstance(response, Failure):
                result: UpstreamResponse | Failure = response
            else:
                # Decoded before the next call of the token begins, so that its bodies do not pile up.
                result = await self._interpret(response, query, ids, caller.token)
            if isinstance(result, Failure) and isinstance(result.error, Unauthenticated):
                # The same token would be refused again, in each of its calls.
                self.limiter.refuse_waiting(locator, partial(copy, result.error))
        if isinstance(result, UpstreamResponse):
            self._scheduler.accepted.note(locator)
            record.rows = len(result.rows)
            cost.rows_read += record.rows
        record.outcome = "ok" if isinstance(result, UpstreamResponse) else result.error.code
        return result

    async def _exchange(
        self, query: PageQuery, caller: Caller, ids: RequestIds, deadline: float, record: UpstreamAttempt, after: Retry
    ) -> RawResponse | Failure:
        limit = min(deadline, asyncio.get_running_loop().time() + self._config.timeout_seconds)
        guard = HandshakeGuard()
        try:
            # A limit on the whole attempt: the library's timeouts only bound the time between two bytes.
            async with asyncio.timeout_at(limit):
                return await self._exchanger.exchange(
                    request_for(self._config, query, caller, ids, guard),
                    ids,
                    record,
                    limit=limit,
                    # A retry does not trust a connection that was used before.
                    new_connection=after is not Retry.NEVER,
                    accept_foreign=after is Retry.FOREIGN,
                )
        except TimeoutError as error:
            timeout = Failure(timed_out(), Retry.TIMEOUT)
            return self._failure(error, timeout, guard.cause_of(error, self._config), caller, guard.is_connecting)
        except AttemptFailed as failed:
            return failed.failure
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            is_connecting = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
            return self._failure(error, failure_of(error), guard.cause_of(error, self._config), caller, is_connecting)

    def _failure(
        self, error: Exception, failure: Failure, cause: Cause, caller: Caller, is_connecting: bool
    ) -> Failure:
        """Log a failed attempt with host and cause, and return ``failure``, which names them only to operators."""
        facts = {"reason": reason_of(error), "correlation_id": caller.correlation_id}
        if not is_connecting:
            log.warning("an upstream attempt failed", host=self._config.route, cause=cause.text, **facts)
            return failure
        remedy = {"remedy": cause.remedy} if cause.remedy else {}
        route = self._config.route
        log.warning(f"Cannot reach {route}: {cause.text}", **facts, **remedy)
        detailed = cannot_reach(cause, route, is_timeout=failure.retry is Retry.TIMEOUT)
        return detailed if self._config.names_host else failure

    async def _interpret(
        self, response: RawResponse, query: PageQuery, ids: RequestIds, token: AccessToken
    ) -> UpstreamResponse | Failure:
        if response.status == 200:
            owner, body = token.locator, response.body
            async with self._scheduler.backlog.decoding(owner, len(body) // BYTES_A_ROW):
                turn, in_thread = self._scheduler.turns_of(owner)
                decoded = await _decoded(body, query.dataset, turn, in_thread)
                if query.has_measures or isinstance(decoded, Failure):
                    return decoded
                return await in_thread(without_measures, decoded, query.dataset)
        facts = response_facts(
            response.status, response.body, response_id=response.headers.get("MS-RequestId"), sent_id=ids.request
        )
        pause_seconds = retry_after_seconds(response.headers.get("Retry-After"), self._clock.wall())
        self._log_refusal(facts, ids)
        failure = failure_for(
            facts,
            pause_seconds,
            self._config.token_remedy,
            query_characters=len(query.query_string),
            own_text=description_of(response.body) if self._config.is_embedded else None,
            is_plain=self._config.names_host and self._config.base_url.startswith("http:"),
        )
        if isinstance(failure.error, RateLimited):
            await self.cooldowns.start_everywhere(token, failure.error.retry_after_seconds)
        return failure

    def _log_refusal(self, facts: UpstreamErrorFacts, ids: RequestIds) -> None:
        """Log a response that is an error, except those of callers: a refused token, and throttling."""
        if facts.status in (401, 429):
            return
        event = "the upstream failed" if facts.status is None or facts.status >= 500 else "the upstream refused"
        log.warning(
            event,
            host=self._config.route,
            status=facts.status,
            code=facts.code,
            request_id=facts.request_id,
            correlation_id=ids.correlation,
        )


def _ignore(_: UpstreamAttempt) -> None:
    """Observe nothing."""


async def _decoded(
    body: bytes, dataset: Dataset, turn: Callable[[], Turn], in_thread: InThread
) -> UpstreamResponse | Failure:
    try:
        if len(body) > MAX_STRICT_BYTES:
            decoded = await in_thread(decode_strictly, body, dataset)
        else:
            decoded = await decode_cooperatively(body, dataset, turn, in_thread)
        if decoded is not None:
            return decoded
        if len(body) > MAX_LENIENT_BYTES:
            return await in_thread(decode_leniently, body, dataset)
        return decode_leniently(body, dataset)
    except UpstreamBadResponse as error:
        return Failure(error, Retry.ONCE)
