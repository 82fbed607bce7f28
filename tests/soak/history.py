"""Faults, kills and reprocessings so far, and the results that they may cause. All times are the event loop's."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

# The error code that each upstream fault may cause, until this time after its end: the longest cool-down and one call.
CODES = {"503": "UPSTREAM_UNAVAILABLE", "429": "RATE_LIMITED", "garbage": "UPSTREAM_BAD_RESPONSE"}
AFTERMATH_SECONDS = 3.0

FRESH_SECONDS, STALE_SECONDS = 2, 2

# Rows may be older than the cache's limits by the time of one upstream call on a busy machine.
CALL_SECONDS = 2.0
MAX_AGE_SECONDS = FRESH_SECONDS + STALE_SECONDS + CALL_SECONDS

# A killed worker breaks the requests that it serves. A request sent right after the kill may still use its connection.
KILL_SECONDS = 1.0


@dataclass
class History:
    """Everything that explains an answer other than the current rows."""

    # The end of each kind of fault; infinity while it is active.
    fault_ends: dict[str, float] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)
    # For each token, the time before and after each reprocessing.
    changes: defaultdict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)

    def codes(self, token: str, started: float) -> set[str]:
        """Return the error codes that a request since ``started`` may get."""
        codes = {
            CODES[fault] for fault, end in self.fault_ends.items() if fault in CODES and self._is_recent(end, started)
        }
        return codes | {"SNAPSHOT_CHANGED"} if len(self.versions(token, started)) > 1 else codes

    def explains_broken_connection(self, started: float) -> bool:
        """Return whether a worker was killed during a request since ``started``."""
        return any(kill >= started - KILL_SECONDS for kill in self.kills)

    def explains_broken_export(self, token: str, started: float) -> bool:
        """Return whether a kill, a fault or a reprocessing may have broken an export."""
        return self.explains_broken_connection(started) or bool(self.codes(token, started))

    def versions(self, token: str, started: float) -> range:
        """Return the versions of a token's rows that an answer to a request since ``started`` may contain."""
        changes = self.changes[token]
        oldest = sum(after < started - MAX_AGE_SECONDS for _, after in changes)
        return range(oldest, len(changes) + 1)

    @staticmethod
    def _is_recent(end: float, started: float) -> bool:
        return end + AFTERMATH_SECONDS >= started
