"""Deviations of an upstream in the queries it runs and the rows it returns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.sandbox.accounts import Account

_Row = dict[str, object]
DATE_KEY: Final = "processedDateTime"
# Age of Dynamics rows. Microsoft's license deployment documents of 2017 show four days; this is a milder case.
_CRM_LAG: Final = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The deviations of one response. The defaults follow the Microsoft page."""

    exact: bool = False
    """Filter values are case-sensitive."""
    first_rows: int | None = None
    """The account has only this many rows."""
    next_processing: bool = False
    """The data is that of the next processed date."""
    drop_some: bool = False
    """Some rows disappear with the next processed date."""
    recount: bool = False
    """The first row has one more in its first measure."""
    shuffle: int = 0
    """A number that selects a row order; 0 is upstream order."""
    blank: bool = False
    """The account is empty."""
    void: bool = False
    """The page is empty, and its link repeats its skip."""
    max_rows: int | None = None
    extra_rows: int = 0
    group_dates: bool = False
    """Groups have a processed date."""
    mixed_dates: bool = False
    """Dynamics rows have an earlier processed date than the others."""

    def weeks_back(self, account: Account, processed: datetime | None) -> int | None:
        """Return the weeks between a request's date and the latest; None if the account is empty or lacks the date."""
        newest = -1 if self.next_processing else 0
        if self.blank:
            return None
        return newest if processed is None else account.weeks_back(processed, newest=newest)

    def step(self, top: int) -> int:
        """Return how far the next link advances beyond the request's skip."""
        return 0 if self.void else min(top, self.max_rows or top)

    def row_limit(self, top: int) -> int:
        """Return the maximum number of rows in the response."""
        return 0 if self.void else self.step(top) + self.extra_rows

    def dated(self, rows: list[_Row], processed: datetime, *, grouped: bool) -> list[_Row]:
        """Add a date to groups and make Dynamics rows older, as the dialect specifies. May change rows in place."""
        if grouped and self.group_dates:
            rows = [{DATE_KEY: processed.isoformat(), **row} for row in rows]
        if self.mixed_dates:
            for row in rows:
                if row.get("serviceCode") == "crm" and DATE_KEY in row:
                    row[DATE_KEY] = (processed - _CRM_LAG).isoformat()
        return rows


STANDARD: Final = Dialect()
