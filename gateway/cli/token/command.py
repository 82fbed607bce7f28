"""The command line of a sign-in."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING
from uuid import UUID

import click

from gateway.cli.token.outcomes import EXIT_CODES, Failed
from gateway.config.origin import upstream_origin

if TYPE_CHECKING:
    from gateway.cli.token.device_code import Instructions

# Microsoft's national clouds page; 21Vianet's is https://login.chinacloudapi.cn.
AUTHORITY = "https://login.microsoftonline.com"

# Partner Center docs, secure application model.
SCOPE = "https://api.partnercenter.microsoft.com/user_impersonation"

# Entra: a tenant is named by its id or by one of its domains.
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@click.command(epilog=EXIT_CODES)
@click.option(
    "--client-id", type=click.UUID, envvar="AZURE_CLIENT_ID", show_envvar=True, help="Id of the app registration."
)
@click.option("--tenant", envvar="AZURE_TENANT_ID", show_envvar=True, help="Id or domain of the partner tenant.")
@click.option(
    "--authority",
    metavar="ORIGIN",
    envvar="AZURE_AUTHORITY_HOST",
    show_envvar=True,
    default=AUTHORITY,
    show_default=True,
    help="Where to sign in; https://login.chinacloudapi.cn for 21Vianet.",
)
@click.option("--scope", default=SCOPE, show_default=True, help="What the token is for.")
def token(client_id: UUID | None, tenant: str | None, authority: str, scope: str) -> None:
    """Print an access token of a user who signs in.

    It uses OAuth's device code: where to sign in, and with which code, is told on standard error, and the token alone
    goes to standard output: TOKEN=$(gateway token --client-id APP-ID --tenant contoso.onmicrosoft.com). Both ids are
    needed, and the extra `token`. It is kept nowhere; run this again when it has expired.
    """
    if find_spec("msal") is None:
        raise Failed("Signing in needs the package msal: pip install -c requirements.lock '.[token]'")
    needed = {"--client-id or AZURE_CLIENT_ID": client_id, "--tenant or AZURE_TENANT_ID": tenant}
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise click.UsageError(f"Give {', and '.join(missing)}.")
    # Imported here, so that `gateway --help` need not wait for them.
    from gateway.cli.token.concerns import concerns
    from gateway.cli.token.device_code import Registration, sign_in

    found = sign_in(Registration(str(client_id), _tenant(tenant or ""), _authority(authority), _scopes(scope)), _tell)
    click.echo(f"Signed in. {_end(found.expires_at)}", err=True)
    for concern in concerns(found.token):
        click.echo(f"Warning: Partner Center will refuse this token. {concern}", err=True)
    _print(found.token.reveal())


def _tell(instructions: Instructions) -> None:
    click.echo(f"{instructions.text} Ctrl-C gives up.", err=True)


def _end(expires_at: float | None) -> str:
    try:
        when = datetime.fromtimestamp(expires_at or 0).astimezone()
    except (ValueError, OverflowError, OSError):
        expires_at = None
    if not expires_at:
        return "Nobody says until when the token is valid."
    return f"The token is valid until {when:%Y-%m-%d %H:%M:%S %Z}."


def _print(secret: str) -> None:
    try:
        # Past Python's buffer, which would be tried again at the end, with a complaint.
        os.write(sys.stdout.fileno(), f"{secret}\n".encode())
    except BrokenPipeError:
        sys.exit(Failed.exit_code)
    except OSError as error:
        raise Failed(f"Cannot write: {(error.strerror or 'no reason given').lower()}.") from None


def _tenant(text: str) -> str:
    if not TENANT.fullmatch(text):
        raise click.UsageError("--tenant is the tenant's id, or a domain such as contoso.onmicrosoft.com.")
    return text


def _authority(text: str) -> str:
    # The Azure SDKs take a host alone, too.
    url = text.rstrip("/") if "://" in text else f"https://{text.rstrip('/')}"
    try:
        if not url.startswith("https://"):
            raise ValueError("plain http shows the token")
        return upstream_origin(url)
    except ValueError:
        raise click.UsageError(f"--authority is an https origin such as {AUTHORITY}, without a path.") from None


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(text.split())
    # MSAL adds these itself.
    if not scopes or {"openid", "profile", "offline_access"} & set(scopes):
        raise click.UsageError(f"--scope is what an API asks for, such as {SCOPE}.")
    return scopes
