"""The rows that operations hold in memory until they are answered."""

from __future__ import annotations

from collections import Counter

from gateway.errors import ServiceUnavailable

# About 50 MB (our choice): the rows of seven largest pages.
MAX_HELD_ROWS = 75_000

# Most operations with many rows end sooner (our choice).
RETRY_SECONDS = 5


class HeldRows:
    """Counts the rows of all operations of each token, and refuses operations of a token that holds too many.

    Rows count from their arrival. Each token is counted alone, and operations are refused at once instead of waiting.
    """

    def __init__(self, limit: int = MAX_HELD_ROWS) -> None:
        self.limit = limit
        self._held: Counter[bytes] = Counter()

    def operation(self, owner: bytes) -> OperationRows:
        """Return the count of a new operation of the token ``owner``."""
        return OperationRows(self, owner)

    def add(self, owner: bytes, rows: int) -> None:
        """Count rows, perhaps a negative number, of a token."""
        self._held[owner] += rows
        if not self._held[owner]:
            del self._held[owner]

    def held_by(self, owner: bytes) -> int:
        """Return the rows that all operations of a token hold."""
        return self._held[owner]


class OperationRows:
    """The rows that one operation holds. It is never refused for its own rows alone."""

    __slots__ = ("_all", "_owner", "_rows")

    def __init__(self, everything: HeldRows, owner: bytes) -> None:
        self._all = everything
        self._owner = owner
        self._rows = 0

    def before_load(self) -> None:
        """Raise ServiceUnavailable if the operation must not wait for further rows with those that it holds.

        An operation without rows may always wait.
        """
        if self._rows:
            self._require_room(0)

    def add(self, rows: int) -> None:
        """Count rows that have arrived. Raises ServiceUnavailable if there is no room, and does not count them then."""
        self._require_room(rows)
        self._rows += rows
        self._all.add(self._owner, rows)

    def release(self) -> None:
        """Note that the operation holds no rows any more."""
        self._all.add(self._owner, -self._rows)
        self._rows = 0

    def _require_room(self, rows: int) -> None:
        held = self._all.held_by(self._owner)
        if held > self._rows and held + rows > self._all.limit:
            raise ServiceUnavailable(
                "This token's operations hold many rows at once. Retry soon, or request fewer rows or fields at once.",
                retry_after_seconds=RETRY_SECONDS,
            )
