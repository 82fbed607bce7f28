"""The sizes of the blocks that rows are loaded in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BlockSizes:
    """Sizes of blocks: ``[0, first_rows)`` if that holds all rows needed, otherwise blocks of ``rows`` rows."""

    first_rows: int
    rows: int

    def covering(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return start and size of each block that rows ``[start, stop)`` lie in; ``stop`` is above ``start``."""
        if stop <= self.first_rows:
            return [(0, self.first_rows)]
        first = start - start % self.rows
        return [(skip, self.rows) for skip in range(first, stop, self.rows)]
