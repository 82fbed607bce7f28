"""Views: all rows or groups of one query as a table, with the facts of its reading."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway.page import CacheState, PageWarning, Renderings
from gateway.paging.cursor import ViewMark
from gateway.scanning.scan import Reading

if TYPE_CHECKING:
    from gateway.views.table import Table


@dataclass(frozen=True, slots=True)
class View:
    """The rows or groups of a query. ``is_by_rows`` says that the gateway has grouped them, not the upstream.

    ``kept`` holds what was computed from the table, such as orders, as long as the view is cached.
    """

    table: Table
    reading: Reading
    is_by_rows: bool
    cache: CacheState = CacheState.MISS
    kept: Renderings | None = None
    stale_warnings: tuple[PageWarning, ...] = ()

    @property
    def mark(self) -> ViewMark:
        """What the cursors of this view say about it."""
        return ViewMark(self.is_by_rows, self.table.digest)

    @property
    def fetched_at(self) -> float:
        """When the oldest block was read, by the monotonic clock."""
        return self.reading.fetched_at

    @property
    def warnings(self) -> tuple[PageWarning, ...]:
        """The warnings of all blocks, and one if the view is stale."""
        return (*self.reading.warnings.values(), *self.stale_warnings)

    def having(self, **changes: Any) -> View:
        """Return a copy with the same table and other fields changed."""
        return replace(self, **changes)

    def get(self, key: Hashable) -> Any:
        """Return what is kept as ``key``, or None."""
        return None if self.kept is None else self.kept.get(key)

    def keep(self, key: Hashable, value: Any, size_bytes: int) -> None:
        """Keep ``value`` if there is room."""
        if self.kept is not None:
            self.kept.keep(key, value, size_bytes)
