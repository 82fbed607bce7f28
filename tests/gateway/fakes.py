"""Fakes of the gateway's contracts: a PageSource that records its calls, and a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from gateway.access_token import AccessToken
from gateway.cache.pages import CachedPages
from gateway.cache.redis_store import RedisStore
from gateway.caller import Caller
from gateway.clocks import clock as clocks
from gateway.config.groups import CacheConfig
from gateway.dataset import Dataset
from gateway.errors import GatewayError
from gateway.page import Page, PageSource
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.read_ahead import ReadAhead
from gateway.query import PageQuery
from gateway.scanning.cached_views import CachedViews
from gateway.scanning.scan import ScanRules
from gateway.scanning.sources import RowSources
from gateway.snapshots.differing_blocks import DifferingBlocks
from gateway.snapshots.snapshot import Snapshot

# The identity of an upstream.
UPSTREAM = "http://upstream.invalid:80/partner/v1"


class Row(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A row of the fake dataset."""

    service_code: str | None = None
    licenses_sold: int | None = None
    processed_date_time: str | None = None


DATASET = Dataset(
    name="rows",
    path="rows",
    row=Row,
    dimensions=("serviceCode",),
    measures=("licensesSold",),
    date="processedDateTime",
    service="serviceCode",
)


def query(skip: int = 0, top: int = 10, **changes: object) -> PageQuery:
    """Return a query for the fake dataset."""
    return PageQuery(DATASET, skip=skip, top=top, **changes)  # type: ignore[arg-type]  # tests name real fields


def caller(token: str = "one", locale: str | None = None) -> Caller:
    """Return a caller with ``token``."""
    return Caller(AccessToken(token), locale)


def row_sources(pages: PageSource, sizes: BlockSizes) -> RowSources:
    """Return ``pages`` with views that are not cached."""
    cache = CachedPages(pages, CacheConfig(0, 0, 0, sizes.first_rows, sizes.rows))
    rules = ScanRules(sizes, 1_000, 10, ReadAhead(0), DifferingBlocks())
    return RowSources(pages, CachedViews(pages, cache, rules), sizes)


class Clock(clocks.Clock):
    """Clocks that only tests advance; ``wall_ahead_seconds`` is how far the wall clock is ahead."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0
        self.wall_ahead_seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return self.seconds + self.wall_ahead_seconds


class ClockedRedisStore(RedisStore):
    """A store whose server's clock is the test's monotonic clock."""

    def _adjust_clock(self, server_seconds: float, moment: float) -> None:
        super()._adjust_clock(self.clock.monotonic(), self.clock.monotonic())


@dataclass
class FakeSource:
    """Returns rows numbered from ``skip``, of the services ``names`` by turns; waits while ``gate`` is closed."""

    clock: Callable[[], float]
    total: int = 25
    has_total: bool = True
    date: str = "2026-01-01T00:00:00"
    error: GatewayError | None = None
    calls: list[tuple[AccessToken, int, int]] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0
    names: list[str] = field(default_factory=lambda: ["o365"])

    def __post_init__(self) -> None:
        self.gate.set()

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        self.calls.append((caller.token, query.skip, query.top))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        stop = min(self.total, query.skip + query.top)
        names = self.names
        rows = tuple(Row(names[number % len(names)], number, self.date) for number in range(query.skip, stop))
        return Page(
            rows,
            query.skip,
            more=stop < self.total,
            total_count=self.total if self.has_total else None,
            snapshot=Snapshot(self.total if self.has_total else None, (("o365", self.date),) if rows else ()),
            fetched_at=self.clock(),
            calls=1,
        )
