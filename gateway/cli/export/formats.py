"""The formats of an exported file: how rows are written, and how the finished file is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from schema.export.row_formats import csv_lines, ndjson_lines

if TYPE_CHECKING:
    from schema.export.document import Column

# Rows of one Parquet row group. Measured: five times as many make a file 5 % smaller, and take 60 MB more.
ROW_GROUP_ROWS = 10_000

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """``head`` comes before all rows. ``finisher`` converts the written lines, unless they already are the file."""

    head: Callable[[], bytes]
    lines: Callable[[Rows], bytes]
    finisher: Callable[[Path, Path], None] | None = None


def format_of(name: str, columns: Sequence[Column], *, raw: bool) -> FileFormat:
    """Return the format ``name`` for rows of ``columns``. Raises click.UsageError if a package is missing."""
    names = [column.name for column in columns]
    if name == "csv":
        return FileFormat(
            lambda: csv_lines([names], raw=True),
            lambda rows: csv_lines(([row[name] for name in names] for row in rows), raw=raw),
        )
    if name == "parquet":
        if find_spec("pyarrow") is None:
            raise click.UsageError("Parquet needs the package pyarrow. Run: pip install pyarrow.")
        # Written as JSON lines first, which can be truncated and resumed; Parquet is unreadable until complete.
        return FileFormat(bytes, ndjson_lines, lambda lines, finished: _write_parquet(lines, finished, columns))
    return FileFormat(bytes, ndjson_lines)


def _write_parquet(lines_path: Path, finished_path: Path, columns: Sequence[Column]) -> None:
    import pyarrow
    from pyarrow import parquet

    kinds = [(column.name, pyarrow.int64() if column.is_number else pyarrow.string()) for column in columns]
    schema = pyarrow.schema(kinds)
    with (
        lines_path.open("rb") as lines,
        parquet.ParquetWriter(finished_path, schema, compression="zstd") as writer,
    ):
        for rows in _groups(lines):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _groups(lines: Iterator[bytes]) -> Iterator[list[dict[str, Any]]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    while group := [decode(line) for line in islice(lines, ROW_GROUP_ROWS)]:
        yield group
