"""The command `gateway token` and its options."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING
from uuid import UUID

import click

from gateway.cli.token.sign_in_endings import EXIT_CODES, SignInEnded
from gateway.config.library_variables import switch_faults
from gateway.config.origin import upstream_origin
from gateway.network.proxies import proxy_for
from gateway.network.trust import trust_faults

if TYPE_CHECKING:
    from gateway.cli.token.device_code import Instructions

# Microsoft's national clouds page; for 21Vianet it is https://login.chinacloudapi.cn.
AUTHORITY = "https://login.microsoftonline.com"

# Partner Center docs, secure application model.
SCOPE = "https://api.partnercenter.microsoft.com/user_impersonation"

# Entra names a tenant by its id or by one of its domains.
TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


# Not a docstring, which python -OO removes.
HELP = """Sign a user in and print an access token.

Uses OAuth's device code: standard error shows where to sign in and with which code, and standard output gets only
the token: TOKEN=$(gateway token --client-id APP-ID --tenant contoso.onmicrosoft.com). Both ids are required, and
so is the extra `token`. The token is not stored; run this again when it has expired.
"""


@click.command(epilog=EXIT_CODES, help=HELP)
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
@click.option("--scope", default=SCOPE, show_default=True, help="Scope of the token.")
def token(client_id: UUID | None, tenant: str | None, authority: str, scope: str) -> None:
    if find_spec("msal") is None:
        raise SignInEnded(
            "Signing in needs the extra 'token'. Run: pip install 'partner-center-graphql[token]', or in a clone:"
            " .venv/bin/pip install -c requirements.lock '.[token]'"
        )
    required = {"--client-id or AZURE_CLIENT_ID": client_id, "--tenant or AZURE_TENANT_ID": tenant}
    missing = [name for name, value in required.items() if not value]
    if missing:
        raise click.UsageError(f"Missing: {', and '.join(missing)}.")
    if faults := [*switch_faults(os.environ, only_secrets=True), *trust_faults(os.environ)]:
        raise click.UsageError("Invalid environment:\n" + "\n".join(faults))
    # Imported lazily, so that `gateway --help` is fast.
    from gateway.cli.token.device_code import Registration, sign_in
    from gateway.cli.token.token_warnings import token_warnings

    registration = Registration(str(client_id), _tenant(tenant or ""), _authority(authority), _scopes(scope))
    try:
        proxy_for(registration.authority, os.environ)
    except ValueError as error:
        raise click.UsageError(f"Invalid environment:\n{error}") from None
    signed_in = sign_in(registration, _show)
    click.echo(f"Signed in. {_expiry_text(signed_in.expires_at)}", err=True)
    for warning in token_warnings(signed_in.token):
        click.echo(f"Warning: Partner Center will refuse this token. {warning}", err=True)
    _print(signed_in.token.reveal())


def _show(instructions: Instructions) -> None:
    click.echo(f"{instructions.text} Press Ctrl-C to cancel.", err=True)


def _expiry_text(expires_at: float | None) -> str:
    try:
        when = datetime.fromtimestamp(expires_at or 0).astimezone()
    except (ValueError, OverflowError, OSError):
        expires_at = None
    if not expires_at:
        return "The expiry of the token is unknown."
    return f"The token is valid until {when:%Y-%m-%d %H:%M:%S %Z}."


def _print(secret: str) -> None:
    try:
        # Bypass Python's buffer, which would be flushed again at exit, fail again and print an error.
        os.write(sys.stdout.fileno(), f"{secret}\n".encode())
    except BrokenPipeError:
        sys.exit(SignInEnded.exit_code)
    except OSError as error:
        raise SignInEnded(f"Cannot write: {(error.strerror or 'no reason given').lower()}.") from None


def _tenant(text: str) -> str:
    text = text.strip()
    if not TENANT.fullmatch(text):
        raise click.UsageError("--tenant must be the tenant's id, or a domain such as contoso.onmicrosoft.com.")
    return text


def _authority(text: str) -> str:
    # The Azure SDKs also accept a host without a scheme.
    text = text.strip().rstrip("/")
    url = text if "://" in text else f"https://{text}"
    try:
        if not url.startswith("https://"):
            raise ValueError("plain http exposes the token")
        return upstream_origin(url)
    except ValueError:
        raise click.UsageError(f"--authority must be an https origin such as {AUTHORITY}, without a path.") from None


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(text.split())
    # MSAL adds these scopes itself.
    if not scopes or {"openid", "profile", "offline_access"} & set(scopes):
        raise click.UsageError(f"--scope must be the scope of an API, such as {SCOPE}.")
    return scopes
