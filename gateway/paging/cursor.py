"""Cursors: opaque text that identifies a row of one query in one snapshot.

A cursor is a head and a tail. The head is the base64url text of version, query fingerprint, snapshot, run number and a
checksum over all of these. A run is 4,096 rows, which share one head. The tail identifies the row within its run by two
characters, followed by two check characters. Each further cursor of a page therefore costs one string concatenation.

A cursor grants no access: a forged cursor reaches only rows that ``offset`` reaches, too. It is therefore not signed,
and remains valid across restarts and replicas.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from gateway.clocks.instant import instant
from gateway.errors import InvalidCursor
from gateway.snapshots.snapshot import Snapshot
from gateway.snapshots.snapshot_digest import MAX_SERVICES

# The first byte says which kind of mark a cursor has: a CursorSnapshot or a ViewMark.
SNAPSHOT_VERSION, VIEW_VERSION = 1, 2

_NO_TOTAL = (1 << 48) - 1
_CHECK_BYTES, _RUN_BYTES, _VIEW_DIGEST_BYTES = 4, 4, 8
_MAX_CHARACTERS = 256

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Rows of one run: as many as two characters can number.
RUN_ROWS = len(_ALPHABET) ** 2

# Odd, so that multiplying by it modulo RUN_ROWS is a permutation: each row has its own check characters.
_MULTIPLIER = 2_531

_PAIRS = [one + other for one in _ALPHABET for other in _ALPHABET]
_TAILS = [_PAIRS[row] + _PAIRS[(row * _MULTIPLIER + 1_871) % RUN_ROWS] for row in range(RUN_ROWS)]
_ROW_OF_TAIL = {tail: row for row, tail in enumerate(_TAILS)}
_TAIL_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class CursorSnapshot:
    """A compact Snapshot: the total, and for each service a digest of its name and its date as ``YYYYMMDDHHMMSS``."""

    total_count: int | None
    dates: tuple[tuple[bytes, int], ...]

    @classmethod
    def of(cls, snapshot: Snapshot) -> CursorSnapshot:
        dates = sorted((_digest(service.encode(), 4), _digits(when)) for service, when in snapshot.dates)
        return cls(snapshot.total_count, tuple(dates[:MAX_SERVICES]))

    def conflicts(self, other: CursorSnapshot) -> bool:
        """Return True if both cannot come from the same processing of the data."""
        if None not in (self.total_count, other.total_count) and self.total_count != other.total_count:
            return True
        known = dict(self.dates)
        return any(known.get(service, when) != when for service, when in other.dates)

    def is_newer(self, other: CursorSnapshot) -> bool:
        """Return True if some service was processed later here than in ``other``."""
        known = dict(other.dates)
        return any(when > known.get(service, when) for service, when in self.dates)

    def encoded(self) -> bytes:
        """Return the bytes that :meth:`decoded` reads."""
        total = _NO_TOTAL if self.total_count is None else min(self.total_count, _NO_TOTAL - 1)
        pairs = (service + when.to_bytes(6, "big") for service, when in self.dates)
        return b"".join((total.to_bytes(6, "big"), bytes([len(self.dates)]), *pairs))

    @classmethod
    def decoded(cls, data: bytes) -> CursorSnapshot:
        """Raises ValueError and IndexError if ``data`` is too short."""
        total, services = int.from_bytes(data[:6], "big"), data[6]
        pairs = [data[7 + 10 * i : 17 + 10 * i] for i in range(services)]
        if any(len(pair) != 10 for pair in pairs):
            raise ValueError
        dates = tuple((pair[:4], int.from_bytes(pair[4:], "big")) for pair in pairs)
        return cls(None if total == _NO_TOTAL else total, dates)


@dataclass(frozen=True, slots=True)
class ViewMark:
    """The part of a cursor that identifies its view: who grouped the rows, and the 8-byte digest of the content."""

    is_by_rows: bool
    digest: bytes

    def encoded(self) -> bytes:
        """Return the bytes that :meth:`decoded` reads."""
        return bytes([self.is_by_rows]) + self.digest

    @classmethod
    def decoded(cls, data: bytes) -> ViewMark:
        """Raises ValueError if ``data`` is too short."""
        if len(data) < 1 + _VIEW_DIGEST_BYTES:
            raise ValueError
        return cls(data[0] == 1, data[1 : 1 + _VIEW_DIGEST_BYTES])


Mark = CursorSnapshot | ViewMark


@dataclass(frozen=True, slots=True)
class Cursor:
    """A decoded cursor: the row's offset, and what the cursor says about the data that it belongs to."""

    offset: int
    mark: Mark


def encode(fingerprint: bytes, data: Snapshot | ViewMark, offsets: range) -> list[str]:
    """Return the cursors of the rows at ``offsets``, which are consecutive rows of one block or view."""
    mark = data if isinstance(data, ViewMark) else CursorSnapshot.of(data)
    cursors: list[str] = []
    start = offsets.start
    while start < offsets.stop:
        run, row = divmod(start, RUN_ROWS)
        rows = min(offsets.stop - start, RUN_ROWS - row)
        prefix = urlsafe_b64encode(_head(fingerprint, mark, run)).decode()
        cursors += map(prefix.__add__, _TAILS[row : row + rows])
        start += rows
    return cursors


def decode(text: str, fingerprint: bytes, *, argument: str) -> Cursor:
    """Decode ``text``. Raises InvalidCursor unless it was encoded for the query with ``fingerprint``."""
    try:
        if len(text) > _MAX_CHARACTERS:
            raise ValueError
        head = urlsafe_b64decode(text[:-_TAIL_CHARACTERS].encode("ascii"))
        if urlsafe_b64encode(head).decode() != text[:-_TAIL_CHARACTERS]:
            raise ValueError
        run, mark = _read(head)
        if head != _head(fingerprint, mark, run):
            raise ValueError
        row = _ROW_OF_TAIL[text[-_TAIL_CHARACTERS:]]
    except (ValueError, LookupError):
        raise InvalidCursor(
            f"The cursor in '{argument}' does not belong to this query. Start again without it, and while paging change"
            " no argument but 'first', 'last', 'after' and 'before'."
        ) from None
    return Cursor(run * RUN_ROWS + row, mark)


def _head(fingerprint: bytes, mark: Mark, run: int) -> bytes:
    version = VIEW_VERSION if isinstance(mark, ViewMark) else SNAPSHOT_VERSION
    head = b"".join((bytes([version]), fingerprint, run.to_bytes(_RUN_BYTES, "big"), mark.encoded()))
    # Base64 needs no padding for whole groups of three bytes.
    head += bytes(-(len(head) + _CHECK_BYTES) % 3)
    return head + _digest(head, _CHECK_BYTES)


def _read(head: bytes) -> tuple[int, Mark]:
    run, content = int.from_bytes(head[9:13], "big"), head[13:]
    mark: Mark = ViewMark.decoded(content) if head[0] == VIEW_VERSION else CursorSnapshot.decoded(content)
    return run, mark


def _digest(data: bytes, size_bytes: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size_bytes).digest()


def _digits(when: str) -> int:
    digits = "".join(filter(str.isdecimal, instant(when)[:19]))
    return int(digits.ljust(14, "0"))
