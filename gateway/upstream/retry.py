"""Which failed attempts are repeated, how often and after what pause; and how ``Retry-After`` is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from gateway.errors import GatewayError

# The AWS Architecture Blog's "full jitter": a random pause up to base * 2^n, the base small against an upstream that
# takes seconds, the cap small against an operation's time.
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 8.0

# Partner Center's throttling guidance shows pauses of about a minute; 30 s is half of that, for replies that name none.
DEFAULT_RETRY_AFTER_SECONDS = 30
# RFC 9110, section 10.2.3, bounds nothing. Below a second is a hammer, and ten minutes outlive any caller's patience.
MIN_RETRY_AFTER_SECONDS = 1
MAX_RETRY_AFTER_SECONDS = 600

# Longer than any number of seconds that is meant seriously; int() of thousands of digits is slow or refused.
MAX_RETRY_AFTER_DIGITS = 9


class Retry(Enum):
    """What may be done after a failed attempt."""

    NEVER = "never"
    # Connection errors, 408, 500, 502, 503 and 504: as often as the setting allows, with a pause.
    BACKOFF = "backoff"
    # Truncated, garbled and unreadable replies: once, at once.
    ONCE = "once"
    # No reply in time: once, at once, under the same MS-RequestId (Partner Center docs, REST headers).
    TIMEOUT = "timeout"
    # A reply that belongs to another request: once, whatever the setting says.
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: what to tell the caller if no other follows, and whether another may."""

    error: GatewayError
    retry: Retry = Retry.NEVER


class AttemptFailed(Exception):
    """Carries a Failure out of an attempt."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class Retries:
    """The retries of one call: at most ``max_retries``, and each kind but BACKOFF once."""

    def __init__(self, max_retries: int, random: Callable[[], float]) -> None:
        self._left = max_retries
        self._random = random
        self._spent: list[Retry] = []

    def pause_seconds(self, retry: Retry) -> float | None:
        """Seconds to wait before the next attempt, or None when there is to be none."""
        if retry is Retry.NEVER or (retry is not Retry.BACKOFF and retry in self._spent):
            return None
        if retry is Retry.ONCE and Retry.FOREIGN in self._spent:
            # The refused reply may have been this very one: a broken reply often lacks its ids.
            return None
        if retry is not Retry.FOREIGN:
            if self._left <= 0:
                return None
            self._left -= 1
        self._spent.append(retry)
        if retry is not Retry.BACKOFF:
            return 0.0
        ceiling_seconds = min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2.0 ** self._spent.count(Retry.BACKOFF))
        return self._random() * ceiling_seconds


def retry_after_seconds(value: str | None, now: float) -> int:
    """``Retry-After`` as seconds from ``now``, in seconds since 1970 (RFC 9110, section 10.2.3: a number or a date).

    Absent, junk or negative means the default; the answer is clamped.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        found = float(text) if len(text) <= MAX_RETRY_AFTER_DIGITS else float(MAX_RETRY_AFTER_SECONDS)
    else:
        found = _until(text, now)
    return round(min(MAX_RETRY_AFTER_SECONDS, max(MIN_RETRY_AFTER_SECONDS, found)))


def _until(text: str, now: float) -> float:
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return DEFAULT_RETRY_AFTER_SECONDS
