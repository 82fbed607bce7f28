"""Upstream calls of a second look at many tokens' rows, and the time of an export over a slow upstream."""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass

from tests.benchmarks import contenders
from tests.benchmarks.agreement import ask
from tests.benchmarks.queries import FIELDS
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

_ROWS = 10_000
_QUERY = f"{{ licenseDeployments(first: {_ROWS}) {{ nodes {{ {' '.join(FIELDS)} }} }} }}"
_TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class SecondLook:
    """Upstream calls for ``tokens`` times 10,000 rows, read twice one after the other with the default cache."""

    tokens: int
    first_calls: int
    second_calls: int


@dataclass(frozen=True, slots=True)
class SlowExport:
    """Seconds for all rows of an upstream that takes ``call_seconds`` a call, and until the first byte."""

    call_seconds: float
    ahead_seconds: float
    first_byte_seconds: float
    one_by_one_seconds: float

    @property
    def ratio(self) -> float:
        """Return the time as a share of that without reading ahead."""
        return self.ahead_seconds / self.one_by_one_seconds


def second_look(upstream: Server, effort: Effort) -> SecondLook:
    """Read the rows of each token once, then once more."""
    calls = [_calls(upstream)]
    with contenders.gateway(upstream) as server:
        for _ in range(2):
            for number in range(effort.tokens):
                if not ask(server, _QUERY, f"look{number}"):
                    raise RuntimeError("An answer was empty.")
            calls.append(_calls(upstream))
    return SecondLook(effort.tokens, calls[1] - calls[0], calls[2] - calls[1])


def slow_export(effort: Effort) -> SlowExport:
    """Export all rows with and without reading ahead, each in a new process."""
    seconds = effort.call_seconds
    with contenders.stub(call_seconds=seconds) as upstream:
        with contenders.gateway(upstream) as server:
            first_byte_seconds, ahead_seconds = _export(server)
        with contenders.gateway(upstream, read_ahead="off") as server:
            _, one_by_one_seconds = _export(server)
    return SlowExport(seconds, ahead_seconds, first_byte_seconds, one_by_one_seconds)


def _calls(upstream: Server) -> int:
    with urllib.request.urlopen(f"{upstream.url}/calls", timeout=_TIMEOUT_SECONDS) as response:
        return int(json.load(response))


def _export(server: Server) -> tuple[float, float]:
    """Return the seconds until the first byte and until the last one. Raises RuntimeError if rows are missing."""
    request = urllib.request.Request(
        f"{server.url}/export/licenseDeployments.ndjson", headers={"Authorization": "Bearer export"}
    )
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        lines = response.read(1).count(b"\n")
        first_byte_seconds = time.perf_counter() - started
        while piece := response.read(1_048_576):
            lines += piece.count(b"\n")
    if lines != contenders.UPSTREAM_ROWS:
        raise RuntimeError(f"The export has {lines} rows.")
    return first_byte_seconds, time.perf_counter() - started
