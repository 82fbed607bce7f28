"""The load generator: a separate process that reads jobs as lines of JSON and prints the result of each.

Closed loop: each client sends its next request when the answer to the last one is complete. With ``rate``, the clients
together start that many requests a second. A request that is late because the previous one is unanswered counts from
its due time, so that a blocked server does not reduce the number of slow samples.
"""

from __future__ import annotations

import asyncio
import math
import sys
from time import perf_counter
from typing import Any, cast

import httptools
import msgspec
import uvloop

from tests.benchmarks.queries import DIGITS, MARK

_MARK = MARK.encode()
# Covers the headers and the start of the body.
_CHECKED_BYTES = 2_048


class Job(msgspec.Struct, frozen=True):
    """A request and its load: how often and for how long. After ``seconds`` only sent requests are awaited."""

    port: int
    request: str
    expected_start: str
    # True if the body is compressed, so that only the status and Content-Encoding can be checked.
    is_compressed: bool = False
    clients: int = 1
    seconds: float = 1.0
    min_requests: int = 1
    max_requests: int = 10**9
    rate: float = 0.0
    first_number: int = 0
    # The numbers of requests repeat after so many.
    numbers: int = 10**9


class Result(msgspec.Struct, frozen=True):
    """Result of a job; ``failures`` counts answers with another status than 200, without data, or with errors."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    reply_bytes: int
    failures: int
    failure: str = ""

    @property
    def requests_per_second(self) -> float:
        """Return the throughput."""
        return self.requests / self.seconds


class Run:
    """A job in progress."""

    def __init__(self, job: Job, loop: asyncio.AbstractEventLoop) -> None:
        self.job = job
        self.loop = loop
        self.template = job.request.encode()
        self.expected_start = job.expected_start.encode()
        self.start = 0.0
        self.sent = 0
        self.latencies: list[float] = []
        self.reply_bytes = 0
        self.failures = 0
        self.failure = ""

    def next_request(self) -> bytes | None:
        """Return another request, or None at the end of the job."""
        job = self.job
        is_late = perf_counter() - self.start >= job.seconds and self.sent >= job.min_requests
        if is_late or self.sent >= job.max_requests:
            return None
        self.sent += 1
        return self.template.replace(_MARK, b"%0*d" % (DIGITS, job.first_number + self.sent % job.numbers))

    def fail(self, why: str) -> None:
        """Count a failed answer."""
        self.failures += 1
        self.failure = why

    def result(self) -> Result:
        """Return the measurements."""
        seconds = perf_counter() - self.start
        values = sorted(self.latencies) or [math.nan]
        p50, p99 = (values[min(len(values) - 1, int(len(values) * share))] * 1_000 for share in (0.5, 0.99))
        return Result(len(self.latencies), seconds, p50, p99, self.reply_bytes, self.failures, self.failure)


class Client(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._interval = run.job.clients / run.job.rate if run.job.rate else 0.0
        self._is_waiting = False
        self.done = run.loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not subclass it

    def begin(self, number: int) -> None:
        """Send the first request; the clients' due times are spread evenly."""
        self._due = self._run.start + self._interval * number / self._run.job.clients
        self._next()

    def _next(self) -> None:
        now = perf_counter()
        if not self._interval:
            self._send(now)
        elif now >= self._due:
            self._send(self._due)
        else:
            # A late timer must not count as server time.
            self._run.loop.call_later(self._due - now, lambda: self._send(perf_counter()))

    def _send(self, since: float) -> None:
        request = None if self.done.done() else self._run.next_request()
        if request is None:
            self._transport.close()
            return
        self._since = since
        if self._interval:
            self._due += self._interval
        self._parser = httptools.HttpResponseParser(self)
        self._head = self._tail = b""
        self._size = 0
        self._is_waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Receive a part of the answer."""
        if len(self._head) < _CHECKED_BYTES:
            self._head += data
        self._tail = data
        self._size += len(data)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Record the complete answer, and send the next request."""
        run = self._run
        self._is_waiting = False
        run.latencies.append(perf_counter() - self._since)
        run.reply_bytes = self._size
        head, _, body = self._head[:_CHECKED_BYTES].partition(b"\r\n\r\n")
        if self._parser.get_status_code() != 200 or not self._is_good(head, body):
            run.fail(f"{self._parser.get_status_code()}: {body[:200]!r}")
        run.loop.call_soon(self._next)

    def _is_good(self, head: bytes, body: bytes) -> bool:
        if self._run.job.is_compressed:
            return b"\r\ncontent-encoding:" in head.lower()
        return self._run.expected_start in body and b'"errors"' not in self._tail[-_CHECKED_BYTES:]

    def connection_lost(self, error: Exception | None) -> None:
        """Complete ``done``."""
        if self._is_waiting:
            self._run.fail("the connection was closed before the answer was complete")
        if not self.done.done():
            self.done.set_result(None)


async def measure(job: Job) -> Result:
    """Run one job."""
    run = Run(job, asyncio.get_running_loop())
    clients = []
    for _ in range(job.clients):
        _, client = await run.loop.create_connection(lambda: Client(run), "127.0.0.1", job.port)
        clients.append(client)
    run.start = perf_counter()
    for number, client in enumerate(clients):
        client.begin(number)
    await asyncio.gather(*(client.done for client in clients))
    return run.result()


def main() -> None:
    """Run one job per input line."""
    for line in sys.stdin.buffer:
        result: Any = uvloop.run(measure(msgspec.json.decode(line, type=Job)))
        sys.stdout.buffer.write(msgspec.json.encode(result) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
