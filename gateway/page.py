"""The gateway's internal contract: a Caller fetches Pages from a PageSource.

Cache, single-flight, block reader, client and fakes are all PageSources, so they can wrap each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol

from gateway.caller import Caller
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.query import PageQuery
from gateway.snapshots.snapshot import UNKNOWN_SNAPSHOT, Snapshot


class CacheState(IntEnum):
    """Origin of a page, worst last. A response's ``X-Cache`` is the worst of its pages."""

    HIT = 0
    STALE = 1
    MISS = 2


@dataclass(frozen=True, slots=True)
class PageWarning:
    """A problem with an otherwise usable page, stored with it and repeated on cache hits."""

    code: str
    message: str
    count: int | None = None
    age_seconds: int | None = None


# Rows are missing, and it is unknown which.
INCOMPLETE = PageWarning("UPSTREAM_INCOMPLETE", "The upstream announced more rows than it returned. Retry later.")

# The code of the warning that rows are stale.
STALE_DATA = "STALE_DATA"

# Values that could not be read are null.
UNREADABLE_VALUES = "UPSTREAM_UNREADABLE_VALUES"


def out_of_range_warnings(count: int) -> tuple[PageWarning, ...]:
    """Return the warning for ``count`` values that do not fit into 64 bits, if there are any."""
    message = "Values that do not fit into 64 bits are null."
    return (PageWarning("VALUE_OUT_OF_RANGE", message, count),) if count else ()


@dataclass(frozen=True, slots=True)
class Promise:
    """The upstream's statement that row ``row`` exists, made at ``made_at`` by the monotonic clock."""

    row: int
    made_at: float


class Renderings(Protocol):
    """Cache of values rendered from a page, within the page cache's limit. Entries may be evicted at any time."""

    def get(self, key: Hashable) -> Any:
        """Return the value of ``key``, or None."""
        ...

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Store ``value`` if there is room."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Rows ``[skip, skip + len(rows))`` of a query. Immutable, so that the cache and concurrent waiters can share it.

    ``more`` says whether row ``skip + len(rows)`` exists; None if that is unknown without another call. ``has_link``
    says whether the upstream linked to that row. ``total_count`` is None if the upstream's value cannot be used.
    ``unreadable`` marks the rows in which a measure is null because its value could not be read (see row_marks).
    ``fetched_at`` is by the monotonic clock. ``calls`` counts the upstream calls of this fetch, 0 for a cache hit. A
    page outside the cache has no ``renderings``.
    """

    rows: Sequence[Any]
    skip: int = 0
    more: bool | None = False
    total_count: int | None = None
    snapshot: Snapshot = UNKNOWN_SNAPSHOT
    warnings: tuple[PageWarning, ...] = ()
    unreadable: Mapping[str, bytes] = field(default_factory=dict)
    fetched_at: float = 0.0
    calls: int = 0
    cache: CacheState = CacheState.MISS
    has_link: bool = False
    renderings: Renderings | None = field(default=None, compare=False, repr=False)

    @property
    def end(self) -> int:
        """Offset after the last row."""
        return self.skip + len(self.rows)

    @property
    def is_incomplete(self) -> bool:
        """True if the upstream promised more rows than it returned."""
        return any(warning.code == INCOMPLETE.code for warning in self.warnings)

    @property
    def promise(self) -> Promise | None:
        """The row after the page, if the upstream announced it by its total or else by its link."""
        announced = self.has_link if self.total_count is None else self.total_count > self.end
        return Promise(self.end, self.fetched_at) if self.more or (announced and self.more is None) else None

    def breaks(self, promise: Promise | None) -> bool:
        """Return True if the page lacks a promised row, and neither total nor dates show which snapshot it is from."""
        is_unmarked = not self.rows and self.more is False and self.snapshot == UNKNOWN_SNAPSHOT
        return promise is not None and is_unmarked and self.skip == promise.row

    def is_outdated(self, promise: Promise | None) -> bool:
        """Return True if the page was read before a promise that it breaks: the data may have grown since then."""
        return promise is not None and self.breaks(promise) and self.fetched_at < promise.made_at

    def reaches(self, stop: int) -> bool:
        """Return True if the page needs no further rows up to ``stop``."""
        return self.more is False or self.end >= stop

    @property
    def content(self) -> Sequence[Any]:
        """The part that the cache packs."""
        return self.rows

    def with_content(self, content: Sequence[Any], renderings: Renderings | None = None) -> Page:
        """Return a copy with the same rows in another form."""
        return replace(self, rows=content, renderings=renderings)

    def having(self, **changes: Any) -> Page:
        """Return a copy with the same rows and other fields changed."""
        return replace(self, **changes)


def age_seconds(fetched_at: float) -> int:
    """Return the whole seconds since ``fetched_at``, for the header ``Age``."""
    return max(0, int(SYSTEM_CLOCK.monotonic() - fetched_at))


class PageSource(Protocol):
    """Source of pages: the one contract inside the gateway."""

    async def fetch(self, query: PageQuery, caller: Caller) -> Page:
        """Return rows ``[query.skip, query.skip + query.top)``, fewer only where the data ends. Raises GatewayError."""
        ...


class KeptPages(Protocol):
    """Source of pages in memory."""

    def peek(self, query: PageQuery, caller: Caller) -> Page | None:
        """Return the fresh cached page for ``query``, or None."""
        ...
