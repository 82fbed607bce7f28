"""Make a Parquet file of exported NDJSON lines.

Lines can be truncated and resumed; a Parquet file is unreadable until it is complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from schema.export.document import Column

# Rows of one row group. Measured: five times as many make a file 5 % smaller, and take 60 MB more.
ROW_GROUP_ROWS = 10_000


def write_parquet(lines_path: Path, finished_path: Path, columns: Sequence[Column]) -> None:
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
