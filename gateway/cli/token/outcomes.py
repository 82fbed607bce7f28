"""How a sign-in ends. Each way has an exit code, which `gateway token --help` tells."""

from __future__ import annotations

from typing import ClassVar

import click

EXIT_CODES = """\b
Exit codes:
  0  the token is on standard output
  1  failed in another way
  2  wrong usage
  3  nobody signed in before the code expired: run it again
  4  the sign-in was declined
  5  an administrator must change the tenant or the app registration first
  6  a policy of the tenant asks for more: multi-factor authentication, another device or place
  7  the identity service cannot be reached, or what it answers cannot be read"""


class SignInEnded(click.ClickException):
    """An end without a token; the class is the exit code, the message says what to do."""

    exit_code: ClassVar[int] = 1


class Failed(SignInEnded):
    """None of the others."""


class CodeExpired(SignInEnded):
    """Nobody signed in in time."""

    exit_code = 3


class Declined(SignInEnded):
    """The user said no, or signed in as somebody else."""

    exit_code = 4


class NotSetUp(SignInEnded):
    """The tenant or the app registration does not allow it as it is."""

    exit_code = 5


class PolicyRefused(SignInEnded):
    """Multi-factor authentication or conditional access."""

    exit_code = 6


class NoAnswer(SignInEnded):
    """There is no answer, or none that makes sense."""

    exit_code = 7


class Unreachable(NoAnswer):
    """There is no answer now; there may be one later."""
