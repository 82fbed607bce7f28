"""Blocks of one query whose snapshots differ although the data did not change.

An upstream may sort rows by date, so that a service has another date in each block. If two blocks were read twice with
equal results, they come from one snapshot in spite of their dates. They are remembered, so that the extra calls are
needed only once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from gateway.caller import Caller
from gateway.clocks.instant import instant
from gateway.query import PageQuery
from gateway.snapshots.snapshot import Snapshot

# Together about 10 MB at most (our choice). Evicted blocks are read twice again.
MAX_QUERIES, MAX_BLOCKS = 256, 256

_Key = tuple[bytes, str | None, bytes]
_Reading = tuple[int, bytes]


class DatedBlock(Protocol):
    """The compared parts of a block: the offset of its first row, and its snapshot."""

    @property
    def skip(self) -> int: ...

    @property
    def snapshot(self) -> Snapshot: ...


class DifferingBlocks:
    """Groups of blocks that were accepted as one snapshot in spite of their dates.

    They are kept by query, token and locale.
    """

    def __init__(self) -> None:
        self._accepted: OrderedDict[_Key, list[set[_Reading]]] = OrderedDict()
        # Counts the calls of ``accept``.
        self.acceptances = 0

    def conflict(self, query: PageQuery, caller: Caller, one: DatedBlock, other: DatedBlock) -> bool:
        """Return True if two blocks of ``query`` cannot come from one snapshot, unless they were accepted."""
        if not one.snapshot.conflicts(other.snapshot):
            return False
        # The same rows differ between two readings only if the data changed.
        if one.skip == other.skip:
            return True
        pair = {_reading(one), _reading(other)}
        return not any(pair <= group for group in self._accepted.get(_key(query, caller), ()))

    def accept(self, query: PageQuery, caller: Caller, one: DatedBlock, other: DatedBlock) -> bool:
        """Remember that two blocks come from one snapshot, together with all accepted groups that contain one of them.

        Forget groups that contain another reading of one of the blocks: the data has changed since then. Return False
        if the totals differ: then the blocks come from two snapshots that the upstream returns by turns.
        """
        if one.snapshot.differs_in_total(other.snapshot):
            return False
        self.acceptances += 1
        key, merged = _key(query, caller), {_reading(one), _reading(other)}
        readings, groups = frozenset(merged), []
        for group in self._accepted.get(key, ()):
            if _contradict(group, merged):
                continue
            if group.isdisjoint(readings):
                groups.append(group)
            else:
                merged |= group
        groups.append(merged if len(merged) <= MAX_BLOCKS else set(readings))
        while sum(map(len, groups)) > MAX_BLOCKS:
            groups.pop(0)
        self._accepted[key] = groups
        self._accepted.move_to_end(key)
        if len(self._accepted) > MAX_QUERIES:
            self._accepted.popitem(last=False)
        return True


def _contradict(group: Iterable[_Reading], readings: Iterable[_Reading]) -> bool:
    # The first rows are read in blocks of two sizes, whose snapshots may differ.
    present = {skip: snapshot for skip, snapshot in readings if skip}
    return any(present.get(skip, snapshot) != snapshot for skip, snapshot in group)


def _key(query: PageQuery, caller: Caller) -> _Key:
    return caller.token.locator, caller.locale, query.digest


def _reading(block: DatedBlock) -> _Reading:
    dates = [(service, instant(when)) for service, when in block.snapshot.dates]
    text = repr((block.snapshot.total_count, dates)).encode("utf-8", "surrogatepass")
    return block.skip, hashlib.blake2b(text, digest_size=16).digest()
