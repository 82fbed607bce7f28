"""The gateway's internal contract: a Caller fetches Pages from a PageSource.

Cache, single-flight, block reader, client and fakes are all PageSources, so they can wrap each other.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from operator import attrgetter
from typing import Any, Protocol

from gateway.access_token import AccessToken
from gateway.clocks.clock import SYSTEM_CLOCK
from gateway.clocks.instant import instant
from gateway.errors import QueryTooComplex
from gateway.held_rows import OperationRows
from gateway.query import PageQuery


@dataclass(slots=True)
class Cost:
    """The upstream attempts that one operation has started so far, and the rows that they returned.

    Joined calls count for the operation that started them. Calls in the background count for none.
    """

    upstream_calls: int = 0
    rows_read: int = 0


class Budget:
    """Budget of upstream calls for one operation, or for one block of an export.

    A fetch reserves one call before it starts, because fields run concurrently, and settles the calls behind its page
    afterwards, including those that it joined. UpstreamClient counts the actual ``cost``.
    """

    __slots__ = ("cost", "max_calls", "spent_calls")

    def __init__(self, max_calls: int, cost: Cost | None = None) -> None:
        self.max_calls = max_calls
        self.spent_calls = 0
        self.cost = Cost() if cost is None else cost

    def reserve(self) -> None:
        """Reserve one call. Raises QueryTooComplex if the budget is used up."""
        if self.spent_calls >= self.max_calls:
            raise QueryTooComplex(
                f"This operation needs more than {self.max_calls} upstream calls. Request fewer rows or fields at once."
            )
        self.spent_calls += 1

    def settle(self, calls: int) -> None:
        """Replace a reserved call by the number of ``calls`` made, 0 for a cache hit."""
        self.spent_calls += calls - 1


class Ahead:
    """Marks a fetch that was started before anyone needed its rows. ``is_needed`` becomes True when somebody does."""

    __slots__ = ("_awaited", "is_needed")

    def __init__(self) -> None:
        self.is_needed = False
        # The fetches that this one waits for.
        self._awaited: list[Ahead] = []

    def need(self) -> None:
        """Note that somebody needs the rows, and thus those of every fetch that this one waits for."""
        if not self.is_needed:
            self.is_needed = True
            for other in self._awaited:
                other.need()

    def wait_for(self, other: Ahead) -> None:
        """Note that this fetch waits for ``other``, which is needed as soon as this one is."""
        self._awaited.append(other)
        if self.is_needed:
            other.need()


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of an operation. Results belong to token and locale; the other fields belong to this operation only.

    ``deadline`` is in seconds on the event loop's clock. ``ahead`` is set if the rows are fetched ahead. ``held``
    counts the rows that the operation keeps.
    """

    token: AccessToken
    locale: str | None = None
    correlation_id: str = field(default="", compare=False)
    deadline: float = field(default=float("inf"), compare=False)
    budget: Budget = field(default_factory=lambda: Budget(1_000_000), compare=False, repr=False)
    ahead: Ahead | None = field(default=None, compare=False)
    held: OperationRows | None = field(default=None, compare=False, repr=False)

    @property
    def is_ahead(self) -> bool:
        """True while no one needs the rows."""
        return self.ahead is not None and not self.ahead.is_needed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Snapshot of the data: the usable total, and each service's processed date.

    ``dates`` holds sorted pairs of service and date, as the upstream wrote it; dates are compared as instants. A
    service with two dates in one page is left out, because it identifies no single snapshot.
    """

    total_count: int | None = None
    dates: tuple[tuple[str, str], ...] = ()

    def differs_in_total(self, other: Snapshot) -> bool:
        """Return True if both have a total, and not the same."""
        return None not in (self.total_count, other.total_count) and self.total_count != other.total_count

    def conflicts(self, other: Snapshot) -> bool:
        """Return True if the two cannot come from the same snapshot."""
        if self.differs_in_total(other):
            return True
        if self.dates == other.dates:
            return False
        known = dict(self.dates)
        return any(instant(known.get(service, date)) != instant(date) for service, date in other.dates)

    def merged(self, other: Snapshot) -> Snapshot:
        """Combine two snapshots of the same data. If their dates differ, those of this one count."""
        total = self.total_count if self.total_count is not None else other.total_count
        return Snapshot(total, tuple(sorted({**dict(other.dates), **dict(self.dates)}.items())))


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
    ``fetched_at`` is by the monotonic clock. ``calls`` counts the upstream calls of this fetch, 0 for a cache hit. A
    page outside the cache has no ``renderings``.
    """

    rows: Sequence[Any]
    skip: int = 0
    more: bool | None = False
    total_count: int | None = None
    snapshot: Snapshot = Snapshot()
    warnings: tuple[PageWarning, ...] = ()
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
        is_unmarked = not self.rows and self.more is False and self.snapshot == Snapshot()
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


def snapshot_of(rows: Sequence[Any], *, service: str, date: str, total_count: int | None) -> Snapshot:
    """Return the snapshot of ``rows`` from their attributes ``service`` and ``date``."""
    seen: dict[str, str | None] = {}
    for name, when in _pairs(rows, service, date):
        if when is not None:
            known = seen.setdefault(name or "", when)
            if known is not None and known != when:
                # Of several spellings of one instant, keep the same one each time.
                seen[name or ""] = min(known, when) if instant(known) == instant(when) else None
    return Snapshot(total_count, tuple(sorted((key, when) for key, when in seen.items() if when is not None)))


def _pairs(rows: Sequence[Any], service: str, date: str) -> Iterable[tuple[str | None, str | None]]:
    dates = set(map(attrgetter(date), rows))
    if len(dates) > 1:
        return set(map(attrgetter(service, date), rows))
    # Usually there is one date; a set of strings takes a third of the time of a set of pairs.
    return [(name, when) for name in set(map(attrgetter(service), rows)) for when in dates]
