"""The tables of a run, as Markdown that is also readable in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.benchmarks.contenders import GATEWAY
from tests.benchmarks.measurements import ratio, short
from tests.benchmarks.results import Results
from tests.benchmarks.targets import targets

_MIB = 1_048_576


def markdown(results: Results) -> str:
    """Return the whole report."""
    parts = [_head(results), _targets(results), _cases(results)]
    if results.beside:
        parts.append(_beside(results))
    if results.growth:
        parts.append(_growth(results))
    parts += [_memory(results), _fairness(results), _csv(results), _views(results)]
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
    """Return a Markdown table with aligned columns; all but the first are aligned right."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (width + 1) + ("-" if column == 0 else ":") for column, width in enumerate(widths))
    return "\n".join([line(head), f"|{rule}|", *map(line, rows)])


def _targets(results: Results) -> str:
    rows = [(target.path, target.requirement, target.figure, target.verdict) for target in targets(results)]
    return "### Targets\n\n" + table(("path", "target", "measured", "verdict"), rows)


def _cases(results: Results) -> str:
    head = ("case", "contender", "p50 ms", "x gateway", "p99 ms", "req/s", "CPU ms per request", "response kB")
    return "### All cases\n\n" + table(head, list(_case_rows(results))) if results.cases else ""


def _case_rows(results: Results) -> Iterator[tuple[str, ...]]:
    for case, contenders in results.cases.items():
        first = contenders.get(GATEWAY) or next(iter(contenders.values()))
        for number, (name, series) in enumerate(contenders.items()):
            yield (
                case if number == 0 else "",
                name,
                str(series.figure("p50_ms")),
                "1" if series is first else str(ratio(series, first, "p50_ms")),
                short(series.figure("p99_ms").median),
                short(series.figure("requests_per_second").median),
                short(series.cpu_ms),
                short(series.samples[0].reply_bytes / 1_000),
            )


def _beside(results: Results) -> str:
    rows = [
        (name, str(latency.alone_ms), str(latency.beside_ms), str(latency.ratio))
        for name, latency in results.beside.items()
    ]
    title = "### p99 of small warm questions, 200 a second, alone and beside a loop of cold 10k pages\n\n"
    return title + table(("contender", "alone, ms", "beside, ms", "ratio"), rows)


def _growth(results: Results) -> str:
    rows = [
        (
            f"{growth.rows:,} {'walked through' if growth.is_walk else 'in one answer'}",
            str(growth.milliseconds),
            short(growth.microseconds_per_row),
            short(growth.memory_bytes / _MIB),
            short(growth.memory_bytes_per_row),
        )
        for growth in results.growth
    ]
    head = ("cold rows", "ms", "us per row", "peak memory above idle, MiB", "bytes per row")
    return "### More rows\n\n" + table(head, rows)


def _memory(results: Results) -> str:
    rows = [(f"{name}, after all cases", short(peak / _MIB)) for name, peak in results.peak_memory_bytes.items()]
    if memory := results.memory:
        label = f"gateway, {memory.tokens:,} tokens x 10k rows, cache bound {memory.bound_bytes // _MIB} MiB"
        rows += [(label, short(memory.peak_bytes / _MIB)), ("gateway, idle", short(memory.idle_bytes / _MIB))]
    return "### Peak memory\n\n" + table(("process", "MiB"), rows) if rows else ""


def _fairness(results: Results) -> str:
    fair = results.fairness
    if fair is None:
        return ""
    exports = f"beside {fair.export_clients} exports of {fair.export_rows:,} rows"
    large = f"beside {fair.large_clients} other tokens' answers of {short(fair.large_bytes / 1_000_000)} MB"
    rows = [("alone", str(fair.alone_ms)), (exports, str(fair.exports_ms)), (large, str(fair.large_ms))]
    title = "### p99 of 5 cached rows, 200 requests a second, alone and beside large requests of other tokens\n\n"
    return title + table(("gateway", "ms"), rows)


def _csv(results: Results) -> str:
    export = results.csv
    if export is None:
        return ""
    rows = [
        ("gateway, CSV over HTTP", str(export.csv_seconds), str(export.ratio)),
        ("csv.writer, row by row", str(export.writer_seconds), "1"),
        ("gateway, NDJSON over HTTP", str(export.ndjson_seconds), ""),
    ]
    return f"### CPU of {export.rows:,} cached rows as a file\n\n" + table(("", "s", "x csv.writer"), rows)


def _views(results: Results) -> str:
    views = results.views
    if views is None:
        return ""
    others = {"next page": views.next_page_ms, **views.further_ms}
    rows = [
        ("first order", str(views.first_ms), str(views.share)),
        *((name, str(ms), short(ms.median / views.download_ms.median)) for name, ms in others.items()),
        ("download of the same cached rows", str(views.download_ms), "1"),
    ]
    text = (
        f"p99 of 20 cached rows of another token, 200 a second: {views.alone_ms} ms alone,"
        f" {views.beside_ms} ms beside first orders.\n"
        f"Memory of the view: {views.bytes_per_row} bytes a row with its first order, {views.all_bytes_per_row} after"
        " all of these queries."
    )
    title = f"### 20 of {views.rows:,} cached rows, ordered, searched and grouped\n\n"
    return title + table(("query", "ms", "x download"), rows) + f"\n\n{text}"
