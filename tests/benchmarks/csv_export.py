"""CPU time of exports of cached rows, and of a plain writer of the same CSV file."""

from __future__ import annotations

import csv
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

import msgspec

from schema.export.spreadsheet_formulas import HarmlessTexts
from tests.benchmarks import contenders
from tests.benchmarks.measurements import Figure
from tests.benchmarks.rounds import Effort
from tests.benchmarks.servers import Server

_TIMEOUT_SECONDS = 300
# Rows decoded at once for the plain writer, so that not all of them are in memory.
_SLICE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class CsvExport:
    """CPU seconds for ``rows`` cached rows: the server's, for CSV and NDJSON over HTTP, and the plain writer's."""

    rows: int
    csv_seconds: Figure
    ndjson_seconds: Figure
    writer_seconds: Figure
    # The server's time for CSV as a share of the plain writer's, per round.
    ratio: Figure


def measure(effort: Effort) -> CsvExport:
    """Export the rows once, so that they are cached, then measure. Raises RuntimeError if the files differ."""
    with contenders.stub(effort.export_rows) as upstream, contenders.gateway(upstream) as server:
        table, lines = _export(server, "csv")[0], _export(server, "ndjson")[0].splitlines()
        exports, others, writers = [], [], []
        for _ in range(effort.export_rounds):
            exports.append(_export(server, "csv")[1])
            written, seconds = _write(lines)
            writers.append(seconds)
            if written != table or len(lines) != effort.export_rows:
                raise RuntimeError("The CSV export differs from what a plain writer writes.")
            others.append(_export(server, "ndjson")[1])
    ratios = [one / other for one, other in zip(exports, writers, strict=True)]
    return CsvExport(effort.export_rows, *map(Figure.of, (exports, others, writers, ratios)))


def _export(server: Server, extension: str) -> tuple[bytes, float]:
    """Return the file and the server's CPU seconds."""
    request = urllib.request.Request(
        f"{server.url}/export/licenseDeployments.{extension}", headers={"Authorization": "Bearer export"}
    )
    before = server.cpu_seconds
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
        content: bytes = response.read()
    return content, server.cpu_seconds - before


def _write(lines: Sequence[bytes]) -> tuple[bytes, float]:
    """Write NDJSON ``lines`` as CSV row by row. Return the file and the CPU seconds, without those of decoding."""
    text, shown, seconds = StringIO(newline=""), HarmlessTexts(), 0.0
    writer = csv.writer(text)
    writer.writerow(msgspec.json.decode(lines[0]))
    for start in range(0, len(lines), _SLICE_ROWS):
        rows = [list(msgspec.json.decode(line).values()) for line in lines[start : start + _SLICE_ROWS]]
        before = time.process_time()
        for row in rows:
            # The exports' guard for formulas: it checks only text.
            writer.writerow([shown[cell] if cell.__class__ is str else cell for cell in row])
        seconds += time.process_time() - before
    before = time.process_time()
    content = text.getvalue().encode()
    return content, seconds + time.process_time() - before
