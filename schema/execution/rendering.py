"""Render the connections of an operation once all of its rows have been read.

Until then nothing is rendered, because a field may wait long for the upstream while the rendering of another one would
use memory. Large responses are rendered in slices, so other requests wait for one slice at most. One response of at
most a page and one larger response are rendered at the same time, no more. So growing responses cannot refuse one
another the memory that each needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.http.response_buffers import ResponseBuffer
from gateway.scheduling.rotation import Rotation
from gateway.scheduling.scheduler import Scheduler
from schema.connection import ConnectionValue
from schema.execution.context import OperationContext
from schema.execution.projection import SLICE_ROWS, Selection, rendering_steps

# The upstream's largest page. Responses of more rows do not keep smaller ones waiting.
PAGE_ROWS = 10_000

_NULL = [b"null"]


@dataclass(frozen=True, slots=True)
class Unrendered:
    """A connection that is still to be rendered."""

    selection: Selection
    connection: ConnectionValue

    @property
    def rows(self) -> int:
        return sum(len(piece.rows) for piece in self.connection.pieces)

    def steps(self) -> Iterator[bytes | None]:
        """Yield the JSON in parts, and None between two steps of the work."""
        return rendering_steps(self.selection, self.connection)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The JSON of a connection in parts."""

    parts: list[bytes]


class Renderer:
    """Renders the connections of all operations of a process."""

    def __init__(self, scheduler: Scheduler | None = None) -> None:
        self._scheduler = scheduler or Scheduler()
        self._pages, self._large_responses = Rotation(), Rotation()

    async def render(self, data: dict[str, Any], context: OperationContext) -> dict[str, Any]:
        """Return ``data`` with each Unrendered value as Rendered; null if the context's buffer has no room for it."""
        buffer = context.buffer
        connections = {key: value for key, value in data.items() if isinstance(value, Unrendered)}
        rows = sum(connection.rows for connection in connections.values())
        if rows <= SLICE_ROWS:
            return data | {key: _at_once(connection, buffer) for key, connection in connections.items()}
        rendered: dict[str, Rendered] = {}
        owner = context.caller().token.locator
        one_at_a_time = self._pages if rows <= PAGE_ROWS else self._large_responses
        with self._scheduler.backlog.rendering(context.held.blocks if context.held else []):
            async with one_at_a_time.turn(owner):
                for key, connection in connections.items():
                    rendered[key] = await self._in_slices(connection, buffer, owner)
        return data | rendered

    async def _in_slices(self, connection: Unrendered, buffer: ResponseBuffer, owner: bytes) -> Rendered:
        parts: list[bytes] = []
        steps = connection.steps()
        while not buffer.refusal:
            async with self._scheduler.slices.turn(owner):
                is_finished = _take_slice(steps, parts, buffer)
            if is_finished:
                return Rendered(parts)
        return Rendered(_NULL)


def _at_once(connection: Unrendered, buffer: ResponseBuffer) -> Rendered:
    parts = [part for part in connection.steps() if part is not None]
    return Rendered(parts if buffer.take(sum(map(len, parts))) else _NULL)


def _take_slice(steps: Iterator[bytes | None], parts: list[bytes], buffer: ResponseBuffer) -> bool:
    """Append the parts of one step. Return True after the last one."""
    for part in steps:
        if part is None:
            return False
        if not buffer.take(len(part)):
            return False
        parts.append(part)
    return True
