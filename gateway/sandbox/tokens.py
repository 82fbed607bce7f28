"""Who asks: from the Authorization header to an account, its faults, and what the token was answered before."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from gateway.sandbox import replies
from gateway.sandbox.fault_values import FaultError
from gateway.sandbox.faults import Faults, SandboxToken, UnknownAccountError, parse_token

# A test may use very many tokens; the least recently used ones start anew.
_REMEMBERED_TOKENS: Final = 10_000


@dataclass(slots=True)
class History:
    """What a token was answered so far."""

    requests: int = 0
    good_replies: int = 0
    failures: int = 0
    empty_pages: int = 0
    throttled_until_seconds: float | None = None

    def throttled_for(self, window_seconds: float, now_seconds: float) -> float:
        """Seconds for which the token is still throttled; the window opens with the first request, and only once."""
        if self.throttled_until_seconds is None:
            self.throttled_until_seconds = now_seconds + window_seconds
        return max(0.0, self.throttled_until_seconds - now_seconds)

    def fails(self, times: int) -> bool:
        """Counts a failure if fewer than that many were given."""
        if self.failures >= times:
            return False
        self.failures += 1
        return True


@dataclass(slots=True)
class Tokens:
    """The tokens seen lately."""

    histories: OrderedDict[str, History] = field(default_factory=OrderedDict)

    def history(self, token: SandboxToken) -> History:
        """The history of a token; faults make another token of it."""
        history = self.histories.setdefault(token.text, History())
        self.histories.move_to_end(token.text)
        if len(self.histories) > _REMEMBERED_TOKENS:
            self.histories.popitem(last=False)
        return history


def bearer(header: str | None) -> str:
    """The token of an Authorization header, empty if it has none; the scheme's case does not matter (RFC 9110)."""
    scheme, _, token = (header or "").strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def authenticate(header: str | None) -> SandboxToken:
    """The token of a request. Raises Refusal."""
    text = bearer(header)
    if not text:
        raise replies.missing_token()
    try:
        return parse_token(text)
    except UnknownAccountError:
        raise replies.access_denied() from None
    except FaultError as error:
        raise replies.bad_fault(str(error)) from None


def retry_after(remaining_seconds: float, faults: Faults) -> tuple[tuple[str, str], ...]:
    """The header that says when to come back, in the form that the faults ask for."""
    if faults.throttle_form == "absent":
        return ()
    whole_seconds = math.ceil(remaining_seconds)
    texts = {
        "seconds": str(whole_seconds),
        "date": format_datetime(datetime.now(UTC) + timedelta(seconds=whole_seconds), usegmt=True),
        "junk": "soon",
        "negative": f"-{whole_seconds}",
        "huge": "99999999999999999999",
    }
    return (("Retry-After", texts[faults.throttle_form]),)
