"""Instants: dates and times of the upstream in one canonical form, whatever their spelling."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

# ISO 8601 as the upstream and its siblings write it: a date, or a date and time with up to seven fractional digits
# (.NET ticks) and no zone, Z or an offset. Python's parser differs for seven digits and for times without minutes.
DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:T(\d\d:\d\d(?::\d\d)?)(?:(?<=:\d\d:\d\d)\.(\d{1,7}))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?)?",
    re.ASCII,
)


# One processing of the data has few dates, and parsing an evicted spelling again takes a microsecond.
@lru_cache(maxsize=1_024)
def instant(text: str) -> str:
    """Return ``text`` in UTC as ``YYYY-MM-DDTHH:MM:SS``, with a fraction unless it is 0; invalid text unchanged.

    A time without a zone counts as UTC. Canonical texts sort by time.
    """
    match = DATE.fullmatch(text)
    if match is None:
        return text
    day, time, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}") - _offset(zone)
    except (ValueError, OverflowError):
        return text
    digits = (fraction or "").rstrip("0")
    return f"{moment.isoformat()}.{digits}" if digits else moment.isoformat()


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:]))
    return -offset if zone[0] == "-" else offset
