"""The options of `gateway export`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.cli.export.output import OutputFile, OutputStream


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """The command-line options, unprocessed."""

    output: OutputFile | OutputStream
    format: str | None
    dataset: str | None
    filter: str | None
    group_by: str | None
    processed_date_time: str | None
    search: str | None
    having: str | None
    order_by: str | None
    query: Path | None
    variables: str | None
    url: str | None
    upstream: str | None
    token_file: Path | None
    token_stdin: bool
    page_rows: int
    raw: bool
    resume: bool
    restart: bool
