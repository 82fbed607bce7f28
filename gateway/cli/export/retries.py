"""Errors of a gateway: temporary ones are waited out, the others end the export."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from gateway.cli.export.exit_codes import DataChanged, ExportEnded, ExportFailed, ExportStopped, TokenRefused
from gateway.cli.export.progress import Progress
from gateway.network.causes import Cause

# Pauses before each retry of one step (our choice: half a minute in total; the gateway itself retries, too).
RETRY_SECONDS = (1, 2, 4, 8, 16)

# The retries of a host that this run has never reached: its address is probably wrong.
FIRST_CONTACT_RETRIES = 2

# Maximum waits of one step for throttling, each as long as the upstream asks (our choice).
MAX_THROTTLED = 20

# Temporary errors, errors that need a new token, and errors that need a new export.
TEMPORARY_CODES = frozenset({"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE", "DEADLINE_EXCEEDED", "SERVICE_UNAVAILABLE"})
TOKEN_CODES = frozenset({"UNAUTHENTICATED", "FORBIDDEN"})
SNAPSHOT_CODES = frozenset({"SNAPSHOT_CHANGED", "INVALID_CURSOR"})


class ErrorPayload(msgspec.Struct):
    """One error of a gateway's response."""

    message: str
    extensions: dict[str, Any] = {}


BROKEN = ErrorPayload("The gateway broke the response off.", {"code": "UPSTREAM_UNAVAILABLE"})


def unreachable(place: str, cause: Cause) -> ErrorPayload:
    """Return the error of a gateway at ``place`` that could not be reached."""
    remedy = cause.remedy or "Check --url, and that a gateway listens there."
    facts = {"code": "UPSTREAM_UNAVAILABLE", "unreachable": True, "permanent": cause.is_permanent}
    return ErrorPayload(replace(cause, remedy=remedy).unreachable(place), facts)


class StepFailed(Exception):
    """A step of an export failed; ``error`` decides whether it can be tried again."""

    def __init__(self, error: ErrorPayload) -> None:
        super().__init__(error.message)
        self.error = error


class ExportRetries:
    """The retries of one step of an export; ``is_first`` is True before this run has received a row."""

    def __init__(self, progress: Progress, *, is_first: bool = False) -> None:
        self._progress = progress
        self._is_first = is_first
        self._unreachable = 0
        self._pauses = iter(RETRY_SECONDS)
        self._throttled = 0

    async def wait(self, error: ErrorPayload) -> None:
        """Wait until the step can be tried again. Raises ExportEnded if it cannot."""
        code = error.extensions.get("code")
        if code == "RATE_LIMITED" and self._throttled < MAX_THROTTLED:
            self._throttled += 1
            await self._progress.wait(error.message.partition(".")[0], _retry_after_seconds(error))
            return
        is_temporary = code in TEMPORARY_CODES and not error.extensions.get("permanent")
        if self._is_first and error.extensions.get("unreachable"):
            self._unreachable += 1
            is_temporary &= self._unreachable <= FIRST_CONTACT_RETRIES
        pause = next(self._pauses, None) if is_temporary else None
        if pause is None:
            raise _export_ended(error)
        await self._progress.wait(error.message.partition(". ")[0], pause)


def _retry_after_seconds(error: ErrorPayload) -> float:
    seconds = error.extensions.get("retryAfterSeconds")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 1.0


def _export_ended(error: ErrorPayload) -> ExportEnded:
    code = error.extensions.get("code")
    correlation_id = error.extensions.get("correlationId")
    message = error.message
    if not error.extensions.get("unreachable"):
        message += f" ({code}{f', correlation id {correlation_id}' if correlation_id else ''})"
    if code in TOKEN_CODES:
        return TokenRefused(message)
    if code in SNAPSHOT_CODES or error.extensions.get("argument") == "snapshot":
        return DataChanged(message)
    if error.extensions.get("permanent"):
        return ExportFailed(message)
    return ExportStopped(message) if code in TEMPORARY_CODES or code == "RATE_LIMITED" else ExportFailed(message)
