"""The command line of an export."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.export.outcomes import EXIT_CODES, Failed

if TYPE_CHECKING:
    from gateway.cli.export.formats import Format
    from gateway.cli.export.pages import Post
    from gateway.cli.export.run import Question
    from schema.export.document import ExportDocument

FORMATS = ("csv", "ndjson", "parquet")

# The largest page that a gateway gives by default (GATEWAY_MAX_FIRST_ROWS), and the block that it reads.
PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Options:
    """The options as they were given."""

    output: Path | None
    format: str | None
    filter: str | None
    group_by: str | None
    processed_date_time: str | None
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


@click.command(epilog=EXIT_CODES)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, replacing one that is there once all rows are; else stdout.",
)
@click.option("-f", "--format", type=click.Choice(FORMATS), help="By default what the file's name ends with, or csv.")
@click.option("--filter", metavar="JSON", help='Which rows, such as {"serviceCode": {"eq": "o365"}}.')
@click.option(
    "--group-by",
    metavar="A,B",
    help="Add the counts up over these: SERVICE_CODE, SERVICE_NAME, CHANNEL, CUSTOMER_TENANT_ID, CUSTOMER_NAME,"
    " PRODUCT_ID, PRODUCT_NAME.",
)
@click.option("--processed-date-time", metavar="DATE", help="Rows as processed then, instead of the latest.")
@click.option(
    "--query",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A GraphQL operation with one connection, instead of the three above: its fields are the columns, its"
    " paging arguments are replaced.",
)
@click.option("--variables", metavar="JSON", help="Variables of --query.")
@click.option("--url", metavar="ORIGIN", help="A running gateway to ask, such as http://127.0.0.1:8000.")
@click.option("--upstream", metavar="ORIGIN", help="Without --url: overrides GATEWAY_UPSTREAM_URL.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Read the access token from this file.")
@click.option("--token-stdin", is_flag=True, help="Read the access token from standard input.")
@click.option(
    "--page-rows", type=click.IntRange(1, 100_000), default=PAGE_ROWS, show_default=True, help="Rows of one request."
)
@click.option("--raw", is_flag=True, help="CSV: leave text that begins like a formula as it is.")
@click.option("--resume", is_flag=True, help="Go on with an unfinished export, if there is one.")
@click.option("--restart", is_flag=True, help="Throw an unfinished export away.")
def export(**options: Any) -> None:
    """Write all rows of an operation to a file.

    The access token is read from the environment variable PARTNER_CENTER_TOKEN, a file or standard input. While it is
    unfinished, the file is called FILE.partial; the same command with --resume goes on with it after any interruption.
    Without --url it asks the upstream that the settings of `gateway serve` name, by default the sandbox.
    """
    given = Options(**options)
    try:
        _export(given)
    except BrokenPipeError:
        # Whoever read has seen enough, as `head` does.
        _forget_stdout()
        sys.exit(Failed.exit_code)
    except OSError as error:
        how = " --resume goes on once that is mended."
        if given.output is None:
            _forget_stdout()
            how = ""
        raise Failed(f"Cannot write: {(error.strerror or 'no reason given').lower()}.{how}") from None


def _forget_stdout() -> None:
    """Let what cannot be written vanish: Python would try once more at its end, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _export(given: Options) -> None:
    if (given.resume or given.restart) and (given.output is None or given.resume == given.restart):
        raise click.UsageError("--resume and --restart need --output, and exclude each other.")
    written_as = given.format or _ending(given.output)
    document, variables = _asked(given)
    # Imported here, so that `gateway --help` need not wait for them.
    from gateway.cli.export.access import gateway_for, read_token, token_hint
    from gateway.cli.export.formats import format_of
    from gateway.cli.export.run import Question

    form = format_of(written_as, document.columns, raw=given.raw)
    question = Question(document, variables, f"{written_as}{' raw' if given.raw else ''}", given.page_rows)
    hint = token_hint(given.url, given.upstream)
    token = read_token(given.token_file, from_stdin=given.token_stdin, hint=hint)
    _run(given, gateway_for(given.url, given.upstream, token), question, form)


def _run(given: Options, opened: AbstractAsyncContextManager[Post], question: Question, form: Format) -> None:
    from gateway.cli.export.part import PartFile
    from gateway.cli.export.run import Standard, run

    if given.output is not None:
        target = PartFile(given.output, question.digest, resume=given.resume, restart=given.restart)
        asyncio.run(run(opened, question, form, target))
    elif form.finisher is None:
        asyncio.run(run(opened, question, form, Standard(sys.stdout.buffer)))
    elif sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal. Give --output, or send it elsewhere.")
    else:
        # It has its beginning only at the end.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "export")
            asyncio.run(run(opened, question, form, PartFile(path, question.digest)))
            with path.open("rb") as file:
                copyfileobj(file, sys.stdout.buffer)


def _ending(output: Path | None) -> str:
    ending = "csv" if output is None else output.suffix.removeprefix(".").lower()
    ending = "ndjson" if ending == "jsonl" else ending
    if ending not in FORMATS:
        raise click.UsageError(f"Say with --format which format: {', '.join(FORMATS)}.")
    return ending


def _asked(given: Options) -> tuple[ExportDocument, Mapping[str, Any]]:
    """The operation and its variables."""
    from schema.export.document import NotExportable, default_text, export_document

    short = {
        "filter": None if given.filter is None else _json(given.filter, "--filter"),
        "groupBy": None if given.group_by is None else [part.strip() for part in given.group_by.split(",")],
        "processedDateTime": given.processed_date_time,
    }
    variables = {name: value for name, value in short.items() if value is not None}
    if given.query is None and given.variables is not None:
        raise click.UsageError("--variables goes with --query.")
    if given.query is not None and variables:
        raise click.UsageError("--query has its own filter, grouping and date. Leave the short options out.")
    try:
        if given.query is None:
            return export_document(default_text()), variables
        document = export_document(given.query.read_text(encoding="utf-8"))
    except (NotExportable, UnicodeDecodeError) as error:
        told = error if isinstance(error, NotExportable) else "It is not text in UTF-8."
        raise click.UsageError(f"{given.query} cannot be exported. {told}") from None
    return document, {} if given.variables is None else _json(given.variables, "--variables")


def _json(text: str, option: str) -> Mapping[str, Any]:
    import msgspec

    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError):
        raise click.UsageError(f"{option} is not a JSON object.") from None
