"""Load generators: this folder's generator process, and wrk if it is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec

from tests.benchmarks.load import Job, Result
from tests.benchmarks.queries import DIGITS, MARK, Export, Query
from tests.benchmarks.servers import ROOT, Server, environment, module, stop

# From this number of clients on wrk is used: it needs less CPU, so the generator is not the bottleneck.
WRK_CLIENTS = 16
# Each job has its own range of numbers, so that no token or alias occurs twice in a run.
_NUMBERS = 200_000
_jobs = count()


def job(
    server: Server, contender: str, query: Query | Export, *, clients: int = 1, seconds: float = 1.0,
    min_requests: int = 1, max_requests: int = 10**9, rate: float = 0.0, tokens: int = 0,
) -> Job:  # fmt: skip
    """Build the job of a query.

    Its cold tokens and new aliases differ from those of every other job; with ``tokens``, every job has the same ones.
    """
    return Job(
        port=server.port,
        request=query.request(contender),
        expected_start=query.expected_start(contender),
        is_compressed=query.is_compressed,
        clients=clients,
        seconds=seconds,
        min_requests=min_requests,
        max_requests=max_requests,
        rate=rate,
        first_number=0 if tokens else next(_jobs) * _NUMBERS % 10**DIGITS,
        numbers=tokens or _NUMBERS,
    )


@dataclass(frozen=True, slots=True)
class Generator:
    """The generator process; one job at a time."""

    process: subprocess.Popen[bytes]

    def start(self, job: Job) -> None:
        """Start a job."""
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(job) + b"\n")
        self.process.stdin.flush()

    def finish(self) -> Result:
        """Wait for the job's end. Raises RuntimeError if answers failed."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("The load generator has ended.")
        return _checked(msgspec.json.decode(line, type=Result))

    def run(self, job: Job) -> Result:
        """Start a job and wait for its end. Raises RuntimeError if answers failed."""
        self.start(job)
        return self.finish()


@contextmanager
def generator() -> Iterator[Generator]:
    """Run a generator process until the end of the block."""
    process = subprocess.Popen(
        module("load"), cwd=ROOT, env=environment({}), start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Generator(process)
    finally:
        stop(process)


def run_wrk(job: Job) -> Result:
    """Run the job with wrk, in whole seconds and without checking bodies. Raises RuntimeError if answers failed."""
    seconds = max(1, round(job.seconds))
    wrk = shutil.which("wrk") or "wrk"
    with tempfile.NamedTemporaryFile("w", suffix=".http", newline="") as request:
        request.write(job.request)
        request.flush()
        variables = {
            "BENCHMARK_REQUEST": request.name,
            "BENCHMARK_MARK": MARK,
            "BENCHMARK_FIRST_NUMBER": str(job.first_number),
        }
        done = subprocess.run(
            [wrk, "-t1", f"-c{job.clients}", f"-d{seconds}s", "--timeout", "30s",
             "-s", str(Path(__file__).with_name("wrk.lua")), f"http://127.0.0.1:{job.port}/"],
            env=os.environ | variables, capture_output=True, text=True, check=True, timeout=seconds + 60,
        )  # fmt: skip
    words = done.stdout.rpartition("RESULT ")[2].split()
    requests, failures = int(words[0]), int(words[5])
    p50_ms, p99_ms, reply_bytes = float(words[2]), float(words[3]), int(words[4]) // max(1, requests)
    return _checked(Result(requests, float(words[1]), p50_ms, p99_ms, reply_bytes, failures, "see wrk"))


def uses_wrk(clients: int) -> bool:
    """Return whether wrk generates the load of that many clients."""
    return clients >= WRK_CLIENTS and shutil.which("wrk") is not None


def _checked(result: Result) -> Result:
    if result.failures or not result.requests:
        raise RuntimeError(f"{result.failures} of {result.requests} answers failed: {result.failure}")
    return result
