"""The present and past rows of each token: the model for the checker, and the data of the gated upstream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.access_token import AccessToken
from gateway.query import Comparison, PageQuery
from tests.gateway.upstream.scripted import DATASET

# Service, number and date of one row; the upstream adds its token and locale.
Row = tuple[str, int, str]
Rows = tuple[Row, ...]

FILTERS = (None, Comparison("serviceCode", "eq", "crm"), Comparison("serviceCode", "ne", "crm"))


def page_query(filter_number: int, skip: int = 0, top: int = 0) -> PageQuery:
    """Build a query with one of the filters."""
    return PageQuery(DATASET, filter=FILTERS[filter_number], skip=skip, top=top)


def matching(rows: Rows, filter_number: int) -> Rows:
    """Return the rows that pass a filter."""
    return tuple(row for row in rows if filter_number == 0 or (row[0] == "crm") is (filter_number == 1))


@dataclass
class Timeline:
    """One token's data. ``has_total``: its TotalCount is usable. ``max_page_rows``: the most rows of one page.

    Services alternate, so that any two pages of several rows share a service. Every change is visible: reprocessing
    gives all rows another date, and under one date the total only grows.
    """

    token: AccessToken
    name: str
    rows: Rows = ()
    has_total: bool = True
    max_page_rows: int = 1_000
    numbers: int = 0
    processings: int = 0
    # The rows with the time since when they were current, oldest first.
    versions: list[tuple[float, Rows]] = field(default_factory=list)
    # The times at which the upstream returned an empty page.
    empty_moments: set[float] = field(default_factory=set)

    def process(self, now: float, rows: int) -> None:
        """Reprocess the data: other rows, another date.

        Without totals the number of rows never shrinks: an empty page could not be attributed to a version.
        """
        rows = rows if self.has_total else max(rows, len(self.rows))
        self.processings += 1
        date = f"2026-01-{self.processings:02d}T00:00:00"
        self.rows = tuple((("crm", "o365")[i % 2], self._number(), date) for i in range(rows))
        self.versions.append((now, self.rows))

    def grow(self, now: float, place: int) -> None:
        """Add a row of each service in the middle. Without totals reprocess, so that the date shows the change."""
        if not self.has_total or not self.rows:
            self.process(now, len(self.rows) + 2)
            return
        date = self.rows[0][2]
        place = place % (len(self.rows) // 2 + 1) * 2
        pair: Rows = (("crm", self._number(), date), ("o365", self._number(), date))
        self.rows = (*self.rows[:place], *pair, *self.rows[place:])
        self.versions.append((now, self.rows))

    def at(self, moment: float, filter_number: int) -> set[Rows]:
        """Return every result that the upstream returned, or would have returned, at one time."""
        past = [rows for since, rows in self.versions if since <= moment]
        results = {matching(past[-1], filter_number)} if past else set()
        return results | ({()} if moment in self.empty_moments else set())

    def between(self, start: float, stop: float, filter_number: int) -> set[Rows]:
        """Return every result that was current at some time from ``start`` to ``stop``."""
        moments = [start, *(since for since, _ in self.versions if start < since <= stop)]
        moments += [moment for moment in self.empty_moments if start <= moment <= stop]
        return set().union(*(self.at(moment, filter_number) for moment in moments))

    def page(self, filter_number: int, skip: int, top: int, locale: str | None) -> dict[str, Any]:
        """Return the upstream's page of the present rows."""
        rows = matching(self.rows, filter_number)
        shown = rows[skip : skip + min(top, self.max_page_rows)]
        more = skip + len(shown) < len(rows)
        return {
            "Value": [
                {
                    "serviceCode": service,
                    "serviceName": locale,
                    "customerName": self.name,
                    "licensesSold": number,
                    "processedDateTime": date,
                }
                for service, number, date in shown
            ],
            "@nextLink": "more" if more else None,
            "TotalCount": len(rows) if self.has_total else None,
        }

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers
