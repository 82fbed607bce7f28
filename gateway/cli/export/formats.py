"""The formats of an exported file: what a page's rows look like in it, and what is made of them at the end."""

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

# Rows of one Parquet row group. Measured: with five times as many a file is a twentieth smaller, for 60 MB.
ROW_GROUP_ROWS = 10_000

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """``head`` stands before all rows; ``finisher`` makes the file of what was written, where that is not the file."""

    head: Callable[[], bytes]
    lines: Callable[[Rows], bytes]
    finisher: Callable[[Path, Path], None] | None = None


def format_of(name: str, columns: Sequence[Column], *, raw: bool) -> Format:
    """The format called ``name`` for rows of ``columns``. Raises click.UsageError where it needs what is not there."""
    names = [column.name for column in columns]
    if name == "csv":
        return Format(
            lambda: csv_lines([names], raw=True),
            lambda rows: csv_lines(([row[name] for name in names] for row in rows), raw=raw),
        )
    if name == "parquet":
        if find_spec("pyarrow") is None:
            raise click.UsageError("Parquet needs one package more: pip install pyarrow.")
        # Written as lines first, which can be cut off and gone on with; Parquet is known by its end.
        return Format(bytes, ndjson_lines, lambda part, made: _write_parquet(part, made, columns))
    return Format(bytes, ndjson_lines)


def _write_parquet(part: Path, made: Path, columns: Sequence[Column]) -> None:
    import pyarrow
    from pyarrow import parquet

    kinds = [(column.name, pyarrow.int64() if column.is_number else pyarrow.string()) for column in columns]
    schema = pyarrow.schema(kinds)
    with part.open("rb") as lines, parquet.ParquetWriter(made, schema, compression="zstd") as writer:
        for rows in _groups(lines):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _groups(lines: Iterator[bytes]) -> Iterator[list[dict[str, Any]]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    while group := [decode(line) for line in islice(lines, ROW_GROUP_ROWS)]:
        yield group
