"""The probes of a report, about twelve calls one after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gateway.cli.doctor.observations import (
    counts_form,
    dates_form,
    envelope,
    ids_form,
    keys_form,
    link_form,
    objects_of,
    rows_of,
    sum_of,
    total_form,
    with_own_names,
)
from gateway.cli.doctor.prober import Answer, Prober
from gateway.dataset import Dataset
from gateway.query import Comparison, Filter, Junction, PageQuery

# Microsoft page: the path prefixes of its example and its syntax line, and its largest page.
PREFIXES = ("/partner/v1", "/v1")
MAX_TOP = 10_000

# Rows of the first call: enough to see their form, and few enough that most accounts have a further page.
FIRST_ROWS = 10

# Characters of a query string: below and above IIS's default limit of 2,048, and above those of common proxies.
LENGTHS = (2_000, 4_000, 8_000)

# The key of customers, which is the longest text with letters of both cases.
CUSTOMER = "customerTenantId"

NOT_ASKED = "not asked, because the first call failed"


@dataclass(slots=True)
class Report:
    """The findings, by subject. ``is_complete`` is True if all probes were answered."""

    findings: dict[str, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    first: Answer | None = None

    @property
    def is_complete(self) -> bool:
        return self.first is not None and self.first.is_success and all(one.is_answered for one in self.answers)

    @property
    def times(self) -> str:
        seconds = sorted(answer.seconds for answer in self.answers)
        if not seconds:
            return "no calls"
        if len(seconds) == 1:
            return f"1 call of {seconds[0]:.2f} s"
        middle = seconds[len(seconds) // 2]
        return f"{len(seconds)} calls of {seconds[0]:.2f} to {seconds[-1]:.2f} s, half of them up to {middle:.2f} s"


class Examination:
    """Asks the upstream for one dataset, and compares what it answers."""

    def __init__(self, prober: Prober, dataset: Dataset) -> None:
        self._prober = prober
        self._dataset = dataset
        self._report = Report()

    async def run(self) -> Report:
        """Make all calls, or only the first if that fails, and return the report."""
        report = self._report
        first = report.first = await self._ask()
        self._describe(first)
        if first.is_success:
            await self._paging(first)
            await self._addresses()
            await self._customer(first)
            await self._escape()
            await self._lengths()
        else:
            report.findings["everything else"] = NOT_ASKED
        report.answers = self._prober.answers
        report.findings["time"] = report.times
        return report

    async def _ask(self, address: dict[str, Any] | None = None, **parts: Any) -> Answer:
        return await self._prober.ask(PageQuery(self._dataset, **{"top": FIRST_ROWS, **parts}), **(address or {}))

    def _describe(self, first: Answer) -> None:
        findings, rows = self._report.findings, objects_of(first)
        findings["configured address"] = first.text
        if not first.is_success:
            return
        findings["envelope"] = envelope(first)
        findings["ten rows asked"] = _share(rows_of(first), FIRST_ROWS)
        findings["TotalCount"] = total_form(first)
        findings["link to the next page"] = link_form(first, self._prober.config.base_url)
        findings["keys of rows"] = keys_form(rows, self._dataset)
        findings["counts"] = counts_form(rows, self._dataset)
        findings["processed dates"] = dates_form(rows, self._dataset)
        findings["byte order mark"] = "yes" if first.has_bom else "no"
        findings["request ids"] = ids_form(first)

    async def _paging(self, first: Answer) -> None:
        again, second = await self._ask(), await self._ask(top=1, skip=1)
        findings, rows = self._report.findings, rows_of(first) or []
        findings["same rows when asked again"] = _equality(again, rows_of(again) == rows)
        findings["skip counts rows"] = _equality(second, (rows_of(second) or [])[:1] == rows[1:2])

    async def _addresses(self) -> None:
        config = self._prober.config
        for prefix in PREFIXES:
            if prefix != config.path_prefix:
                found = await self._ask({"path_prefix": prefix})
                self._report.findings[f"with the prefix {prefix}"] = found.text
        slash = "without" if config.trailing_slash else "with"
        found = await self._ask({"trailing_slash": not config.trailing_slash})
        self._report.findings[f"{slash} a trailing slash"] = found.text

    async def _customer(self, first: Answer) -> None:
        """Filter by the first row's customer, in two spellings, and group the same rows."""
        value = next((row[CUSTOMER] for row in objects_of(first) if isinstance(row.get(CUSTOMER), str)), None)
        subjects = ("filter by a value", "the same in another case", "grouped rows", "sums of groups")
        if not value:
            self._report.findings.update(dict.fromkeys(subjects, "unknown, without rows"))
            return
        plain = await self._ask(top=MAX_TOP, filter=_customer(value))
        other = await self._ask(top=MAX_TOP, filter=_customer(value.swapcase()))
        grouped = await self._ask(top=MAX_TOP, filter=_customer(value), group_by=(self._dataset.service,))
        self._report.findings |= {
            subjects[0]: f"{plain.text}, {_number(rows_of(plain))}" if plain.is_success else plain.text,
            subjects[1]: _case(plain, other),
            subjects[2]: self._groups(grouped),
            subjects[3]: self._sums(plain, grouped),
        }

    def _groups(self, grouped: Answer) -> str:
        if not grouped.is_success:
            return grouped.text
        rows = objects_of(grouped)
        forms = (counts_form(rows, self._dataset), dates_form(rows, self._dataset), total_form(grouped))
        return "{}; counts: {}; dates: {}; TotalCount: {}".format(envelope(grouped), *forms)

    def _sums(self, plain: Answer, grouped: Answer) -> str:
        if not plain.is_success or not grouped.is_success:
            return "unknown, without both"
        if len(objects_of(plain)) >= MAX_TOP:
            return "unknown, because the customer has too many rows"
        pairs = [(self._sum(plain, name), self._sum(grouped, name)) for name in self._dataset.measures]
        if any(None in pair for pair in pairs):
            return "unknown, because some counts are no whole numbers"
        return "equal to those of the rows" if all(one == other for one, other in pairs) else "different from the rows'"

    def _sum(self, answer: Answer, measure: str) -> int | None:
        return sum_of((with_own_names(row, self._dataset) for row in objects_of(answer)), measure)

    async def _escape(self) -> None:
        """A doubled quote, which OData takes for one quote inside a value."""
        found = await self._ask(filter=Comparison("customerName", "eq", "gateway's doctor"))
        self._report.findings["doubled quote in a value"] = found.text

    def _long_filter(self, characters: int) -> Filter:
        """Return a filter that matches no row, and makes a query string of almost ``characters``."""
        found = Junction("or")
        while len(PageQuery(self._dataset, found, top=FIRST_ROWS).query_string) < characters - 60:
            name = Comparison("productName", "eq", f"doctor {len(found.operands):04}")
            found = Junction("or", (*found.operands, name))
        return found

    async def _lengths(self) -> None:
        """Ask ever longer queries until one is refused."""
        for characters in LENGTHS:
            found = await self._ask(filter=self._long_filter(characters))
            self._report.findings[f"query of {characters:,} characters"] = found.text
            if not found.is_success:
                return


def _customer(value: str) -> Filter:
    return Comparison(CUSTOMER, "eq", value)


def _case(plain: Answer, other: Answer) -> str:
    if not plain.is_success or not other.is_success:
        return other.text
    rows, its_rows = rows_of(plain), rows_of(other)
    if not rows:
        return "unknown, without rows"
    if not its_rows:
        return "no rows: case matters"
    return "the same rows: case does not matter" if its_rows == rows else "other rows"


def _equality(answer: Answer, is_equal: bool) -> str:
    return ("yes" if is_equal else "no") if answer.is_success else answer.text


def _number(rows: list[Any] | None) -> str:
    if rows is None:
        return "no list of rows"
    return "some rows" if rows else "no rows"


def _share(rows: list[Any] | None, asked: int) -> str:
    if not rows:
        return _number(rows)
    return "as many" if len(rows) == asked else "fewer" if len(rows) < asked else "more"
