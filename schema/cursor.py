"""Cursors: opaque text that names a row of one question in one snapshot.

A cursor is base64url of two parts. The head says version, question and snapshot, and is the same for a whole block. The
tail says the row's offset, with a check that depends on the head. It carries no URL, no token and no authority: a
forged one reaches nothing that ``offset`` could not. So it needs no secret and survives restarts and other replicas.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.errors import InvalidCursor
from gateway.page import Stamp

VERSION = 1

# Heads stay small; a snapshot of more services is told apart by the first ones (the Microsoft page shows two).
MAX_SERVICES = 12

_NO_TOTAL = (1 << 48) - 1
_TAIL_BYTES, _TAIL_CHARACTERS = 9, 12
_MAX_CHARACTERS = 256

# Knuth's multiplicative constant: odd, hence invertible modulo 2^32, so that no two offsets have the same check.
_MULTIPLIER = 2_654_435_761


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


def encode(fingerprint: bytes, stamp: Stamp, offsets: Iterable[int]) -> list[str]:
    """The cursors of rows at ``offsets``, all of one question and one block."""
    head = _head(fingerprint, Snapshot.of(stamp))
    prefix, salt = urlsafe_b64encode(head).decode(), _salt(head)
    tails = b"".join(_tail(offset, salt).to_bytes(_TAIL_BYTES, "big") for offset in offsets)
    text = urlsafe_b64encode(tails).decode()
    return [prefix + text[i : i + _TAIL_CHARACTERS] for i in range(0, len(text), _TAIL_CHARACTERS)]


def decode(text: str, fingerprint: bytes, *, argument: str) -> Cursor:
    """What ``text`` says. Raises InvalidCursor unless it was made for the question with ``fingerprint``."""
    try:
        if len(text) > _MAX_CHARACTERS or len(text) % 4:
            raise ValueError
        raw = urlsafe_b64decode(text.encode("ascii"))
        if urlsafe_b64encode(raw).decode() != text:
            raise ValueError
        head, tail = raw[:-_TAIL_BYTES], int.from_bytes(raw[-_TAIL_BYTES:], "big")
        offset = tail >> 32
        snapshot = _snapshot(head)
        if head != _head(fingerprint, snapshot) or tail != _tail(offset, _salt(head)):
            raise ValueError
    except (ValueError, IndexError):
        raise InvalidCursor(
            f"The cursor in '{argument}' does not belong to this question. Start again without it, and change neither"
            " filter, groupBy nor processedDateTime while paging."
        ) from None
    return Cursor(offset, snapshot)


def _head(fingerprint: bytes, snapshot: Snapshot) -> bytes:
    total = _NO_TOTAL if snapshot.total_count is None else min(snapshot.total_count, _NO_TOTAL - 1)
    parts = [bytes([VERSION]), fingerprint, total.to_bytes(6, "big"), bytes([len(snapshot.dates)])]
    parts += [service + when.to_bytes(6, "big") for service, when in snapshot.dates]
    head = b"".join(parts)
    # Base64 writes three bytes as four characters; a head of whole groups of three can be joined as text.
    return head + bytes(-len(head) % 3)


def _snapshot(head: bytes) -> Snapshot:
    total, services = int.from_bytes(head[9:15], "big"), head[15]
    pairs = [head[16 + 10 * i : 26 + 10 * i] for i in range(services)]
    if any(len(pair) != 10 for pair in pairs):
        raise ValueError
    dates = tuple((pair[:4], int.from_bytes(pair[4:], "big")) for pair in pairs)
    return Snapshot(None if total == _NO_TOTAL else total, dates)


def _tail(offset: int, salt: int) -> int:
    return offset << 32 | (offset * _MULTIPLIER + salt) & 0xFFFFFFFF


def _salt(head: bytes) -> int:
    return int.from_bytes(_digest(head, 4), "big")


def _digest(data: bytes, size_bytes: int) -> bytes:
    return hashlib.blake2b(data, digest_size=size_bytes).digest()


def _digits(when: str) -> int:
    digits = "".join(filter(str.isdecimal, when[:19]))
    return int(digits.ljust(14, "0"))
