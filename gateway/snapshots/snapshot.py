"""Snapshots: the identity of one processing of the upstream's data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from gateway.clocks.instant import instant


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


# That of rows without total and dates.
UNKNOWN_SNAPSHOT = Snapshot()


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
