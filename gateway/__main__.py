"""The front door: commands, and ``build()``, the one place that wires everything together."""

from __future__ import annotations

import difflib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.settings import (
    SANDBOX,
    Settings,
    SettingsError,
    ignored_names,
    masked,
    read_settings,
    sources,
    variable,
)

if TYPE_CHECKING:
    from starlette.applications import Starlette


def build(settings: Settings) -> Starlette:
    """The whole gateway for ``settings``: an ASGI application that owns its cache and connections."""
    # Imported here so that `gateway --help` need not wait for them.
    from gateway.app import create_app
    from gateway.cache.freshness import Freshness
    from gateway.cache.pages import CachedPages
    from gateway.cache.size import page_size_bytes
    from gateway.graphiql.page import GraphiQL
    from gateway.sandbox import create_sandbox
    from gateway.single_flight import SingleFlight
    from gateway.telemetry import Metrics
    from gateway.tuning import tune_process
    from gateway.upstream import BlockReader, UpstreamClient
    from gateway.upstream.embedded import EmbeddedTransport
    from schema.blocks import BlockSizes
    from schema.build import build_schema, sdl
    from schema.context import Limits
    from schema.execution import Operations
    from schema.plans import Plans
    from schema.view import FastPath, GraphQLView

    sandbox = settings.upstream_url == SANDBOX
    metrics = Metrics()
    client = UpstreamClient(
        base_url="http://sandbox.invalid" if sandbox else settings.upstream_url,
        path_prefix=settings.upstream_path_prefix,
        trailing_slash=settings.upstream_trailing_slash,
        timeout_seconds=settings.upstream_timeout_seconds,
        operation_timeout_seconds=settings.operation_timeout_seconds,
        max_retries=settings.upstream_max_retries,
        max_concurrency=settings.upstream_max_concurrency,
        max_connections=settings.upstream_max_connections,
        max_body_bytes=settings.upstream_max_body_bytes,
        transport=EmbeddedTransport(create_sandbox()) if sandbox else None,
        observer=metrics.upstream_call_ended,
    )
    cache = CachedPages(
        BlockReader(
            client,
            max_calls=settings.max_upstream_calls,
            clock=time.time,
            operation_timeout_seconds=settings.operation_timeout_seconds,
        ),
        max_bytes=settings.cache_memory_bytes,
        freshness=Freshness(settings.cache_fresh_seconds, settings.cache_stale_seconds),
        first_block_rows=settings.first_block_rows,
        block_rows=settings.block_rows,
        size_of=page_size_bytes,
    )
    metrics.watch_cache(cache.store)
    limits = Limits(**{name: getattr(settings, name) for name in Limits.__dataclass_fields__})
    graphiql = GraphiQL(sandbox=sandbox) if settings.graphiql else None
    view = GraphQLView(
        operations=Operations(
            build_schema(), limits, introspection=settings.introspection, fast_path=settings.fast_path
        ),
        source=SingleFlight(cache),
        sizes=BlockSizes(settings.first_block_rows, settings.block_rows),
        limits=limits,
        max_request_bytes=settings.max_request_bytes,
        page=graphiql.page_response if graphiql else None,
        fast_path=FastPath(Plans(), cache) if settings.fast_path else None,
    )

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        tune_process()
        try:
            yield
        finally:
            await cache.aclose()
            await client.aclose()

    return create_app(
        view,
        metrics=metrics,
        lifespan=lifespan,
        sandbox=sandbox,
        cors_origins=settings.cors_origins,
        sdl=sdl() if settings.introspection else None,
        graphiql_routes=graphiql.routes if graphiql else (),
        show_metrics=settings.metrics,
    )


def create() -> Starlette:
    """The gateway for the process's environment; what each of several workers runs."""
    from gateway.telemetry import configure_logging

    settings = read_settings(os.environ)
    configure_logging(settings.log_format, settings.log_level)
    return build(settings)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("partner-center-graphql"), prog_name="gateway")
def commands() -> None:
    """A GraphQL gateway over Microsoft Partner Center's licenses-deployment analytics.

    Without a command, it serves. Settings come from GATEWAY_* environment variables; see `gateway settings`.
    """


_serve_options = [
    click.option("--host", help="Address to listen on; overrides GATEWAY_HOST."),
    click.option("--port", type=int, help="Port to listen on, 0 for a free one; overrides GATEWAY_PORT."),
    click.option("--upstream", help="`sandbox` or an origin; overrides GATEWAY_UPSTREAM_URL."),
    click.option("--workers", type=int, help="Server processes; overrides GATEWAY_WORKERS."),
]


def _with_serve_options(command: Any) -> Any:
    for option in reversed(_serve_options):
        command = option(command)
    return command


@commands.command()
@_with_serve_options
def serve(host: str | None, port: int | None, upstream: str | None, workers: int | None) -> None:
    """Serve GraphQL, and GraphiQL for browsers. With no setting at all it serves made-up data from the sandbox."""
    overrides = {"host": host, "port": port, "upstream_url": upstream, "workers": workers}
    settings = _settings(overrides)
    from gateway.serving import CannotListen, Listener, end_quietly_on_signals, run_one, run_several
    from gateway.telemetry import configure_logging

    end_quietly_on_signals()
    configure_logging(settings.log_format, settings.log_level)
    _tell_ignored()
    listener = Listener(settings.host, settings.port, settings.shutdown_grace_seconds)
    try:
        if settings.workers > 1:
            _export(overrides)
            run_several("gateway.__main__:create", listener, settings.workers, lambda url: _banner(url, settings))
        else:
            run_one(build(settings), listener, lambda url: _banner(url, settings))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None


class _WithFaults(click.Command):
    """A command whose help ends with the table of the sandbox's tokens and faults, as it stands."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from gateway.sandbox import FAULTS_HELP

        formatter.write(f"\n{FAULTS_HELP}")


@commands.command(cls=_WithFaults)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65_535), default=9000, show_default=True, help="0 for a free one.")
def sandbox(host: str, port: int) -> None:
    """Serve the sandbox upstream alone, as a REST service for a gateway on another process or machine."""
    from gateway.sandbox import create_sandbox
    from gateway.serving import CannotListen, Listener, end_quietly_on_signals, run_one
    from gateway.telemetry import configure_logging

    end_quietly_on_signals()
    configure_logging("auto", "info")
    # Its replies have a Date of their own, and whoever waits for a fault is in no hurry to get an answer.
    listener = Listener(host, port, shutdown_grace_seconds=1, date_header=False)
    try:
        run_one(create_sandbox(), listener, lambda url: click.echo(f"Sandbox upstream at {url}", err=True))
    except CannotListen as error:
        raise click.ClickException(str(error)) from None


@commands.command()
@click.option("--check", "file", type=click.Path(path_type=Path), help="Exit 1 with a diff when FILE differs.")
def schema(file: Path | None) -> None:
    """Print the schema in GraphQL's schema definition language."""
    from schema.build import sdl

    if file is None:
        click.echo(sdl(), nl=False)
        return
    try:
        kept = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(
            f"Cannot read {file}: {getattr(error, 'strerror', None) or 'it is no text'}."
        ) from None
    lines = (kept.splitlines(keepends=True), sdl().splitlines(keepends=True))
    diff = "".join(difflib.unified_diff(*lines, fromfile=str(file), tofile="gateway schema"))
    if diff:
        click.echo(diff, nl=False)
        sys.exit(1)


@commands.command()
@_with_serve_options
def settings(host: str | None, port: int | None, upstream: str | None, workers: int | None) -> None:
    """Print every setting: its value, its default and where the value came from."""
    overrides = {"host": host, "port": port, "upstream_url": upstream, "workers": workers}
    found, origins = _settings(overrides), sources(os.environ, overrides)
    for name, field in Settings.model_fields.items():
        value, default = _shown(getattr(found, name)), _shown(field.default)
        click.echo(f"{variable(name)}={value}  (default {default}; from {origins[name]})")


def _settings(overrides: dict[str, Any]) -> Settings:
    try:
        return read_settings(os.environ, overrides)
    except SettingsError as error:
        raise click.ClickException(f"These settings cannot be used:\n{error}") from None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.15g}"
    return masked(",".join(value) if isinstance(value, tuple) else str(value))


def _tell_ignored() -> None:
    import structlog

    names = ignored_names(os.environ)
    if names:
        structlog.get_logger("gateway").info("ignored injected environment variables", names=names)


def _export(overrides: dict[str, Any]) -> None:
    """Let worker processes read what the command line said from their environment."""
    os.environ.update({variable(name): str(value) for name, value in overrides.items() if value is not None})


def _banner(url: str, settings: Settings) -> None:
    if settings.upstream_url == SANDBOX:
        upstream = "the embedded sandbox: made-up data, tokens contoso, fabrikam, tailspin and sample"
    else:
        upstream = settings.upstream_url
    what = "GraphiQL and GraphQL" if settings.graphiql else "GraphQL"
    click.echo(f"\n  {what}   {url}/graphql\n  Upstream   {upstream}\n  Stop with Ctrl-C.\n", err=True)


def main() -> None:
    """Run the command line; without a command, ``serve``."""
    arguments = sys.argv[1:]
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["serve", *arguments]
    commands(arguments, prog_name="gateway")


if __name__ == "__main__":
    main()
