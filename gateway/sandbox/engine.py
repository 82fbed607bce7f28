"""Runs queries over the rows of one account: SQLite in memory, with one small integer per distinct text."""

from __future__ import annotations

import sqlite3
import threading
from functools import cached_property, lru_cache
from typing import Final

from gateway.sandbox.accounts import SHRINK_PERCENT, Account
from gateway.sandbox.dataset import SandboxDataset
from gateway.sandbox.dialect import STANDARD, Dialect
from gateway.sandbox.odata import Condition, FilterError
from gateway.sandbox.parameters import SandboxQuery
from gateway.sandbox.row_filter import MATCH_ALL, SqlCondition, sql_condition

# Below SQLite's largest integer, 2^63 - 1, and beyond the rows of any account.
_MAX_SKIP_ROWS: Final = 2**62


class Engine:
    """The rows of one account in one dataset. Thread-safe: a lock admits one query at a time."""

    def __init__(self, dataset: SandboxDataset, account: Account) -> None:
        self._dataset = dataset
        self._account = account
        self._lock = threading.Lock()
        self._texts = {field: _Texts() for field in dataset.fields}
        # A cached total takes a few hundred bytes.
        self._total = lru_cache(maxsize=512)(self._count)

    def execute(
        self, query: SandboxQuery, weeks_back: int = 0, dialect: Dialect = STANDARD
    ) -> tuple[list[dict[str, object]], int]:
        """Return the rows or groups of the window, in upstream order with the Microsoft page's keys, and the total.

        ``weeks_back`` selects the processed date; -1 is the next processing. The first query generates the account's
        rows; a large account takes seconds. Raises FilterError if the filter exceeds SQLite's limits.
        """
        try:
            with self._lock:
                connection = self._connection
                condition = self._condition(query.condition, dialect)
                source = f"FROM row WHERE ({condition.sql}) AND {_visible(weeks_back, dialect)}"
                if query.group_by:
                    source += f" GROUP BY {','.join(query.group_by)}"
                total = self._total(source, condition.parameters)
                columns = self._columns(query.group_by, weeks_back, dialect)
                order = _order(query.group_by, dialect.shuffle)
                # The text contains only field names and numbers; values are bound.
                sql = f"SELECT {columns} {source} ORDER BY {order} LIMIT ? OFFSET ?"
                window = (query.top, min(query.skip, _MAX_SKIP_ROWS))
                records = connection.execute(sql, (*condition.parameters, *window)).fetchall()
        except sqlite3.OperationalError as error:
            raise FilterError("the filter is too complex") from error
        if query.group_by:
            return self._rows({}, query.group_by, records), total
        date = self._account.processed_at(weeks_back).isoformat()
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

    def _condition(self, condition: Condition | None, dialect: Dialect) -> SqlCondition:
        if condition is None:
            return MATCH_ALL
        return sql_condition(condition, lambda field, value: self._texts[field].equal(value, exact=dialect.exact))

    def _count(self, source: str, parameters: tuple[int, ...]) -> int:
        sql = f"SELECT COUNT(*) FROM (SELECT 1 {source})"  # noqa: S608 - names and numbers only, values are bound
        return int(self._connection.execute(sql, parameters).fetchone()[0])

    def _columns(self, group_by: tuple[str, ...], weeks_back: int, dialect: Dialect) -> str:
        """Return the SQL for the columns of a row or group. Counts are smaller in the past."""
        measures = [_measure(name, weeks_back) for name in self._dataset.measures]
        if dialect.recount:
            measures[0] = f"({measures[0]} + (id = 0))"
        if group_by:
            measures = [f"SUM({measure})" for measure in measures]
        return ",".join((*(group_by or self._dataset.fields), *measures))

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


def _visible(weeks_back: int, dialect: Dialect) -> str:
    parts = ["1"]
    if weeks_back > 0:
        parts.append(f"age_weeks >= {weeks_back}")
    if dialect.first_rows is not None:
        parts.append(f"id < {dialect.first_rows}")
    if weeks_back < 0 and dialect.drop_some:
        # Drops one row in a thousand, starting with the first, so that every later row moves.
        parts.append("id % 1000 <> 0")
    return " AND ".join(parts)


def _measure(name: str, weeks_back: int) -> str:
    if weeks_back < 0:
        return f"({name} + 1 + {name} * 3 / 100)"
    return f"({name} * {100 - SHRINK_PERCENT * weeks_back} / 100)" if weeks_back else name


def _order(group_by: tuple[str, ...], shuffle: int) -> str:
    """Return the SQL order: the upstream's, or one that depends on the number in ``shuffle``."""
    if group_by:
        # Groups are ordered by their first row.
        return "MIN(id)"
    return f"(id * 7919 + {shuffle * 104729}) % 99991, id" if shuffle else "id"


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
