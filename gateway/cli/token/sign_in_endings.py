"""The ways a sign-in ends, each with its own exit code, as listed by `gateway token --help`."""

from __future__ import annotations

from typing import ClassVar

import click

EXIT_CODES = """\b
Exit codes:
  0  the token is on standard output
  1  failed for another reason
  2  invalid usage
  3  nobody signed in before the code expired: run it again
  4  the sign-in was declined
  5  an administrator must first change the tenant or the app registration
  6  a policy of the tenant requires multi-factor authentication, or another device or location
  7  the identity service cannot be reached, or its response cannot be read"""


class SignInEnded(click.ClickException):
    """A sign-in without a token, for a reason without its own exit code; the message says what to do."""

    exit_code: ClassVar[int] = 1


class CodeExpired(SignInEnded):
    """Nobody signed in before the code expired."""

    exit_code = 3


class SignInDeclined(SignInEnded):
    """The user declined, or signed in with another account."""

    exit_code = 4


class SetupRequired(SignInEnded):
    """The tenant or the app registration does not allow the sign-in."""

    exit_code = 5


class PolicyRefused(SignInEnded):
    """A policy requires multi-factor authentication, or conditional access blocks the sign-in."""

    exit_code = 6


class IdentityServiceFailed(SignInEnded):
    """The identity service sent no response, or an unusable one."""

    exit_code = 7


class IdentityServiceUnreachable(IdentityServiceFailed):
    """The identity service is unreachable at the moment; a later attempt may succeed."""
