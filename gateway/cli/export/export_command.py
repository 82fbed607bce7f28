"""The command `gateway export` and its options."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.datasets import DatasetCommand, dataset_option
from gateway.cli.export.exit_codes import EXIT_CODES, ExportFailed
from gateway.cli.export.options import ExportOptions
from gateway.cli.export.output import OutputFile, OutputStream, output_at
from gateway.cli.export.source import source_of

if TYPE_CHECKING:
    from gateway.cli.export.dataset_export import DatasetExport
    from gateway.cli.export.gateway_client import GatewayClient
    from gateway.cli.export.partial_file import Finisher, PartialFile, ResumePoint, StreamTarget
    from gateway.cli.export.query_export import QueryExport

FORMATS = ("csv", "ndjson", "parquet")

# Not a docstring, which python -OO removes.
HELP = """Write all rows of an operation to a file.

The access token is read from the environment variable PARTNER_CENTER_TOKEN, a file or standard input. An
unfinished file is called FILE.partial; after an interruption, run the same command with --resume to continue it.
Without --url, rows come from the upstream in the settings of `gateway serve`, by default the sandbox.
"""

# A gateway's largest page by default (GATEWAY_MAX_FIRST_ROWS), and the size of the blocks it reads.
PAGE_ROWS = 10_000

# The default of shutil.copyfileobj.
COPY_BYTES = 65_536


def _joined(_context: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> str | None:
    """Join the texts of a repeated option."""
    return ",".join(texts) if texts else None


@click.command(cls=DatasetCommand, epilog=EXIT_CODES, help=HELP)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=lambda _context, _parameter, text: output_at(text),
    help="File, which changes only when the export is complete; or a pipe or device. Default, or -: standard output.",
)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="Default: the ending of the file name, or csv.")
@dataset_option
@click.option("--filter", metavar="JSON", help='Rows to export, such as {"serviceCode": {"eq": "o365"}}.')
@click.option(
    "--group-by",
    metavar="A,B",
    multiple=True,
    callback=_joined,
    help="Sum the counts per value of these dimensions of the dataset, as in productName or PRODUCT_NAME.",
)
@click.option("--processed-date-time", metavar="DATE", help="Rows as processed on this date, instead of the latest.")
@click.option("--search", metavar="WORDS", help="Only rows that contain each of these words in some text field.")
@click.option("--having", metavar="JSON", help='Only rows or groups with such measures: {"MEASURE": {"gt": 100}}.')
@click.option(
    "--order-by",
    metavar="A:DESC,B",
    multiple=True,
    callback=_joined,
    help="Order the rows by these: dimensions, with --group-by only its own, and measures of the dataset.",
)
@click.option(
    "--query",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with a GraphQL operation that has one connection, instead of the options above. Its fields are the"
    " columns; its paging arguments are replaced.",
)
@click.option("--variables", metavar="JSON", help="Variables of --query.")
@click.option("--url", metavar="ORIGIN", help="A running gateway to export from, such as http://127.0.0.1:8000.")
@click.option("--upstream", metavar="ORIGIN", help="Without --url: overrides GATEWAY_UPSTREAM_URL.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Read the access token from this file.")
@click.option("--token-stdin", is_flag=True, help="Read the access token from standard input.")
@click.option(
    "--page-rows",
    type=click.IntRange(1, 100_000),
    default=PAGE_ROWS,
    show_default=True,
    help="Rows per step; --resume continues after the last step.",
)
@click.option("--raw", is_flag=True, help="CSV: do not escape text that begins like a formula.")
@click.option("--resume", is_flag=True, help="Continue an unfinished export, if there is one.")
@click.option("--restart", is_flag=True, help="Discard an unfinished export and start again.")
def export(**options: Any) -> None:
    parsed = ExportOptions(**options)
    try:
        _export(parsed)
    except BrokenPipeError:
        # The reader closed the pipe early, as `head` does.
        sys.exit(ExportFailed.exit_code)
    except OSError as error:
        advice = " Fix that, then use --resume to continue." if isinstance(parsed.output, OutputFile) else ""
        raise ExportFailed(f"Cannot write: {(error.strerror or 'no reason given').lower()}.{advice}") from None


def _export(options: ExportOptions) -> None:
    is_file = isinstance(options.output, OutputFile)
    if (options.resume or options.restart) and (not is_file or options.resume == options.restart):
        raise click.UsageError("--resume and --restart need --output with a file, and exclude each other.")
    format_name = options.format or _format_name(options.output)
    # Imported lazily, so that `gateway --help` is fast.
    from gateway.cli.export.credentials import read_token, tenant_of, token_hint
    from gateway.cli.export.gateway_client import gateway_for
    from gateway.cli.export.parquet import write_parquet
    from gateway.cli.export.partial_file import ResumePoint, request_digest

    source, columns = source_of(options, format_name)
    is_parquet = format_name == "parquet"
    if is_parquet and find_spec("pyarrow") is None:
        raise click.UsageError(
            "Parquet needs the extra 'parquet'. Run: pip install 'partner-center-graphql[parquet]', or in a clone:"
            " .venv/bin/pip install -c requirements.lock '.[parquet]'"
        )
    hint = token_hint(options.url, options.upstream)
    token = read_token(options.token_file, from_stdin=options.token_stdin, hint=hint)
    finisher = partial(write_parquet, columns=columns) if is_parquet else None
    gateway, tenant = gateway_for(options.url, options.upstream, token), tenant_of(token)
    start = ResumePoint(source.digest, request_digest(gateway.source), tenant and request_digest(tenant))
    _write(options, partial(_run, gateway.connection, source), start, finisher)


def _run(
    connection: AbstractAsyncContextManager[GatewayClient],
    source: DatasetExport | QueryExport,
    target: PartialFile | StreamTarget,
    finisher: Finisher | None = None,
) -> None:
    from gateway.cli.export.run import run

    asyncio.run(run(connection, source, target, finisher))


def _write(options: ExportOptions, run: Callable[..., None], start: ResumePoint, finisher: Finisher | None) -> None:
    from gateway.cli.export.partial_file import PartialFile, StreamTarget

    if isinstance(options.output, OutputFile):
        run(PartialFile(options.output.path, start, resume=options.resume, restart=options.restart), finisher)
        return
    with options.output.open() as stream:
        if finisher is None:
            run(StreamTarget(stream))
            return
        if stream.isatty():
            raise click.UsageError("Parquet is binary and cannot be shown on a terminal. Use --output, or redirect it.")
        # Parquet can be written only once all rows are known.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "export")
            run(PartialFile(path, start), finisher)
            with path.open("rb") as file:
                while data := file.read(COPY_BYTES):
                    StreamTarget(stream).write(data)


def _format_name(output: OutputFile | OutputStream) -> str:
    ending = Path(output.name).suffix.removeprefix(".").lower()
    if not ending and isinstance(output, OutputStream):
        ending = "csv"
    ending = "ndjson" if ending == "jsonl" else ending
    if ending not in FORMATS:
        unknown = f"The ending .{ending} names no known format" if ending else "The file name has no ending"
        raise click.UsageError(f"{unknown}. Name the file FILE.csv, FILE.ndjson or FILE.parquet, or add --format csv.")
    return ending
