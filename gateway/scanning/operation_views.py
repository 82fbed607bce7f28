"""The views that the fields of one operation use."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import SnapshotChanged
from gateway.page import CacheState, PageWarning
from gateway.scanning.scan import Reading
from gateway.scanning.view import View

if TYPE_CHECKING:
    from gateway.views.table import Table


@dataclass(frozen=True, slots=True)
class _Used:
    """A view that a field has used, without its table, which may be gone."""

    table: weakref.ref[Table]
    digest: bytes
    reading: Reading
    cache: CacheState
    stale_warnings: tuple[PageWarning, ...]


class OperationViews:
    """Lets all fields of an operation that read the same query in the same mode use one view.

    It keeps no table in memory: an operation may use ten large ones, one after the other.
    """

    def __init__(self) -> None:
        self._used: dict[tuple[str, bool], _Used] = {}

    def agreed(self, question: str, view: View) -> View:
        """Return the view of the query ``question`` that an earlier field has used, or else ``view``.

        Raises SnapshotChanged if the two differ and the earlier one is gone.
        """
        table = view.table
        own = _Used(weakref.ref(table), table.digest, view.reading, view.cache, view.stale_warnings)
        used = self._used.setdefault((question, view.is_by_rows), own)
        if used.digest == own.digest:
            return view
        earlier = used.table()
        if earlier is None:
            raise SnapshotChanged("The data was processed again while the operation ran. Send it again.")
        facts = {"reading": used.reading, "cache": used.cache, "stale_warnings": used.stale_warnings}
        return view.having(table=earlier, kept=None, **facts)
