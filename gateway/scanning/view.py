"""Views: all rows or groups of one query as a table, with the facts of its reading."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from gateway.cache.renderings import KeptRenderings
from gateway.page import CacheState, PageWarning
from gateway.paging.cursor import ViewMark
from gateway.scanning.computations import TokenComputations
from gateway.scanning.scan import Reading
from gateway.scanning.tables import INLINE_ROWS, PackedTable, packed_table, runner
from gateway.scheduling.worker_thread import InThread, in_pieces, inline
from gateway.views.pieces import Pieces, whole
from gateway.views.refinement import Refinement

if TYPE_CHECKING:
    from gateway.views.measure_column import Rows
    from gateway.views.table import Table
    from gateway.views.totals import Totals

Item = TypeVar("Item", bound=msgspec.Struct)
Result = TypeVar("Result")

# The size of a table of 1,000 rows whose texts are all different. Longer texts take longer to order and to search.
INLINE_BYTES = 262_144

# The totals of a view with their names (rounded up).
TOTALS_BYTES = 2_048


@dataclass(frozen=True, slots=True)
class View:
    """The rows or groups of a query. ``is_by_rows`` says that the gateway has grouped them, not the upstream.

    ``dimensions`` are those that the rows have. ``computations`` are those of the view's token. ``kept`` holds what was
    computed from the table, such as orders, as long as the view is cached.
    """

    table: Table
    reading: Reading
    dimensions: tuple[str, ...]
    is_by_rows: bool
    computations: TokenComputations
    cache: CacheState = CacheState.MISS
    kept: KeptRenderings | None = None
    stale_warnings: tuple[PageWarning, ...] = ()

    @property
    def mark(self) -> ViewMark:
        """The mark in the cursors of this view."""
        return ViewMark(self.is_by_rows, self.table.digest)

    @property
    def fetched_at(self) -> float:
        """When the oldest block was read, by the monotonic clock."""
        return self.reading.fetched_at

    @property
    def is_incomplete(self) -> bool:
        """True if the upstream promised more rows than it returned."""
        return self.reading.is_incomplete

    @property
    def warnings(self) -> tuple[PageWarning, ...]:
        """The warnings of all blocks, and one if the view is stale."""
        return (*self.reading.warnings.values(), *self.stale_warnings)

    @property
    def content(self) -> Table:
        """The part that the cache packs. Only the cache has packed views."""
        return self.table

    def with_content(self, content: Table, renderings: KeptRenderings | None = None) -> View:
        """Return a copy with the same table in another form."""
        return replace(self, table=content, kept=renderings)

    async def packed(self, in_thread: InThread) -> PackedTable | None:
        """Return the packed table; None if it cannot be packed."""
        return await packed_table(self.table, in_thread)

    def having(self, **changes: Any) -> View:
        """Return a copy with the same table and other fields changed."""
        return replace(self, **changes)

    async def numbers(self, refinement: Refinement) -> Rows:
        """Return the numbers of the rows that ``refinement`` selects, in its order."""
        key = ("numbers", refinement.key)
        return await self._computed(key, lambda: self._arranging(refinement), _array_bytes)

    async def totals(self, refinement: Refinement) -> Totals:
        """Return the totals of the rows that ``refinement`` selects."""
        unordered = refinement.unordered()
        # They do not depend on the order, but an order that is kept already has the rows.
        numbers = await self.numbers(unordered) if unordered.text else None
        key = ("totals", unordered.key)
        return await self._computed(key, lambda: self._totaling(numbers), lambda _: TOTALS_BYTES)

    async def out_of_range(self, names: frozenset[str], numbers: Rows | None = None) -> int:
        """Count the values of the measures ``names`` that do not fit into 64 bits, in some rows or in all."""
        measures = sorted(names & {*self.table.measures, *self._derived_names})
        if not measures:
            return 0
        if numbers is not None:
            run = runner(len(numbers), self.computations.in_thread)
            return await run(whole, self._counting(measures, numbers))
        key = ("out of range", *measures)
        return await self._computed(key, lambda: self._counting(measures, None), lambda _: 0)

    async def items(self, numbers: Rows, item: type[Item]) -> tuple[Item, ...]:
        """Return the rows ``numbers`` as structs of the type ``item``."""
        run = runner(len(numbers), self.computations.in_thread)
        return await run(self._drawn, numbers, item)

    def permit(self) -> AbstractAsyncContextManager[None]:
        """Wait for the permit of a computation over the whole table, and hold it during the context."""
        if self._is_small:
            return nullcontext()
        return self.computations.permit(self, len(self.table), is_further=self.is_by_rows)

    @property
    def uncounted(self) -> tuple[int, int]:
        """The identity of the table and its bytes, 0 if the view is cached."""
        is_counted = self.kept is not None and self.kept.is_current
        return id(self.table), 0 if is_counted else self.table.size_bytes

    @property
    def _is_small(self) -> bool:
        """True if computations over the whole table run in the event loop: it has few rows and short texts."""
        return len(self.table) <= INLINE_ROWS and self.table.size_bytes <= INLINE_BYTES

    async def _computed(
        self, key: Hashable, start: Callable[[], Pieces[Result]], size_bytes: Callable[[Result], int]
    ) -> Result:
        """Return the value kept as ``key``; compute it if it is missing."""
        result: Result | None = self._kept(key)
        if result is not None:
            return result
        async with self.permit():
            # Meanwhile another caller may have computed it.
            result = self._kept(key)
            if result is None:
                result = await in_pieces(inline if self._is_small else self.computations.in_thread, start())
                self._keep(key, result, size_bytes(result))
            return result

    def _kept(self, key: Hashable) -> Any:
        return None if self.kept is None else self.kept.get(key)

    def _keep(self, key: Hashable, result: Any, size_bytes: int) -> None:
        if self.kept is not None:
            # The table keeps ranks itself.
            self.kept.resize(self.table.size_bytes)
            self.kept.keep(key, result, size_bytes)

    def _arranging(self, refinement: Refinement) -> Pieces[Rows]:
        from gateway.views.arrangement import arranging

        return arranging(self.table, refinement, self.dimensions)

    def _totaling(self, numbers: Rows | None) -> Pieces[Totals]:
        from gateway.views.totals import totaling

        return totaling(self.table, numbers)

    def _counting(self, names: list[str], numbers: Rows | None) -> Pieces[int]:
        from gateway.views.measures import counting_out_of_range

        return counting_out_of_range(self.table, names, numbers)

    def _drawn(self, numbers: Rows, item: type[Item]) -> tuple[Item, ...]:
        from gateway.views.drawing import draw

        return draw(self.table, numbers, item)

    @property
    def _derived_names(self) -> tuple[str, ...]:
        return tuple(derived.name for derived in self.table.dataset.derived)


def _array_bytes(array: Rows) -> int:
    size: int = array.nbytes
    return size
