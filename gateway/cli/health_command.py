"""The command `gateway health`."""

from __future__ import annotations

import json
import os
from http.client import HTTPConnection, HTTPException
from threading import Thread

import click

from gateway.config.environment import SettingsError, read_settings

# Of another server's text that is printed (our choice; the gateway's own reasons are shorter).
MAX_CHARACTERS = 500

# Every address of the machine: the gateway is asked at loopback.
_ANY = frozenset({"0.0.0.0", "::", "[::]"})  # noqa: S104  # read, not bound


@click.command(
    help="""Ask a running gateway whether it is ready.

    Exit code 0 means that its `/readyz` answers 200, and 1 that it does not, or that another program answers: for
    health checks of containers, whose images need no curl. The address is that of GATEWAY_HOST and GATEWAY_PORT.
    """,
)
@click.option("--host", help="Address of the gateway; overrides GATEWAY_HOST.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the gateway; overrides GATEWAY_PORT.")
@click.option(
    "--timeout", "timeout_seconds", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, metavar="SECONDS"
)
def health(host: str | None, port: int | None, timeout_seconds: float) -> None:
    try:
        settings = read_settings(os.environ, {"host": host, "port": port, "upstream_url": _upstream_for(host)})
    except SettingsError as error:
        raise click.ClickException(f"Invalid settings:\n{error}") from None
    if settings.port == 0:
        raise click.ClickException("GATEWAY_PORT=0 picks a free port. Pass the one it picked with --port.")
    address = "localhost" if settings.host in _ANY else settings.host.strip("[]")
    status, reasons = _asked(address, settings.port, timeout_seconds)
    if reasons is None:
        raise click.ClickException(
            f"Something other than a gateway answers at {_printable(address)} port {settings.port} (status {status})."
            " Check host and port."
        )
    if status != 200 or reasons:
        raise click.ClickException(f"Not ready: {reasons or f'status {status}'}")
    click.echo("ready")


def _upstream_for(host: str | None) -> str | None:
    """Return a value for the upstream: asking another host needs none, although serving it would."""
    return "sandbox" if host is not None and "GATEWAY_UPSTREAM_URL" not in os.environ else None


def _asked(host: str, port: int, timeout_seconds: float) -> tuple[int, str | None]:
    """Return the status of ``/readyz``, and the reasons in its body; None if it is not a gateway's.

    Raises click.ClickException.
    """
    answers: list[tuple[int, str | None] | Exception] = []
    # The library limits only the time between two bytes; a thread is left behind after the whole time.
    asking = Thread(target=lambda: answers.append(_exchange(host, port, timeout_seconds)), daemon=True)
    asking.start()
    asking.join(timeout_seconds)
    answer = answers[0] if answers else TimeoutError("timed out")
    if not isinstance(answer, Exception):
        return answer
    cause = getattr(answer, "strerror", None) or (
        str(answer) if isinstance(answer, OSError) else "it does not speak HTTP"
    )
    raise click.ClickException(f"No gateway answers at {_printable(host)} port {port}: {cause.lower()}.")


def _exchange(host: str, port: int, timeout_seconds: float) -> tuple[int, str | None] | Exception:
    try:
        connection = HTTPConnection(host, port, timeout=timeout_seconds)
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, _reasons(response.read(65_536))
    except UnicodeError:
        return OSError("there is no such host")
    except (OSError, HTTPException) as error:
        return error


def _reasons(body: bytes) -> str | None:
    """Return the reasons why a gateway is not ready, "" if it is; None if ``body`` is not that of ``/readyz``."""
    try:
        document = json.loads(body)
        reasons, is_ready = document["reasons"], document["status"] == "ready"
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_known = isinstance(reasons, list) and all(isinstance(reason, str) for reason in reasons)
    return _printable(" ".join(reasons)) if is_known and is_ready == (not reasons) else None


def _printable(text: str) -> str:
    """Return the start of ``text``, without what would control a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text[:MAX_CHARACTERS])
