"""The commands `gateway serve`, `sandbox`, `schema` and `settings`, and the group of all commands."""

from __future__ import annotations

import difflib
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from gateway.cli.doctor.doctor_command import doctor
from gateway.cli.export.export_command import export
from gateway.cli.health_command import health
from gateway.cli.token.token_command import token
from gateway.config.environment import SettingsError, read_settings, sources
from gateway.config.injected_names import injected_names
from gateway.config.library_variables import used_variables
from gateway.config.settings import Settings, variable
from gateway.config.upstream_proxy import described_route
from gateway.version import VERSION


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""A GraphQL gateway over Microsoft Partner Center's license analytics.

    Without a command it runs `gateway serve` and accepts its options: `gateway --port 8080`. By default it serves
    made-up data from the sandbox. Settings come from GATEWAY_* environment variables; see `gateway settings`.
    """,
)
@click.version_option(VERSION, prog_name="gateway")
def commands() -> None:
    """Group of all commands. Help texts are arguments, because python -OO removes docstrings."""


commands.add_command(doctor)
commands.add_command(export)
commands.add_command(health)
commands.add_command(token)

_serve_options = [
    click.option("--host", help="Address to listen on; overrides GATEWAY_HOST."),
    click.option("--port", type=int, help="Port to listen on, 0 for a free one; overrides GATEWAY_PORT."),
    click.option("--upstream", "upstream_url", help="`sandbox` or an origin; overrides GATEWAY_UPSTREAM_URL."),
    click.option("--workers", type=int, help="Server processes; overrides GATEWAY_WORKERS."),
]


def _with_serve_options(command: Any) -> Any:
    for option in reversed(_serve_options):
        command = option(command)
    return command


@commands.command(
    help="""Serve GraphQL, and GraphiQL for browsers.

    Without any settings it serves made-up data from the sandbox.
    """,
)
@_with_serve_options
def serve(**overrides: Any) -> None:
    settings = _settings(overrides)
    from gateway.cli.announcements import of_gateway
    from gateway.composition import build, create, operations_of
    from gateway.observability.logging import configure_logging
    from gateway.observability.opentelemetry import opentelemetry_for
    from gateway.observability.worker_scrape import meeting
    from gateway.server.listener import CannotListen, Listener, end_quietly_on_signals, run_one
    from gateway.server.process_tuning import raise_open_files
    from gateway.server.workers import CAN_RUN_SEVERAL, run_several

    if settings.workers > 1 and not CAN_RUN_SEVERAL:
        raise click.ClickException(
            "This system cannot run several workers. Set GATEWAY_WORKERS to 1, and start more gateways on other ports."
        )
    configure_logging(settings.log_format, settings.log_level)
    raise_open_files()
    _log_ignored_names()
    listener = Listener(settings.host, settings.port, settings.shutdown_grace_seconds)
    announcer = of_gateway(settings, overrides)
    try:
        if settings.workers > 1:
            if settings.trusted_documents is not None:
                # Check before starting workers, each of which would fail separately.
                operations_of(settings)
            _export_overrides(overrides)
            end_quietly_on_signals()
            with meeting(settings.workers) as meeting_place, announcer.announcing_end():
                factory = partial(create, meeting_place)
                run_several(factory, listener, settings.workers, announcer.started)
        else:
            app = build(settings, opentelemetry_for(os.environ))
            end_quietly_on_signals()
            with announcer.announcing_end():
                run_one(app, listener, announcer.started)
    except CannotListen as error:
        raise click.ClickException(str(error)) from None
    except SettingsError as error:
        raise _invalid_settings(error) from None


class _WithFaults(click.Command):
    """A command whose help ends with the unwrapped table of the sandbox's tokens and faults."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from gateway.sandbox import FAULTS_HELP

        formatter.write(f"\n{FAULTS_HELP}")


@commands.command(
    cls=_WithFaults,
    help="""Serve only the sandbox upstream.

    It is a REST service for a gateway in another process or on another machine.
    """,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9000, show_default=True, help="0 for a free one.")
def sandbox(host: str, port: int) -> None:
    from gateway.cli.announcements import of_sandbox
    from gateway.observability.logging import configure_logging
    from gateway.sandbox import create_sandbox
    from gateway.server.listener import CannotListen, Listener, end_quietly_on_signals, run_one

    end_quietly_on_signals()
    configure_logging("auto", "info")
    # The sandbox sets its own Date header. Requests that wait for a fault need no response, so one second suffices.
    listener = Listener(host, port, shutdown_grace_seconds=1, date_header=False)
    announcer = of_sandbox()
    try:
        with announcer.announcing_end():
            run_one(create_sandbox(), listener, announcer.started)
    except CannotListen as error:
        raise click.ClickException(str(error)) from None


@commands.command(
    help="""Print the GraphQL schema.

    The output is in GraphQL's schema definition language.
    """,
)
@click.option("--check", "file", type=click.Path(path_type=Path), help="Exit with code 1 and a diff if FILE differs.")
def schema(file: Path | None) -> None:
    from schema.build import sdl

    if file is None:
        click.echo(sdl(), nl=False)
        return
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"Cannot read {file}: {getattr(error, 'strerror', None) or 'it is not text in UTF-8'}."
        ) from None
    lines = (text.splitlines(keepends=True), sdl().splitlines(keepends=True))
    diff = "".join(difflib.unified_diff(*lines, fromfile=str(file), tofile="gateway schema"))
    if diff:
        click.echo(diff, nl=False)
        sys.exit(1)


@commands.command(
    help="""Print every setting.

    Each line shows the value, the default and where the value came from. Variables of libraries follow that affect
    connections, such as HTTPS_PROXY and SSL_CERT_FILE. The last line says how the upstream will be reached.
    """,
)
@_with_serve_options
def settings(**overrides: Any) -> None:
    from gateway.cli.announcements import shown

    current, origins = _settings(overrides), sources(os.environ, overrides)
    for name, field in Settings.model_fields.items():
        value, default = shown(getattr(current, name)), shown(field.default) or "none"
        click.echo(f"{variable(name)}={value}  (default {default}; from {origins[name]})")
    for name, value in used_variables(os.environ).items():
        click.echo(f"{name}={shown(value)}  (default none; from environment)")
    click.echo(f"# The upstream: {described_route(current.upstream_proxy, current.upstream_url, os.environ)}")


def _settings(overrides: dict[str, Any]) -> Settings:
    try:
        return read_settings(os.environ, overrides)
    except SettingsError as error:
        raise _invalid_settings(error) from None


def _invalid_settings(error: SettingsError) -> click.ClickException:
    return click.ClickException(f"Invalid settings:\n{error}")


def _log_ignored_names() -> None:
    import structlog

    names = injected_names(os.environ)
    if names:
        structlog.get_logger("gateway").info("ignored injected environment variables", names=names)


def _export_overrides(overrides: dict[str, Any]) -> None:
    """Pass command-line overrides to worker processes through the environment."""
    os.environ.update({variable(name): str(value) for name, value in overrides.items() if value is not None})


def run(arguments: list[str]) -> None:
    """Run the command line, with ``serve`` as the default command."""
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["serve", *arguments]
    commands(arguments, prog_name="gateway")
