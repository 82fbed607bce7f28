"""Runs queries over the rows of one account: SQLite in memory, with one small integer per distinct text."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.sandbox.accounts import SHRINK_PERCENT, Account
from gateway.sandbox.dataset import Row, SandboxDataset
from gateway.sandbox.odata import Condition, FilterError
from gateway.sandbox.query import SandboxQuery
from gateway.sandbox.row_filter import MATCH_ALL, SqlCondition, sql_condition

# A cached total takes a few hundred bytes.
_MAX_CACHED_TOTALS: Final = 512
# Below SQLite's largest integer, 2^63 - 1, and beyond the rows of any account.
_MAX_SKIP_ROWS: Final = 2**62


@dataclass(frozen=True, slots=True)
class View:
    """A state of an account's data: the number of weeks back (-1 is the next processing) and the visible rows."""

    weeks_back: int = 0
    first_rows: int | None = None
    drop_some: bool = False
    exact: bool = False
    shuffle: int = 0

    def condition(self) -> SqlCondition:
        """Return the SQL condition for the rows of this view."""
        parts = ["1"]
        if self.weeks_back > 0:
            parts.append(f"age_weeks >= {self.weeks_back}")
        if self.first_rows is not None:
            parts.append(f"id < {self.first_rows}")
        if self.drop_some:
            # Drops one row in a thousand, starting with the first, so that every later row moves.
            parts.append("id % 1000 <> 0")
        return SqlCondition(" AND ".join(parts))

    def count(self, column: str) -> str:
        """Return the SQL for a license count: smaller in the past, slightly larger after the next processing."""
        if self.weeks_back < 0:
            return f"({column} + 1 + {column} * 3 / 100)"
        return f"({column} * {100 - SHRINK_PERCENT * self.weeks_back} / 100)" if self.weeks_back else column

    def order(self) -> str:
        """Return the SQL order: the upstream's, or one that depends on the number in ``shuffle``."""
        return f"(id * 7919 + {self.shuffle * 104729}) % 99991, id" if self.shuffle else "id"


@dataclass(frozen=True, slots=True)
class QueryResult:
    """The rows or groups of the window, in upstream order with the Microsoft page's keys, and the total number."""

    rows: list[dict[str, object]]
    total: int


class Engine:
    """The rows of one account in one dataset. Thread-safe: a lock admits one query at a time."""

    def __init__(self, dataset: SandboxDataset, account: Account) -> None:
        self.dataset = dataset
        self.account = account
        self._lock = threading.Lock()
        self._texts = {field: _Texts() for field in dataset.fields}
        self._totals: OrderedDict[tuple[str, tuple[int, ...]], int] = OrderedDict()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._fill(dataset.generate(account))

    def execute(self, query: SandboxQuery, view: View) -> QueryResult:
        """Run a query against a view. Raises FilterError if the filter exceeds SQLite's limits."""
        condition = self._condition(query.condition, view)
        source = f"FROM row WHERE {condition.sql}"
        if query.group_by:
            source += f" GROUP BY {','.join(query.group_by)}"
        try:
            with self._lock:
                total = self._total(source, condition.parameters)
                records = self._fetch(source, condition.parameters, query, view)
        except sqlite3.OperationalError as error:
            raise FilterError("the filter is too complex") from error
        if query.group_by:
            return QueryResult(self._rows({}, query.group_by, records), total)
        date = self.account.processed_at(view.weeks_back).isoformat()
        return QueryResult(self._rows({"processedDateTime": date}, self.dataset.fields, records), total)

    def close(self) -> None:
        """Close the database, which frees its memory."""
        self._connection.close()

    def _fill(self, rows: Iterable[Row]) -> None:
        names = (*self.dataset.fields, *self.dataset.measures, "age_weeks")
        columns = ",".join(f"{name} INTEGER" for name in names)
        self._connection.execute(f"CREATE TABLE row (id INTEGER PRIMARY KEY, {columns})")
        coders = [texts.code for texts in self._texts.values()]
        records = (
            (number, *(code(text) for code, text in zip(coders, row.texts, strict=True)), *row.measures, row.age_weeks)
            for number, row in enumerate(rows)
        )
        placeholders = ",".join("?" * (len(names) + 1))
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT INTO row VALUES ({placeholders})", records)  # noqa: S608 - fixed text
        # Measured: brings a filter of thousands of customers from seconds down to milliseconds.
        self._connection.execute(f"CREATE INDEX by_index_field ON row ({self.dataset.index_field})")
        self._connection.execute("COMMIT")

    def _condition(self, condition: Condition | None, view: View) -> SqlCondition:
        selection = MATCH_ALL
        if condition is not None:
            selection = sql_condition(condition, lambda field, value: self._texts[field].equal(value, exact=view.exact))
        visible = view.condition()
        return SqlCondition(f"({selection.sql}) AND {visible.sql}", selection.parameters)

    def _total(self, source: str, parameters: tuple[int, ...]) -> int:
        key = (source, parameters)
        if key not in self._totals:
            sql = f"SELECT COUNT(*) FROM (SELECT 1 {source})"  # noqa: S608 - names and numbers only, values are bound
            self._totals[key] = int(self._connection.execute(sql, parameters).fetchone()[0])
            if len(self._totals) > _MAX_CACHED_TOTALS:
                self._totals.popitem(last=False)
        self._totals.move_to_end(key)
        return self._totals[key]

    def _fetch(
        self, source: str, parameters: tuple[int, ...], query: SandboxQuery, view: View
    ) -> list[tuple[int, ...]]:
        measures, order = [view.count(measure) for measure in self.dataset.measures], view.order()
        if query.group_by:
            # Groups are ordered by their first row.
            measures, order = [f"SUM({measure})" for measure in measures], "MIN(id)"
        columns = ",".join((*(query.group_by or self.dataset.fields), *measures))
        # The text contains only field names and numbers; values are bound.
        sql = f"SELECT {columns} {source} ORDER BY {order} LIMIT ? OFFSET ?"
        window = (query.top, min(query.skip, _MAX_SKIP_ROWS))
        return self._connection.execute(sql, (*parameters, *window)).fetchall()

    def _rows(
        self, first_entries: dict[str, object], fields: tuple[str, ...], records: list[tuple[int, ...]]
    ) -> list[dict[str, object]]:
        """Return the records as rows, with texts for codes. Each row starts with ``first_entries``.

        Fills the rows column by column. Measured for 10,000 rows: 4.5 ms, against 11 ms with a zip per row.
        """
        rows = [first_entries.copy() for _ in records]
        columns = list(zip(*records, strict=True))
        for field, codes in zip(fields, columns, strict=False):
            texts = self._texts[field].texts
            for row, code in zip(rows, codes, strict=True):
                row[field] = texts[code]
        for measure, counts in zip(self.dataset.measures, columns[len(fields) :], strict=False):
            for row, count in zip(rows, counts, strict=True):
                row[measure] = count
        return rows


class _Texts:
    """The distinct texts of one column and their codes. Code 0 is null."""

    def __init__(self) -> None:
        self.texts: list[str | None] = [None]
        self._codes: dict[str | None, int] = {None: 0}
        self._folded: dict[str, list[int]] = {}

    def code(self, text: str | None) -> int:
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
            self._folded.setdefault((text or "").casefold(), []).append(code)
        return code

    def equal(self, value: str, *, exact: bool) -> frozenset[int]:
        """Return the codes of the texts equal to a value: verbatim, or case-insensitively."""
        if exact:
            return frozenset({self._codes[value]} if value in self._codes else ())
        return frozenset(self._folded.get(value.casefold(), ()))
