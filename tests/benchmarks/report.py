"""The tables of a run, as Markdown that is also readable in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.contenders import GATEWAY
from tests.benchmarks.figures import ratio, short
from tests.benchmarks.results import Results
from tests.benchmarks.verdicts import verdicts

_MIB = 1_048_576


def markdown(results: Results) -> str:
    """The whole report."""
    parts = [_head(results), _verdicts(results), _cases(results)]
    if results.beside:
        parts.append(_beside(results))
    if results.growth:
        parts.append(_growth(results))
    parts.append(_memory(results))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: Results) -> str:
    machine = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    lines = [
        f"Measured on {results.date} with `python -m tests.benchmarks`: {machine['cpu']}, {machine['cores']} cores,"
        f" {machine['system']}; {versions}.",
        "One worker each, side by side in one run. Figures are medians of rounds, with quartiles in brackets.",
        *results.notes,
    ]
    return "\n".join(lines)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table whose columns line up; all but the first are numbers or words that stand to the right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths))
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])


def _verdicts(results: Results) -> str:
    rows = [(verdict.path, verdict.demand, verdict.figure, verdict.word) for verdict in verdicts(results)]
    return "### What was aimed at\n\n" + table(("path", "aim", "found", "verdict"), rows)


def _cases(results: Results) -> str:
    head = ("case", "contender", "p50 ms", "x gateway", "p99 ms", "req/s", "CPU ms per request")
    return "### All cases\n\n" + table(head, list(_case_rows(results))) if results.cases else ""


def _case_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for case, found in results.cases.items():
        first = found.get(GATEWAY) or next(iter(found.values()))
        for number, (name, series) in enumerate(found.items()):
            yield (
                case if number == 0 else "",
                name,
                str(series.figure("p50_ms")),
                "1" if series is first else str(ratio(series, first, "p50_ms")),
                short(series.figure("p99_ms").median),
                short(series.figure("requests_per_second").median),
                short(series.cpu_ms),
            )


def _beside(results: Results) -> str:
    rows = [
        (name, str(found.alone_ms), str(found.beside_ms), str(found.ratio)) for name, found in results.beside.items()
    ]
    title = "### p99 of small warm questions, 200 a second, alone and beside a loop of cold 10k pages\n\n"
    return title + table(("contender", "alone, ms", "beside, ms", "ratio"), rows)


def _growth(results: Results) -> str:
    rows = [
        (
            f"{found.rows:,} {'walked through' if found.is_walk else 'in one answer'}",
            str(found.milliseconds),
            short(found.microseconds_per_row),
            short(found.memory_bytes / _MIB),
            short(found.memory_bytes_per_row),
        )
        for found in results.growth
    ]
    head = ("cold rows", "ms", "us per row", "peak memory above idle, MiB", "bytes per row")
    return "### More rows\n\n" + table(head, rows)


def _memory(results: Results) -> str:
    rows = [(f"{name}, after all cases", short(peak / _MIB)) for name, peak in results.peak_memory_bytes.items()]
    if found := results.memory:
        label = f"gateway, {found.tokens:,} tokens x 10k rows, cache bound {found.bound_bytes // _MIB} MiB"
        rows += [(label, short(found.peak_bytes / _MIB)), ("gateway, idle", short(found.idle_bytes / _MIB))]
    return "### Peak memory\n\n" + table(("process", "MiB"), rows) if rows else ""
