"""Requests that faults refuse before the endpoint sees them."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from gateway.sandbox import responses
from gateway.sandbox.faults import RefusalFaults
from gateway.sandbox.tokens import History


def check_prefix(path: str, faults: RefusalFaults) -> None:
    """Raise Refusal if the path has the prefix that the faults remove."""
    if faults.prefix is not None and path.startswith("/partner/") != (faults.prefix == "partner"):
        raise responses.not_found()


def check_refusals(skip: int, faults: RefusalFaults, history: History) -> None:
    """Raise Refusal if the faults refuse a request. Counts injected failures."""
    _check_throttle(faults, history)
    if faults.mfa:
        raise responses.mfa_required()
    if faults.redirect is not None:
        code, location = faults.redirect
        raise replace(responses.injected_status(code), headers=(("Location", location),))
    if faults.status is not None:
        raise responses.injected_status(faults.status)
    if faults.status_times is not None and history.take_failure(faults.status_times[1]):
        raise responses.injected_status(faults.status_times[0])
    if faults.status_from is not None and skip >= faults.status_from[1]:
        raise responses.injected_status(faults.status_from[0])


def _check_throttle(faults: RefusalFaults, history: History) -> None:
    if faults.throttle is None:
        return
    remaining_seconds = history.throttled_for(faults.throttle, time.monotonic())
    if remaining_seconds > 0:
        whole_seconds = math.ceil(remaining_seconds)
        raise responses.throttled(whole_seconds, _retry_after(whole_seconds, faults.throttle_form))


def _retry_after(seconds: int, form: str) -> tuple[tuple[str, str], ...]:
    """Return the Retry-After header in the form of the fault; empty if the fault removes it."""
    if form == "absent":
        return ()
    forms = {
        "seconds": str(seconds),
        "date": format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True),
        "junk": "soon",
        "negative": f"-{seconds}",
        "huge": "99999999999999999999",
    }
    return (("Retry-After", forms[form]),)
