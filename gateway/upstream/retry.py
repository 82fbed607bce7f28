"""The retry policy: which failed attempts are retried, how often and after what pause; parsing of ``Retry-After``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import Enum

from gateway.errors import GatewayError

# "Full jitter" (AWS Architecture Blog): a random pause up to base * 2^n. The base is short compared with an upstream
# response, which takes seconds; the cap is short compared with an operation's timeout.
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 8.0

# Partner Center's throttling guidance shows pauses of about a minute; use half of that if a response has none.
DEFAULT_RETRY_AFTER_SECONDS = 30
# RFC 9110, section 10.2.3, sets no limits. Our choice: at least a second, to spare the upstream; at most ten minutes.
MIN_RETRY_AFTER_SECONDS = 1
MAX_RETRY_AFTER_SECONDS = 600

# More digits than any plausible number of seconds; converting thousands of digits is slow or fails.
MAX_RETRY_AFTER_DIGITS = 9


class Retry(Enum):
    """The kinds of retry after a failed attempt."""

    NEVER = "never"
    # After connection errors, 408, 500, 502, 503 and 504: up to the configured number of times, with a pause.
    BACKOFF = "backoff"
    # After a truncated, corrupt or unreadable response: once, without a pause.
    ONCE = "once"
    # After a timeout: once, without a pause, with the same MS-RequestId (Partner Center docs, REST headers).
    TIMEOUT = "timeout"
    # After a response that belongs to another request: once, whatever the setting.
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt: the error to raise if no attempt follows, and the kind of retry allowed."""

    error: GatewayError
    retry: Retry = Retry.NEVER


class AttemptFailed(Exception):
    """Carries a Failure out of an attempt."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error.message)
        self.failure = failure


class Retries:
    """The retries of one call: at most ``max_retries``, and at most one of each kind but BACKOFF."""

    def __init__(self, max_retries: int, random: Callable[[], float]) -> None:
        self._left = max_retries
        self._random = random
        self._spent: list[Retry] = []

    def pause_seconds(self, retry: Retry) -> float | None:
        """Return the seconds to wait before the next attempt; None to give up."""
        if retry is Retry.NEVER or (retry is not Retry.BACKOFF and retry in self._spent):
            return None
        if retry is Retry.ONCE and Retry.FOREIGN in self._spent:
            # The rejected response may have been the right one: a broken response often lacks its ids.
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
    """Parse ``Retry-After``, a number or a date (RFC 9110, section 10.2.3), into seconds from ``now``, clamped.

    ``now`` is in seconds since 1970. A missing or invalid value means the default.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text) if len(text) <= MAX_RETRY_AFTER_DIGITS else float(MAX_RETRY_AFTER_SECONDS)
    else:
        seconds = _until(text, now)
    return round(min(MAX_RETRY_AFTER_SECONDS, max(MIN_RETRY_AFTER_SECONDS, seconds)))


def _until(text: str, now: float) -> float:
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return DEFAULT_RETRY_AFTER_SECONDS
