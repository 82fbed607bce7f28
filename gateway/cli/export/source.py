"""The source of an export's rows: a dataset with arguments, or an operation in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.datasets import dataset_named
from gateway.cli.export.options import ExportOptions
from gateway.cli.export.parameters import endpoint_parameters, json_object, missing_columns

if TYPE_CHECKING:
    from gateway.cli.export.dataset_export import DatasetExport
    from gateway.cli.export.query_export import QueryExport
    from gateway.dataset import Dataset
    from schema.export.document import Column, ExportDocument
    from schema.export.row_formats import RowFormat


def source_of(options: ExportOptions, format_name: str) -> tuple[DatasetExport | QueryExport, Sequence[Column]]:
    """Return the source of the rows for a file of this format, and its columns. Raises UsageError."""
    from schema.export.row_formats import CSV, NDJSON

    written_as = f"{format_name}{' raw' if options.raw else ''}"
    # Parquet is made of the NDJSON lines.
    row_format = CSV if format_name == "csv" else NDJSON
    dataset = dataset_named(options.dataset)
    parameters = endpoint_parameters(
        {
            "filter": options.filter,
            "groupBy": options.group_by,
            "processedDateTime": options.processed_date_time,
            "search": options.search,
            "having": options.having,
            "orderBy": options.order_by,
        },
        dataset,
    )
    if options.query is None:
        return _dataset_source(options, dataset, parameters, row_format, written_as)
    if parameters or options.dataset:
        raise click.UsageError(
            "--query sets its own arguments. Remove --dataset, --filter, --group-by, --processed-date-time,"
            " --search, --having and --order-by."
        )
    return _query_source(options, options.query, row_format, written_as)


def _query_source(
    options: ExportOptions, path: Path, row_format: RowFormat, written_as: str
) -> tuple[QueryExport, Sequence[Column]]:
    from gateway.cli.export.query_export import QueryExport

    document = _document(path)
    variables = {} if options.variables is None else json_object(options.variables, "--variables", '{"first": 10}')
    source = QueryExport(document, variables, row_format, written_as, options.raw, options.page_rows)
    return source, document.columns


def _dataset_source(
    options: ExportOptions, dataset: Dataset, parameters: dict[str, str], row_format: RowFormat, written_as: str
) -> tuple[DatasetExport, Sequence[Column]]:
    from gateway.cli.export.dataset_export import DatasetExport
    from schema.export.document import dataset_columns

    if options.variables is not None:
        raise click.UsageError("--variables needs --query.")
    if missing := missing_columns(parameters, dataset):
        click.echo(
            f"The file has no column {', '.join(missing)}. To have it, put the operation into a file and use"
            " --query FILE.",
            err=True,
        )
    if options.raw:
        parameters = parameters | {"raw": "1"}
    path = f"/export/{dataset.name}.{row_format.extension}"
    return DatasetExport(path, parameters, written_as, options.page_rows), dataset_columns(dataset)


def _document(path: Path) -> ExportDocument:
    from schema.export.document import NotExportable, export_document

    try:
        return export_document(path.read_text(encoding="utf-8"))
    except (NotExportable, UnicodeDecodeError) as error:
        reason = error if isinstance(error, NotExportable) else "It is not text in UTF-8."
        raise click.UsageError(f"{path} cannot be exported. {reason}") from None
