"""One snapshot for all fields of an operation that read the same query."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.paging.blocks import Blocks
from gateway.query import PageQuery
from gateway.snapshots.differing_blocks import DifferingBlocks


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A field that has loaded its blocks and waits for the other fields.

    ``blocks`` is None if the field must load again in any case. ``number`` is its place in the operation. ``verdict``
    ends the wait: True if the field may use its blocks.
    """

    number: int
    blocks: Blocks | None
    is_last_try: Callable[[], bool]
    verdict: asyncio.Future[bool]


class Agreement:
    """The fields of one operation that read one query.

    They load concurrently, and each waits until all have loaded. If their blocks conflict, all fields load again. But
    if one field is finished or has no try left, only those fields load again that conflict with an earlier one.
    """

    def __init__(self) -> None:
        self._started = 0
        self._reading = 0
        self._arrivals: list[_Arrival] = []
        self._finished: list[Blocks] = []

    @contextmanager
    def reading(self) -> Iterator[int]:
        """Count a field as loading during the context; yield its number."""
        self._reading += 1
        self._started += 1
        try:
            yield self._started
        finally:
            self._reading -= 1
            self._settle_if_complete()

    async def reached(self, number: int, blocks: Blocks | None, *, is_last_try: Callable[[], bool]) -> bool:
        """Wait until the other fields have loaded. Return False if field ``number`` must load again.

        ``blocks`` is None if its own blocks conflict: the field must load again, and the others load again with it.
        """
        arrival = _Arrival(number, blocks, is_last_try, asyncio.get_running_loop().create_future())
        self._arrivals.append(arrival)
        self._settle_if_complete()
        try:
            return await arrival.verdict
        finally:
            if arrival in self._arrivals:
                self._arrivals.remove(arrival)

    def _settle_if_complete(self) -> None:
        if not self._arrivals or len(self._arrivals) < self._reading:
            return
        arrivals, self._arrivals = sorted(self._arrivals, key=lambda arrival: arrival.number), []
        finished, agreeing = list(self._finished), set[int]()
        for arrival in arrivals:
            blocks = arrival.blocks
            if blocks is not None and not blocks.conflict_with(finished):
                finished.append(blocks)
                agreeing.add(arrival.number)
        is_final = bool(self._finished) or any(arrival.is_last_try() for arrival in arrivals)
        if len(agreeing) < len(arrivals) and not is_final:
            finished, agreeing = [], set()
        self._finished = finished
        for arrival in arrivals:
            if not arrival.verdict.done():
                arrival.verdict.set_result(arrival.number in agreeing)


class OperationSnapshots:
    """The agreements of one operation by query, and the differing blocks that all operations share."""

    def __init__(self, differing: DifferingBlocks | None = None) -> None:
        self.differing = DifferingBlocks() if differing is None else differing
        self._agreements: dict[str, Agreement] = {}

    def agreement(self, query: PageQuery) -> Agreement:
        """Return the agreement of the fields that read ``query``, whatever their rows."""
        return self._agreements.setdefault(query.question, Agreement())

    def clear(self) -> None:
        """Release all blocks."""
        self._agreements.clear()
