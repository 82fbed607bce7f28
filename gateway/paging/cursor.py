"""Cursors: opaque text that names a row of one question in one snapshot.

A cursor is a head and a tail. The head is base64url of version, question, snapshot, run (4,096 rows) and a check over
all that; it is the same for the whole run. The tail names the row within the run: two characters, and two that check
them. So the cursors of a page cost one joining of text each. A cursor carries no URL, no token and no authority: a
forged one reaches nothing that ``offset`` could not. So it needs no secret and survives restarts and other replicas.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from gateway.errors import InvalidCursor
from gateway.page import Stamp

VERSION = 1

# Heads stay small; a snapshot of more services is told apart by the first ones (the Microsoft page shows two).
MAX_SERVICES = 12

_NO_TOTAL = (1 << 48) - 1
_CHECK_BYTES, _RUN_BYTES = 4, 4
_MAX_CHARACTERS = 256

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Rows of one run: what two characters tell apart.
RUN_ROWS = len(_ALPHABET) ** 2

# An odd number, so that multiplying by it modulo the run permutes it: no two rows have the same check.
_MULTIPLIER = 2_531

_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_TAILS = [_PAIRS[row] + _PAIRS[(row * _MULTIPLIER + 1_871) % RUN_ROWS] for row in range(RUN_ROWS)]
_ROW_OF_TAIL = {tail: row for row, tail in enumerate(_TAILS)}
_TAIL_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A Stamp in the size of a cursor: total, and for each service a digest and the date as ``YYYYMMDDHHMMSS``."""

    total_count: int | None
    dates: tuple[tuple[bytes, int], ...]

    @classmethod
    def of(cls, stamp: Stamp) -> Snapshot:
        """The compact form of ``stamp``."""
        dates = sorted((_digest(service.encode(), 4), _digits(when)) for service, when in stamp.dates)
        return cls(stamp.total_count, tuple(dates[:MAX_SERVICES]))

    def conflicts(self, other: Snapshot) -> bool:
        """True when both cannot come from one processing of the data."""
        if None not in (self.total_count, other.total_count) and self.total_count != other.total_count:
            return True
        known = dict(self.dates)
        return any(known.get(service, when) != when for service, when in other.dates)

    def is_newer(self, other: Snapshot) -> bool:
        """True when some service was processed later here than in ``other``."""
        known = dict(other.dates)
        return any(when > known.get(service, when) for service, when in self.dates)


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a cursor says."""

    offset: int
    snapshot: Snapshot


def encode(fingerprint: bytes, stamp: Stamp, offsets: range) -> list[str]:
    """The cursors of the rows at ``offsets``, neighbours in one question and one block."""
    snapshot = Snapshot.of(stamp)
    found: list[str] = []
    start = offsets.start
    while start < offsets.stop:
        run, row = divmod(start, RUN_ROWS)
        rows = min(offsets.stop - start, RUN_ROWS - row)
        prefix = urlsafe_b64encode(_head(fingerprint, snapshot, run)).decode()
        found += map(prefix.__add__, _TAILS[row : row + rows])
        start += rows
    return found


def decode(text: str, fingerprint: bytes, *, argument: str) -> Cursor:
    """What ``text`` says. Raises InvalidCursor unless it was made for the question with ``fingerprint``."""
    try:
        if len(text) > _MAX_CHARACTERS:
            raise ValueError
        head = urlsafe_b64decode(text[:-_TAIL_CHARACTERS].encode("ascii"))
        if urlsafe_b64encode(head).decode() != text[:-_TAIL_CHARACTERS]:
            raise ValueError
        run, snapshot = _read(head)
        if head != _head(fingerprint, snapshot, run):
            raise ValueError
        row = _ROW_OF_TAIL[text[-_TAIL_CHARACTERS:]]
    except (ValueError, LookupError):
        raise InvalidCursor(
            f"The cursor in '{argument}' does not belong to this question. Start again without it, and change neither"
            " filter, groupBy nor processedDateTime while paging."
        ) from None
    return Cursor(run * RUN_ROWS + row, snapshot)


def _head(fingerprint: bytes, snapshot: Snapshot, run: int) -> bytes:
    total = _NO_TOTAL if snapshot.total_count is None else min(snapshot.total_count, _NO_TOTAL - 1)
    parts = [bytes([VERSION]), fingerprint, run.to_bytes(_RUN_BYTES, "big"), total.to_bytes(6, "big")]
    parts += [bytes([len(snapshot.dates)]), *(service + when.to_bytes(6, "big") for service, when in snapshot.dates)]
    said = b"".join(parts)
    # Base64 needs no padding for whole groups of three bytes.
    said += bytes(-(len(said) + _CHECK_BYTES) % 3)
    return said + _digest(said, _CHECK_BYTES)


def _read(head: bytes) -> tuple[int, Snapshot]:
    run, total, services = int.from_bytes(head[9:13], "big"), int.from_bytes(head[13:19], "big"), head[19]
    pairs = [head[20 + 10 * i : 30 + 10 * i] for i in range(services)]
    if any(len(pair) != 10 for pair in pairs):
        raise ValueError
    dates = tuple((pair[:4], int.from_bytes(pair[4:], "big")) for pair in pairs)
    return run, Snapshot(None if total == _NO_TOTAL else total, dates)


def _digest(data: bytes, size_bytes: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size_bytes).digest()


def _digits(when: str) -> int:
    digits = "".join(filter(str.isdecimal, when[:19]))
    return int(digits.ljust(14, "0"))
