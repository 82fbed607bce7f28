"""Views being built, and the demand for them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.errors import DeadlineExceeded
from gateway.scanning.scan import Progress
from gateway.scanning.scan_permits import ScanPermit
from gateway.scanning.view import View


@dataclass(slots=True)
class Demand:
    """The number of callers that wait for a view. The refresh of a stale view counts as one that is patient."""

    is_refresh: bool
    waiters: int

    def is_wanted(self) -> bool:
        """Return True if the view is still to be built."""
        return self.waiters > 0

    def is_patient(self) -> bool:
        """Return True if no caller waits, but only a refresh."""
        return self.is_refresh and self.waiters <= 1


@dataclass(slots=True)
class Building:
    """A view being built, whose token it is, the permit of its scan, and who waits for it."""

    task: asyncio.Task[View | None]
    locator: bytes
    progress: Progress
    permit: ScanPermit
    demand: Demand

    def late(self) -> DeadlineExceeded:
        """Return the error of a caller whose deadline has passed."""
        progress = self.progress
        facts = {"rowsRead": progress.rows_read, "rowsTotal": progress.rows_total}
        if self.permit.is_waiting:
            return DeadlineExceeded(
                "Timed out waiting for other queries of which all rows are read. Retry later, or request less at once.",
                progress=facts,
            )
        total = "" if progress.rows_total is None else f" of {progress.rows_total}"
        return DeadlineExceeded(
            f"Reading all rows of the query takes longer than one operation may. {progress.rows_read}{total} are read."
            " Ask again to continue.",
            progress=facts,
        )
