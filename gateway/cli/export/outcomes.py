"""How an export ends. Each way has an exit code, which `gateway export --help` tells."""

from __future__ import annotations

from typing import ClassVar

import click

EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed, and will fail again
  2  wrong usage or settings
  3  the token was refused, or has expired: get a new one, then --resume
  4  stopped before the end: interrupted, or the upstream failed for too long; --resume goes on
  5  the data was processed anew meanwhile: --restart
  6  the file is written, but the upstream promised more rows than it gave"""


class ExportEnded(click.ClickException):
    """An end other than the good one; the class is the exit code, the message says what to do."""

    exit_code: ClassVar[int] = 1


class Failed(ExportEnded):
    """It will fail again."""


class TokenRefused(ExportEnded):
    """Another token is needed."""

    exit_code = 3


class Stopped(ExportEnded):
    """What is there can be continued."""

    exit_code = 4


class DataChanged(ExportEnded):
    """What is there belongs to data that is no more."""

    exit_code = 5


class Incomplete(ExportEnded):
    """The file is there, but the upstream ended early."""

    exit_code = 6
