"""The rows that operations hold in memory until they are answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import ServiceUnavailable

# Beyond this, about 100 MB, operations must not wait for further rows. Beyond twice this, they take none (our choice).
MAX_HELD_ROWS = 150_000

# The share of one token in either bound (our choice).
OWNER_SHARE = 0.5

# Most operations with many rows end sooner (our choice).
RETRY_SECONDS = 5


class HeldRows:
    """Counts the rows of all operations of a process, and refuses those that would hold too many.

    Rows count from their arrival. So nobody waits for an operation that waits for the upstream, or whose token the
    upstream refuses.
    """

    def __init__(self, limit: int = MAX_HELD_ROWS) -> None:
        self.limit = limit
        self._held: Counter[bytes] = Counter()

    @property
    def rows(self) -> int:
        """The rows that operations hold now."""
        return self._held.total()

    def operation(self, owner: bytes) -> OperationRows:
        """Return the count of a new operation of the token ``owner``."""
        return OperationRows(self, owner)

    def add(self, owner: bytes, rows: int) -> None:
        """Count rows, perhaps a negative number, of a token."""
        self._held[owner] += rows
        if not self._held[owner]:
            del self._held[owner]

    def exceed(self, owner: bytes, limit: int) -> bool:
        """Return True if all operations hold more rows than ``limit``, or those of one token more than its share."""
        return self.rows > limit or self._held[owner] > limit * OWNER_SHARE


class OperationRows:
    """The rows that one operation holds, and the number of loads that it waits for.

    An operation is never refused for its own rows alone.
    """

    __slots__ = ("_all", "_loading", "_owner", "_rows")

    def __init__(self, everything: HeldRows, owner: bytes) -> None:
        self._all = everything
        self._owner = owner
        self._rows = 0
        self._loading = 0

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Count a load until the context ends. Raises ServiceUnavailable if its rows must not be waited for."""
        self._require_room(self._all.limit)
        self._loading += 1
        try:
            yield
        finally:
            self._loading -= 1

    def add(self, rows: int) -> None:
        """Count rows that have arrived. Raises ServiceUnavailable if the operation must not keep them."""
        self._rows += rows
        self._all.add(self._owner, rows)
        self._require_room(self._all.limit if self._loading else 2 * self._all.limit)

    def release(self) -> None:
        """Note that the operation holds no rows any more."""
        self._all.add(self._owner, -self._rows)
        self._rows = 0

    def _require_room(self, limit: int) -> None:
        others = self._all.rows - self._rows
        if self._rows and others and self._all.exceed(self._owner, limit):
            raise ServiceUnavailable(
                "Operations with many rows fill the memory. Retry soon, or request fewer rows or fields at once.",
                retry_after_seconds=RETRY_SECONDS,
            )
