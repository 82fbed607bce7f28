"""The ways an export ends, each with its own exit code, as listed by `gateway export --help`."""

from __future__ import annotations

from typing import ClassVar

import click

EXIT_CODES = """\b
Exit codes:
  0  done
  1  failed; running it again will not help
  2  invalid usage or settings
  3  the token was refused or has expired: get a new one, then use --resume
  4  stopped early: interrupted, or the upstream failed for too long; use --resume to continue
  5  the data was reprocessed during the export: use --restart
  6  the file is written, but the upstream announced more rows than it returned"""


class ExportEnded(click.ClickException):
    """Base of all unsuccessful ends. The class sets the exit code; the message says what to do."""

    exit_code: ClassVar[int] = 1


class ExportFailed(ExportEnded):
    """The export failed, and would fail again."""


class OptionRefused(ExportEnded):
    """The gateway refused the value of an option."""

    exit_code = 2


class TokenRefused(ExportEnded):
    """The export needs another access token."""

    exit_code = 3


class ExportStopped(ExportEnded):
    """The export stopped early and can be resumed."""

    exit_code = 4


class DataChanged(ExportEnded):
    """The rows written so far belong to a snapshot that no longer exists."""

    exit_code = 5


class ExportIncomplete(ExportEnded):
    """The file is written, but the upstream returned fewer rows than it announced."""

    exit_code = 6
