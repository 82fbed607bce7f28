"""Authentication by bearer token, and the history of each token."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from gateway.sandbox import responses
from gateway.sandbox.accounts import ACCOUNTS
from gateway.sandbox.faults import SandboxToken

# Bounds memory; the least recently used tokens lose their history.
_MAX_TOKENS: Final = 10_000


@dataclass(slots=True)
class History:
    """Counters for the requests of one token."""

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


@dataclass(slots=True)
class Tokens:
    """The histories of the most recently used tokens."""

    histories: OrderedDict[str, History] = field(default_factory=OrderedDict)

    def history(self, token: SandboxToken) -> History:
        """Return the history of a token. The same account with other faults is another token."""
        history = self.histories.setdefault(token.text, History())
        self.histories.move_to_end(token.text)
        if len(self.histories) > _MAX_TOKENS:
            self.histories.popitem(last=False)
        return history


def bearer(header: str | None) -> str:
    """Return the bearer token of an Authorization header, or "". The scheme is case-insensitive (RFC 9110, 11.1)."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def authenticate(header: str | None) -> str:
    """Return the account of a request whose token is the name of an account. Raises Refusal."""
    account = bearer(header)
    if not account:
        raise responses.missing_token()
    if account not in ACCOUNTS:
        raise responses.access_denied()
    return account
