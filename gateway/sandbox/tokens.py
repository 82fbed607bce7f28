"""Tokens: an account followed by faults, such as ``contoso+latency=2+bom``.

Values are percent-decoded, so that ``content-type=application/problem%2Bjson`` can contain a plus sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from gateway.sandbox.accounts import ACCOUNTS, Account
from gateway.sandbox.faults import Faults, switches_help
from gateway.sandbox.responses import Refusal, refusal_with
from gateway.sandbox.switches import FaultError

# The code of a token with an unknown fault, or with a value that its fault does not take. Partner Center has no such
# code.
UNKNOWN_FAULT: Final = "UnknownFault"


@dataclass(frozen=True, slots=True)
class SandboxToken:
    """A parsed token: the account and its faults."""

    text: str
    account: Account
    faults: Faults


@dataclass(slots=True)
class History:
    """Counters for the requests of one token. The same account with other faults is another token."""

    requests: int = 0
    successful_responses: int = 0
    failures: int = 0
    empty_pages: int = 0
    throttled_until_seconds: float | None = None

    def throttled_for(self, window_seconds: float, now_seconds: float) -> float:
        """Return the seconds for which the token is still throttled. The first request opens the only window."""
        if self.throttled_until_seconds is None:
            self.throttled_until_seconds = now_seconds + window_seconds
        # min() because rounding can make (now + window) - now slightly larger than the window.
        return min(window_seconds, max(0.0, self.throttled_until_seconds - now_seconds))

    def take_failure(self, times: int) -> bool:
        """Count a failure and return True, unless the token has already had ``times`` failures."""
        if self.failures >= times:
            return False
        self.failures += 1
        return True


def bearer(header: str | None) -> str:
    """Return the bearer token of an Authorization header, or "". The scheme is case-insensitive (RFC 9110, 11.1)."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def authenticate(header: str | None) -> SandboxToken:
    """Return the token of an Authorization header. Raises Refusal."""
    text = bearer(header)
    if not text:
        # Source: Partner Center documents, error codes.
        raise Refusal(401, 800001, "Partner token is missing in the request context")
    account, *switches = text.split("+")
    if account not in ACCOUNTS:
        raise refusal_with(401)
    try:
        return SandboxToken(text, ACCOUNTS[account], parse_faults(switches))
    except FaultError as error:
        text = f"The sandbox refuses this token: {error}."
        raise Refusal(400, UNKNOWN_FAULT, text) from None


def parse_faults(switches: list[str]) -> Faults:
    """Parse the switches of a token. Raises FaultError for an unknown switch or an invalid value."""
    faults = Faults()
    for switch in switches:
        name, _, value = switch.partition("=")
        faults = faults.with_switch(name, unquote(value))
    return faults


def _help() -> str:
    lines = ["Tokens (Authorization: Bearer TOKEN):", ""]
    lines += [
        f"  {account.name:<24} {account.row_count:,} rows of sold licenses, processed at {account.latest.isoformat()}"
        for account in ACCOUNTS.values()
    ]
    lines += ["", "Add faults with a plus sign: contoso+latency=2+throttle=30+bom+link=absolute", ""]
    return "\n".join([*lines, switches_help()])


FAULTS_HELP: Final = _help()
"""All tokens and fault switches, each with an example."""
