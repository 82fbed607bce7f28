"""Opaque text that identifies one snapshot of one export, so that the export can be continued later.

It holds digests alone: of the export, of the upstream's total, and of each service with its processed date. Like a
cursor it grants no access, and therefore is not signed.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.clocks.instant import instant
from gateway.snapshots.snapshot import Snapshot

# Three bytes, so that base64 needs no padding.
_VERSION = b"\0\0\1"

# Keeps digests and cursors short: only the first services are compared (the Microsoft page shows two).
MAX_SERVICES = 12

_DIGEST_BYTES = 6
_MAX_CHARACTERS = 256
_NO_TOTAL = bytes(_DIGEST_BYTES)


@dataclass(frozen=True, slots=True)
class SnapshotDigest:
    """Digests of a Snapshot, keyed with ``export``, the text that identifies an export without its range of rows."""

    export: str = field(repr=False)
    total: bytes
    dates: Mapping[bytes, bytes]

    @classmethod
    def of(cls, snapshot: Snapshot, export: str) -> SnapshotDigest:
        dates = sorted(
            (_digest(export, service), _digest(export, service, instant(when))) for service, when in snapshot.dates
        )
        total = _NO_TOTAL if snapshot.total_count is None else _digest(export, str(snapshot.total_count))
        return cls(export, total, dict(dates[:MAX_SERVICES]))

    @classmethod
    def parse(cls, text: str, export: str) -> SnapshotDigest:
        """Return what ``text`` identifies. Raises ValueError unless it was issued for the same ``export``."""
        if len(text) > _MAX_CHARACTERS:
            raise ValueError
        data = urlsafe_b64decode(text.encode("ascii"))
        starts = range(len(_VERSION), len(data), _DIGEST_BYTES)
        digests = [data[start : start + _DIGEST_BYTES] for start in starts]
        # The first digest is the checksum.
        digest = cls(export, b"".join(digests[1:2]), dict(zip(digests[2::2], digests[3::2], strict=False)))
        if digest.text != text:
            raise ValueError
        return digest

    @property
    def text(self) -> str:
        content = self.total + b"".join(service + when for service, when in self.dates.items())
        checksum = _digest(self.export, content.hex())
        return urlsafe_b64encode(_VERSION + checksum + content).decode()

    def conflicts(self, snapshot: Snapshot) -> bool:
        """Return True if the rows of ``snapshot`` cannot come from the snapshot of this digest."""
        other = SnapshotDigest.of(snapshot, self.export)
        if _NO_TOTAL not in (self.total, other.total) and self.total != other.total:
            return True
        return any(self.dates.get(service, when) != when for service, when in other.dates.items())

    def can_compare(self, snapshot: Snapshot) -> bool:
        """Return True if ``snapshot`` has a service of this digest, or this digest has none."""
        return not self.dates or any(_digest(self.export, service) in self.dates for service, _ in snapshot.dates)


def _digest(export: str, *parts: str) -> bytes:
    key = hashlib.blake2b(export.encode("utf-8", "surrogatepass")).digest()
    text = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES, key=key).digest()
