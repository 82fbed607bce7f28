"""What each token's rows are and were: the model that answers are judged by, and what the gated upstream tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.page import AccessToken
from gateway.query import Comparison, PageQuery
from tests.gateway.upstream.scripted import DATASET

# Service, number and date of one row; the token and the locale that see it are told by the upstream itself.
Row = tuple[str, int, str]
Rows = tuple[Row, ...]

FILTERS = (None, Comparison("serviceCode", "eq", "crm"), Comparison("serviceCode", "ne", "crm"))


def query(filter_number: int, skip: int = 0, top: int = 0) -> PageQuery:
    """A question of the model."""
    return PageQuery(DATASET, filter=FILTERS[filter_number], skip=skip, top=top)


def matching(rows: Rows, filter_number: int) -> Rows:
    """The rows that pass a filter."""
    return tuple(row for row in rows if filter_number == 0 or (row[0] == "crm") is (filter_number == 1))


@dataclass
class Timeline:
    """One token's data. ``tells_total`` is whether its TotalCount is usable; ``cap_rows`` what one reply has at most.

    Services alternate, so that no two replies of several rows lack a common one, and a change always shows: processing
    anew gives every row another date, and a growing total never returns to what it was under the same date.
    """

    token: AccessToken
    name: str
    rows: Rows = ()
    tells_total: bool = True
    cap_rows: int = 1_000
    numbers: int = 0
    processings: int = 0
    # What was current from when on, oldest first.
    versions: list[tuple[float, Rows]] = field(default_factory=list)
    # The moments at which the upstream said that there is nothing.
    empty_moments: set[float] = field(default_factory=set)

    def process(self, now: float, rows: int) -> None:
        """Process the data anew: other rows, another date.

        Without totals there never are fewer: an empty reply would then tell nothing of which data it is empty.
        """
        rows = rows if self.tells_total else max(rows, len(self.rows))
        self.processings += 1
        date = f"2026-01-{self.processings:02d}T00:00:00"
        self.rows = tuple((("crm", "o365")[i % 2], self._number(), date) for i in range(rows))
        self.versions.append((now, self.rows))

    def grow(self, now: float, place: int) -> None:
        """Add a row of each service in the middle. Where no total tells of it, the date does."""
        if not self.tells_total or not self.rows:
            self.process(now, len(self.rows) + 2)
            return
        date = self.rows[0][2]
        place = place % (len(self.rows) // 2 + 1) * 2
        pair: Rows = (("crm", self._number(), date), ("o365", self._number(), date))
        self.rows = (*self.rows[:place], *pair, *self.rows[place:])
        self.versions.append((now, self.rows))

    def at(self, moment: float, filter_number: int) -> set[Rows]:
        """Every answer to a question that the upstream gave, or would have given, at a moment."""
        past = [rows for since, rows in self.versions if since <= moment]
        found = {matching(past[-1], filter_number)} if past else set()
        return found | ({()} if moment in self.empty_moments else set())

    def between(self, start: float, stop: float, filter_number: int) -> set[Rows]:
        """Every answer that was true at some time from ``start`` to ``stop``."""
        moments = [start, *(since for since, _ in self.versions if start < since <= stop)]
        moments += [moment for moment in self.empty_moments if start <= moment <= stop]
        return set().union(*(self.at(moment, filter_number) for moment in moments))

    def reply(self, filter_number: int, skip: int, top: int, locale: str | None) -> dict[str, Any]:
        """What the upstream says of its present rows."""
        rows = matching(self.rows, filter_number)
        shown = rows[skip : skip + min(top, self.cap_rows)]
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
            "TotalCount": len(rows) if self.tells_total else None,
        }

    def _number(self) -> int:
        self.numbers += 1
        return self.numbers
