"""The record of one upstream attempt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class UpstreamAttempt:
    """One attempt, for metrics and traces. Its fields are filled while it runs.

    ``outcome`` is ``ok`` or an error code, ``bytes`` the received size. ``is_last`` is True if no retry follows: the
    attempt's outcome is that of its call. ``is_foreign`` is True if the response named another request, whether it was
    rejected or accepted. ``path`` is the path of ``dataset`` without the query string; ``rows`` are those received.
    """

    status: int | None = None
    outcome: str = ""
    seconds: float = 0.0
    bytes: int = 0
    is_last: bool = True
    is_foreign: bool = False
    path: str = ""
    dataset: str = ""
    rows: int = 0
    correlation_id: str = ""
