"""Whose rows are exported, and which gateway is asked for them."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click

from gateway.cli.export.gateways import own_gateway, running_gateway
from gateway.cli.export.outcomes import TokenRefused
from gateway.cli.export.pages import Post
from gateway.config.origin import upstream_origin
from gateway.config.settings import SANDBOX, SettingsError, read_settings, variable
from gateway.errors import Unauthenticated
from gateway.page import AccessToken

# Where the token is looked for; not GATEWAY_…, for it is no setting of a gateway, which holds no token.
TOKEN_VARIABLE = "PARTNER_CENTER_TOKEN"  # noqa: S105  # its name, not a token


def read_token(file: Path | None, *, from_stdin: bool, hint: str = "") -> AccessToken:
    """The access token. Raises click.UsageError where there is none, and TokenRefused for what cannot be one."""
    if file is not None and from_stdin:
        raise click.UsageError("Give the token once: --token-file or --token-stdin.")
    try:
        secret = _secret(file, from_stdin=from_stdin).strip()
        if not secret:
            raise click.UsageError(
                f"An access token is needed: in {TOKEN_VARIABLE}, --token-file or --token-stdin.{hint}"
            )
        return AccessToken(secret)
    except OSError as error:
        raise click.UsageError(f"Cannot read {file}: {(error.strerror or 'no such file').lower()}.") from None
    except (UnicodeDecodeError, Unauthenticated):
        raise TokenRefused("The access token is malformed.") from None


def _secret(file: Path | None, *, from_stdin: bool) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8")
    return sys.stdin.read() if from_stdin else os.environ.get(TOKEN_VARIABLE, "")


def token_hint(url: str | None, upstream: str | None) -> str:
    """What to say to someone without a token: the sandbox's, where that is asked."""
    if url is not None or (upstream or os.environ.get(variable("upstream_url")) or SANDBOX) != SANDBOX:
        return ""
    # Imported here, so that it is only where it is needed.
    from gateway.sandbox import ACCOUNTS

    return f" The upstream is the sandbox, whose tokens are {', '.join(ACCOUNTS)}."


def gateway_for(url: str | None, upstream: str | None, token: AccessToken) -> AbstractAsyncContextManager[Post]:
    """The gateway at ``url``, or one of our own before the configured upstream. Raises click.UsageError."""
    if url is not None:
        if upstream is not None:
            raise click.UsageError("--url and --upstream exclude each other.")
        try:
            return running_gateway(upstream_origin(url.rstrip("/")), token)
        except ValueError:
            raise click.UsageError(
                "--url is a gateway's origin such as https://gateway.example, without a path; plain http is for"
                " loopback and private hosts only, because it shows the token."
            ) from None
    try:
        settings = read_settings(os.environ, {"upstream_url": upstream})
    except SettingsError as error:
        raise click.UsageError(f"These settings cannot be used:\n{error}") from None
    if settings.upstream_url == SANDBOX:
        click.echo("The upstream is the embedded sandbox: these rows are made up.", err=True)
    return own_gateway(settings, token)
