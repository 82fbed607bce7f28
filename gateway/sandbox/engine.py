"""Runs queries over the rows of one account: SQLite in memory, with one small integer per distinct text."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

from gateway.sandbox.accounts import SHRINK_PERCENT, Account
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.odata import Condition, FilterError
from gateway.sandbox.query import SandboxQuery
from gateway.sandbox.row_filter import MATCH_ALL, SqlCondition, sql_condition

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

    def condition(self) -> str:
        """Return the SQL condition for the rows of this view."""
        parts = ["1"]
        if self.weeks_back > 0:
            parts.append(f"age_weeks >= {self.weeks_back}")
        if self.first_rows is not None:
            parts.append(f"id < {self.first_rows}")
        if self.drop_some:
            # Drops one row in a thousand, starting with the first, so that every later row moves.
            parts.append("id % 1000 <> 0")
        return " AND ".join(parts)

    def count(self, column: str) -> str:
        """Return the SQL for a license count: smaller in the past, slightly larger after the next processing."""
        if self.weeks_back < 0:
            return f"({column} + 1 + {column} * 3 / 100)"
        return f"({column} * {100 - SHRINK_PERCENT * self.weeks_back} / 100)" if self.weeks_back else column

    def order(self) -> str:
        """Return the SQL order: the upstream's, or one that depends on the number in ``shuffle``."""
        return f"(id * 7919 + {self.shuffle * 104729}) % 99991, id" if self.shuffle else "id"


class Engine:
    """The rows of one account in one dataset. Thread-safe: a lock admits one query at a time."""

    def __init__(self, dataset: SandboxDataset, account: Account) -> None:
        self._dataset = dataset
        self._account = account
        self._lock = threading.Lock()
        self._texts = {field: _Texts() for field in dataset.fields}
        # A cached total takes a few hundred bytes.
        self._total = lru_cache(maxsize=512)(self._count)

    def execute(self, query: SandboxQuery, view: View) -> tuple[list[dict[str, object]], int]:
        """Return the rows or groups of the window, in upstream order with the Microsoft page's keys, and the total.

        The first query generates the account's rows; a large account takes seconds. Raises FilterError if the filter
        exceeds SQLite's limits.
        """
        try:
            with self._lock:
                connection = self._connection
                condition = self._condition(query.condition, view)
                source = f"FROM row WHERE {condition.sql}"
                if query.group_by:
                    source += f" GROUP BY {','.join(query.group_by)}"
                total = self._total(source, condition.parameters)
                records = connection.execute(*self._statement(source, condition.parameters, query, view)).fetchall()
        except sqlite3.OperationalError as error:
            raise FilterError("the filter is too complex") from error
        if query.group_by:
            return self._rows({}, query.group_by, records), total
        date = self._account.processed_at(view.weeks_back).isoformat()
        return self._rows({"processedDateTime": date}, self._dataset.fields, records), total

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        """The database with the account's rows."""
        connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        names = (*self._dataset.fields, *self._dataset.measures, "age_weeks")
        columns = ",".join(f"{name} INTEGER" for name in names)
        connection.execute(f"CREATE TABLE row (id INTEGER PRIMARY KEY, {columns})")
        coders = [texts.code for texts in self._texts.values()]
        records = (
            (number, *(code(text) for code, text in zip(coders, row.texts, strict=True)), *row.measures, row.age_weeks)
            for number, row in enumerate(self._dataset.generate(self._account))
        )
        placeholders = ",".join("?" * (len(names) + 1))
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO row VALUES ({placeholders})", records)  # noqa: S608 - fixed text
        # Measured: brings a filter of thousands of customers from seconds down to milliseconds.
        connection.execute(f"CREATE INDEX by_index_field ON row ({self._dataset.index_field})")
        connection.execute("COMMIT")
        return connection

    def _condition(self, condition: Condition | None, view: View) -> SqlCondition:
        selection = MATCH_ALL
        if condition is not None:
            selection = sql_condition(condition, lambda field, value: self._texts[field].equal(value, exact=view.exact))
        return SqlCondition(f"({selection.sql}) AND {view.condition()}", selection.parameters)

    def _count(self, source: str, parameters: tuple[int, ...]) -> int:
        sql = f"SELECT COUNT(*) FROM (SELECT 1 {source})"  # noqa: S608 - names and numbers only, values are bound
        return int(self._connection.execute(sql, parameters).fetchone()[0])

    def _statement(
        self, source: str, parameters: tuple[int, ...], query: SandboxQuery, view: View
    ) -> tuple[str, tuple[int, ...]]:
        """Return the SQL for the rows of a window, with the values of its placeholders."""
        measures, order = [view.count(measure) for measure in self._dataset.measures], view.order()
        if query.group_by:
            # Groups are ordered by their first row.
            measures, order = [f"SUM({measure})" for measure in measures], "MIN(id)"
        columns = ",".join((*(query.group_by or self._dataset.fields), *measures))
        # The text contains only field names and numbers; values are bound.
        sql = f"SELECT {columns} {source} ORDER BY {order} LIMIT ? OFFSET ?"
        return sql, (*parameters, query.top, min(query.skip, _MAX_SKIP_ROWS))

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
        for measure, counts in zip(self._dataset.measures, columns[len(fields) :], strict=False):
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
