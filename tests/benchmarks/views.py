"""Orders, search and groups over cached rows: their times, what they cost a small page of another token, and memory."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.benchmarks import contenders
from tests.benchmarks.agreement import timed
from tests.benchmarks.contenders import GATEWAY
from tests.benchmarks.generators import Generator
from tests.benchmarks.interference import paced
from tests.benchmarks.measurements import Figure
from tests.benchmarks.queries import FIELDS, Query
from tests.benchmarks.rounds import Effort, warm_up
from tests.benchmarks.servers import Server

_SMALL = Query(20)
# Room for all cached rows of a token as they are, so that none is packed.
_CACHE_BYTES_PER_ROW = 2_000
_TIMEOUT_SECONDS = 300

# One document, so that only the first query parses it, as with clients that use variables.
_DOCUMENT = f"""query (
  $after: String, $filter: LicenseDeploymentFilter, $groupBy: [LicenseDeploymentDimension!]
  $search: String, $having: LicenseDeploymentHaving, $orderBy: [LicenseDeploymentOrder!]
) {{
  licenseDeployments(
    first: {_SMALL.rows}, after: $after, filter: $filter, groupBy: $groupBy
    search: $search, having: $having, orderBy: $orderBy
  ) {{ nodes {{ {" ".join(FIELDS)} }} pageInfo {{ endCursor }} }}
}}"""


def _by(field: str, direction: str = "DESC") -> dict[str, Any]:
    return {"orderBy": [{"field": field, "direction": direction}]}


# Variables of queries over the same rows, after the first order.
_FIRST = _by("LICENSES_SOLD")
FURTHER: dict[str, dict[str, Any]] = {
    "another direction": _by("LICENSES_SOLD", "ASC"),
    "by name": _by("CUSTOMER_NAME"),
    "by the rate": _by("DEPLOYMENT_RATE"),
    "having": {"having": {"licensesUnassigned": {"gt": 5}}},
    "search": {"search": "tools office"},
    "groups": {"groupBy": ["CUSTOMER_TENANT_ID", "CUSTOMER_NAME"], **_by("LICENSES_UNASSIGNED")},
}


@dataclass(frozen=True, slots=True)
class Views:
    """Milliseconds until the last byte of 20 rows, all over ``rows`` cached rows of one token.

    ``first_ms`` is the first order, which builds the view, and ``share`` its share of the time to download the same
    cached rows. ``beside_ms`` is the p99 of small cached pages of another token during first orders, and ``alone_ms``
    without them. The memory is that of the view with its first order, and after all other queries.
    """

    rows: int
    first_ms: Figure
    download_ms: Figure
    share: Figure
    next_page_ms: Figure
    further_ms: dict[str, Figure]
    alone_ms: Figure
    beside_ms: Figure
    bytes_per_row: Figure
    all_bytes_per_row: Figure


@dataclass(frozen=True, slots=True)
class _Round:
    first_ms: float
    download_ms: float
    next_page_ms: float
    further_ms: dict[str, float]
    alone_ms: float
    beside_ms: float
    bytes_per_row: float
    all_bytes_per_row: float


def measure(load: Generator, effort: Effort) -> Views:
    """Measure each round in a new process. ``load`` generates the small pages."""
    with contenders.stub(effort.view_rows) as upstream:
        rounds = [_round(upstream, load, effort) for _ in range(effort.view_rounds)]
    further = {name: Figure.of([one.further_ms[name] for one in rounds]) for name in FURTHER}
    return Views(
        rows=effort.view_rows,
        first_ms=_figure(rounds, "first_ms"),
        download_ms=_figure(rounds, "download_ms"),
        share=Figure.of([one.first_ms / one.download_ms for one in rounds]),
        next_page_ms=_figure(rounds, "next_page_ms"),
        further_ms=further,
        alone_ms=_figure(rounds, "alone_ms"),
        beside_ms=_figure(rounds, "beside_ms"),
        bytes_per_row=_figure(rounds, "bytes_per_row"),
        all_bytes_per_row=_figure(rounds, "all_bytes_per_row"),
    )


def _figure(rounds: Sequence[_Round], name: str) -> Figure:
    return Figure.of([getattr(one, name) for one in rounds])


def _round(upstream: Server, load: Generator, effort: Effort) -> _Round:
    rows, others = effort.view_rows, [f"beside{number}" for number in range(effort.view_tokens)]
    bound_bytes = rows * _CACHE_BYTES_PER_ROW * (len(others) + 1)
    with contenders.gateway(upstream, cache_memory_bytes=bound_bytes) as server:
        # One-time work of the process: imports, and compilation of the documents.
        _page(server, "imports", {**_FIRST, "filter": {"channel": {"eq": "reseller"}}})
        warm_up(_SMALL, GATEWAY, server, load)
        for token in ("one", *others):
            _download(server, token, rows)
        download_ms, before_bytes = _download(server, "one", rows), _cached_bytes(server)
        first_ms, cursor = _page(server, "one", _FIRST)
        view_bytes = _cached_bytes(server) - before_bytes
        next_page_ms, _ = _page(server, "one", {**_FIRST, "after": cursor})
        further_ms = {name: _page(server, "one", variables)[0] for name, variables in FURTHER.items()}
        all_bytes = _cached_bytes(server) - before_bytes
        # As long as the first orders of the others will take.
        seconds = first_ms / 1_000 * len(others)
        alone_ms = load.run(paced(server, GATEWAY, _SMALL, seconds)).p99_ms
        load.start(paced(server, GATEWAY, _SMALL, seconds))
        for token in others:
            _page(server, token, _FIRST)
        beside_ms = load.finish().p99_ms
    return _Round(
        first_ms, download_ms, next_page_ms, further_ms, alone_ms, beside_ms, view_bytes / rows, all_bytes / rows
    )  # fmt: skip


def _page(server: Server, token: str, variables: Mapping[str, Any]) -> tuple[float, str]:
    """Return the time of a page of 20 rows, and its last cursor."""
    connection, milliseconds = timed(server, _DOCUMENT, token, variables)
    if not connection["nodes"]:
        raise RuntimeError(f"No row is found with {variables}.")
    return milliseconds, connection["pageInfo"]["endCursor"]


def _download(server: Server, token: str, rows: int) -> float:
    """Return the milliseconds of a download of all rows. Raises RuntimeError if some are missing."""
    started = time.perf_counter()
    with _get(server, "/export/licenseDeployments.ndjson", token) as pieces:
        lines = sum(piece.count(b"\n") for piece in pieces)
    if lines != rows:
        raise RuntimeError(f"The export has {lines} instead of {rows} rows.")
    return (time.perf_counter() - started) * 1_000


def _cached_bytes(server: Server) -> float:
    """Return the bytes that the server counts in its cache."""
    with _get(server, "/metrics") as pieces:
        lines = b"".join(pieces).decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("gateway_cache_bytes "))


@contextmanager
def _get(server: Server, path: str, token: str = "") -> Iterator[Iterator[bytes]]:
    request = urllib.request.Request(f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        yield iter(lambda: response.read(1_048_576), b"")
