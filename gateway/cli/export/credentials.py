"""The access token of an export, from the environment, a file or standard input."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.access_token import AccessToken, read_claims
from gateway.cli.export.exit_codes import TokenRefused
from gateway.config.settings import SANDBOX, variable
from gateway.errors import Unauthenticated

# The environment variable of the token. It has no GATEWAY_ prefix, because it is not a setting.
TOKEN_VARIABLE = "PARTNER_CENTER_TOKEN"  # noqa: S105  # its name, not a token

BOM = codecs.BOM_UTF8.decode()


def read_token(file: Path | None, *, from_stdin: bool, hint: str = "") -> AccessToken:
    """Return the access token. Raises click.UsageError if it is missing, and TokenRefused if it is malformed."""
    if file is not None and from_stdin:
        raise click.UsageError("Use only one of --token-file and --token-stdin.")
    try:
        secret = _secret(file, from_stdin=from_stdin).strip()
        if not secret:
            raise click.UsageError(
                f"No access token. Set {TOKEN_VARIABLE}, or use --token-file or --token-stdin.{hint}"
            )
        return AccessToken(secret)
    except OSError as error:
        raise click.UsageError(f"Cannot read {file}: {(error.strerror or 'no such file').lower()}.") from None
    except (UnicodeDecodeError, Unauthenticated):
        raise TokenRefused(
            "The access token is malformed: give the token alone, without Bearer, quotes or further lines. If it is"
            " alone, get a new one."
        ) from None


def _secret(file: Path | None, *, from_stdin: bool) -> str:
    if file is not None:
        return _decoded(file.read_bytes())
    return sys.stdin.read().lstrip(BOM) if from_stdin else os.environ.get(TOKEN_VARIABLE, "")


def _decoded(content: bytes) -> str:
    """Return the text of a file. Windows PowerShell 5.1 writes UTF-16 with ``>``, and UTF-8 with a byte order mark."""
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig")


class _TenantClaims(msgspec.Struct):
    # Entra's access token claims reference: the tenant's id. A malformed token may have any JSON type here.
    tid: Any = None


def tenant_of(token: AccessToken) -> str | None:
    """Return the id of the token's tenant, or None if it is not readable."""
    claims = read_claims(token.reveal(), _TenantClaims)
    return claims.tid.lower() if claims is not None and isinstance(claims.tid, str) else None


def token_hint(url: str | None, upstream: str | None) -> str:
    """Return a sentence that lists the sandbox's tokens, or "" if the export does not read from the sandbox."""
    if url is not None or (upstream or os.environ.get(variable("upstream_url")) or SANDBOX).strip() != SANDBOX:
        return ""
    # Imported lazily: only exports from the sandbox need it.
    from gateway.sandbox import ACCOUNTS

    return f" The upstream is the sandbox, whose tokens are {', '.join(ACCOUNTS)}."
