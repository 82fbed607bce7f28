"""The command `gateway doctor` and its report."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.datasets import DatasetCommand, dataset_named, dataset_option
from gateway.config.environment import SettingsError, read_settings
from gateway.config.groups import UpstreamConfig
from gateway.config.settings import Settings
from gateway.version import VERSION

if TYPE_CHECKING:
    from gateway.access_token import AccessToken
    from gateway.cli.doctor.examination import Report
    from gateway.dataset import Dataset

# Not a docstring, which python -OO removes.
HELP = """Report how the configured upstream behaves.

Makes about twelve calls with your access token, which comes from PARTNER_CENTER_TOKEN, a file or standard input. The
report goes to standard output and can be pasted into an issue: it has no names, ids, counts of licenses or token.
The exit code is 0 if all probes were answered, else 1.
"""


@click.command(cls=DatasetCommand, help=HELP)
@dataset_option
@click.option("--upstream", metavar="ORIGIN", help="Overrides GATEWAY_UPSTREAM_URL.")
@click.option("--token-file", type=click.Path(path_type=Path), help="Read the access token from this file.")
@click.option("--token-stdin", is_flag=True, help="Read the access token from standard input.")
def doctor(dataset: str | None, upstream: str | None, token_file: Path | None, token_stdin: bool) -> None:
    # Imported lazily, so that `gateway --help` is fast.
    from gateway.cli.export.credentials import read_token, token_hint

    token = read_token(token_file, from_stdin=token_stdin, hint=token_hint(None, upstream))
    try:
        settings = read_settings(os.environ, {"upstream_url": upstream})
    except SettingsError as error:
        raise click.UsageError(f"Invalid settings:\n{error}") from None
    examined = dataset_named(dataset)
    report = asyncio.run(examine(settings, token, examined))
    click.echo(report_text(settings, examined, report))
    for message in dict.fromkeys(unreachable(settings, report)):
        click.echo(message, err=True)
    sys.exit(0 if report.is_complete else 1)


async def examine(settings: Settings, token: AccessToken, dataset: Dataset) -> Report:
    """Ask the upstream of ``settings`` for ``dataset`` with ``token``, and return the report."""
    # Imported lazily: other commands need none of it.
    from gateway.cli.doctor.examination import Examination
    from gateway.cli.doctor.prober import Prober
    from gateway.sandbox import create_sandbox
    from gateway.upstream.transport import EmbeddedTransport

    transport = EmbeddedTransport(create_sandbox()) if settings.is_sandbox else None
    prober = Prober(UpstreamConfig.of(settings), token, transport)
    try:
        return await Examination(prober, dataset).run()
    finally:
        await prober.aclose()


def unreachable(settings: Settings, report: Report) -> list[str]:
    """Return what the operator should read about failed connections: hosts and remedies, which no issue should show."""
    from gateway.upstream.status import TRY_HTTPS, is_plain_at_tls_port

    route = UpstreamConfig.of(settings).route
    is_plain = settings.upstream_url.startswith("http:")
    messages = [answer.cause.unreachable(route) for answer in report.answers if answer.cause]
    if report.answers and all(
        is_plain_at_tls_port(answer.status, answer.code, is_plain=is_plain) for answer in report.answers
    ):
        messages.append(f"{route} refuses each request with status 400. {TRY_HTTPS}")
    return messages


def report_text(settings: Settings, dataset: Dataset, report: Report) -> str:
    """Return the report as a table in Markdown."""
    slash = "with" if settings.upstream_trailing_slash else "without"
    facts = {
        "gateway": VERSION,
        "upstream": settings.upstream_url,
        "path": f"{settings.upstream_path_prefix or 'no prefix'}, {slash} a trailing slash",
        "dataset": dataset.name,
        "proxy": "yes" if UpstreamConfig.of(settings).proxy else "no",
    }
    lines = [f"| {subject} | {found} |" for subject, found in {**facts, **report.findings}.items()]
    return "\n".join(["| subject | found |", "|---|---|", *lines])
