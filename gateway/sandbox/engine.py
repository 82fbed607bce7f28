"""Answers questions about the rows of one account: SQLite in memory, one small integer for each distinct text."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from gateway.sandbox.odata import Condition, FilterError
from gateway.sandbox.rows import FIELDS, SHRINK_PERCENT, Account, Row, generate
from gateway.sandbox.where import EVERYTHING, Where, where

# Each remembered total costs a few hundred bytes.
_REMEMBERED_TOTALS: Final = 512
# SQLite's integers end at 2^63; no account has as many rows.
_MOST_ROWS: Final = 2**62


@dataclass(frozen=True, slots=True)
class View:
    """Which state of an account's data is seen: how many weeks back (-1: the next processing), and which rows."""

    weeks_back: int = 0
    first_rows: int | None = None
    drop_some: bool = False
    exact: bool = False
    shuffle: int = 0

    def condition(self) -> Where:
        """The rows of this view, in SQL."""
        parts = ["1"]
        if self.weeks_back > 0:
            parts.append(f"age_weeks >= {self.weeks_back}")
        if self.first_rows is not None:
            parts.append(f"id < {self.first_rows}")
        if self.drop_some:
            # One row in a thousand disappears, the very first among them, so every later row moves.
            parts.append("id % 1000 <> 0")
        return Where(" AND ".join(parts))

    def count(self, column: str) -> str:
        """A licence count of this view, in SQL: smaller in the past, slightly larger after the next processing."""
        if self.weeks_back < 0:
            return f"({column} + 1 + {column} * 3 / 100)"
        return f"({column} * {100 - SHRINK_PERCENT * self.weeks_back} / 100)" if self.weeks_back else column

    def order(self) -> str:
        """The upstream's order, or, when shuffled, one that differs from number to number."""
        return f"(id * 7919 + {self.shuffle * 104729}) % 99991, id" if self.shuffle else "id"


@dataclass(frozen=True, slots=True)
class Question:
    """A filter, the fields to group by (none: plain rows), and the window of rows or groups to give."""

    condition: Condition | None
    group_by: tuple[str, ...]
    top: int
    skip: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows or groups of the window in upstream order, keys as in the Microsoft page, and the number of them all."""

    rows: list[dict[str, object]]
    total: int


class Engine:
    """The rows of one account. Safe to use from many threads: they take turns."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self._lock = threading.Lock()
        self._texts = {field: _Texts() for field in FIELDS}
        self._totals: OrderedDict[tuple[str, tuple[int, ...]], int] = OrderedDict()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._fill(generate(account))

    def ask(self, question: Question, view: View) -> Answer:
        """The answer as of a view. Raises FilterError when the filter is more than SQLite can take."""
        condition = self._where(question.condition, view)
        source = f"FROM row WHERE {condition.sql}"
        if question.group_by:
            source += f" GROUP BY {','.join(question.group_by)}"
        try:
            with self._lock:
                total = self._total(source, condition.parameters)
                fetched = self._fetch(source, condition.parameters, question, view)
        except sqlite3.OperationalError as error:
            raise FilterError("the filter is too complex") from error
        if question.group_by:
            return Answer(list(self._groups(question.group_by, fetched)), total)
        return Answer(list(self._plain(self.account.processed_at(view.weeks_back).isoformat(), fetched)), total)

    def close(self) -> None:
        """Frees the memory of the rows."""
        self._connection.close()

    def _fill(self, rows: Iterable[Row]) -> None:
        columns = ",".join(f"{field} INTEGER" for field in FIELDS)
        self._connection.execute(
            f"CREATE TABLE row (id INTEGER PRIMARY KEY, {columns}, deployed INTEGER, sold INTEGER, age_weeks INTEGER)"
        )
        coders = [texts.code for texts in self._texts.values()]
        coded = (
            (number, *(code(text) for code, text in zip(coders, row[:7], strict=True)), *row[7:])
            for number, row in enumerate(rows)
        )
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT INTO row VALUES ({','.join('?' * 11)})", coded)  # noqa: S608 - fixed text
        # Turns a chain of thousands of customers from seconds into milliseconds.
        self._connection.execute("CREATE INDEX by_customer ON row (customerTenantId)")
        self._connection.execute("COMMIT")

    def _where(self, condition: Condition | None, view: View) -> Where:
        chosen = EVERYTHING
        if condition is not None:
            chosen = where(condition, lambda field, value: self._texts[field].equal(value, exact=view.exact))
        seen = view.condition()
        return Where(f"({chosen.sql}) AND {seen.sql}", chosen.parameters)

    def _total(self, source: str, parameters: tuple[int, ...]) -> int:
        key = (source, parameters)
        if key not in self._totals:
            sql = f"SELECT COUNT(*) FROM (SELECT 1 {source})"  # noqa: S608 - names and numbers only, values are bound
            self._totals[key] = int(self._connection.execute(sql, parameters).fetchone()[0])
            if len(self._totals) > _REMEMBERED_TOTALS:
                self._totals.popitem(last=False)
        self._totals.move_to_end(key)
        return self._totals[key]

    def _fetch(self, source: str, parameters: tuple[int, ...], question: Question, view: View) -> list[tuple[int, ...]]:
        deployed, sold, order = view.count("deployed"), view.count("sold"), view.order()
        if question.group_by:
            # Groups come in the order in which their first row appears.
            deployed, sold, order = f"SUM({deployed})", f"SUM({sold})", "MIN(id)"
        fields = ",".join(question.group_by or FIELDS)
        # Only names of the field list and numbers are written into the text; values are bound.
        sql = f"SELECT {fields},{deployed},{sold} {source} ORDER BY {order} LIMIT ? OFFSET ?"
        window = (question.top, min(question.skip, _MOST_ROWS))
        return self._connection.execute(sql, (*parameters, *window)).fetchall()

    def _groups(self, fields: tuple[str, ...], fetched: list[tuple[int, ...]]) -> Iterator[dict[str, object]]:
        columns = [self._texts[field].texts for field in fields]
        for values in fetched:
            *codes, deployed, sold = values
            group: dict[str, object] = {
                field: texts[code] for field, texts, code in zip(fields, columns, codes, strict=True)
            }
            group["licensesDeployed"] = deployed
            group["licensesSold"] = sold
            yield group

    def _plain(self, date: str, fetched: list[tuple[int, ...]]) -> Iterator[dict[str, object]]:
        # Written out, because ten thousand rows in a loop over names take four times as long.
        codes, names, channels, tenants, customers, products, titles = (texts.texts for texts in self._texts.values())
        for code, name, channel, tenant, customer, product, title, deployed, sold in fetched:
            yield {
                "processedDateTime": date,
                "serviceCode": codes[code],
                "serviceName": names[name],
                "channel": channels[channel],
                "customerTenantId": tenants[tenant],
                "customerName": customers[customer],
                "productId": products[product],
                "productName": titles[title],
                "licensesDeployed": deployed,
                "licensesSold": sold,
            }


class _Texts:
    """The distinct texts of one column and their codes; code 0 is null."""

    def __init__(self) -> None:
        self.texts: list[str | None] = [None]
        self._codes: dict[str | None, int] = {None: 0}
        self._folded: dict[str, list[int]] = {}

    def code(self, text: str | None) -> int:
        known = self._codes.get(text)
        if known is None:
            known = self._codes[text] = len(self.texts)
            self.texts.append(text)
            self._folded.setdefault((text or "").casefold(), []).append(known)
        return known

    def equal(self, value: str, *, exact: bool) -> frozenset[int]:
        """The codes of the texts that equal a value: to the letter, or without regard to case."""
        if exact:
            return frozenset({self._codes[value]} if value in self._codes else ())
        return frozenset(self._folded.get(value.casefold(), ()))
