"""Large responses are rendered one at a time, but do not keep single pages waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from gateway.access_token import AccessToken
from gateway.http.response_buffers import ResponseBuffers
from schema.execution.context import OperationContext
from schema.execution.rendering import PAGE_ROWS, Renderer, Unrendered


class Slow(Unrendered):
    """A connection whose rendering takes a number of steps, each of which is noted under a name."""

    __slots__ = ("_rows", "_steps")

    def __init__(self, rows: int, steps: Iterator[None]) -> None:
        object.__setattr__(self, "_rows", rows)
        object.__setattr__(self, "_steps", steps)

    @property
    def rows(self) -> int:
        """The pretended number of rows."""
        rows: int = self._rows  # type: ignore[attr-defined]  # a slot
        return rows

    def steps(self) -> Iterator[bytes | None]:
        """Yield None for each step, then the JSON."""
        yield from self._steps  # type: ignore[attr-defined]  # a slot
        yield b"[]"


def context(token: str) -> OperationContext:
    caller = SimpleNamespace(token=AccessToken(token))
    parts = SimpleNamespace(buffer=ResponseBuffers(1_000_000).open(b""), caller=lambda: caller, held=None)
    return cast(OperationContext, parts)


def noted(name: str, steps: int, order: list[str]) -> Iterator[None]:
    for _ in range(steps):
        order.append(name)
        yield None


async def rendered(*responses: tuple[str, int, int]) -> list[str]:
    """Render responses at once, each with its name, rows and steps; return the names in the order of their steps."""
    renderer, order = Renderer(), list[str]()

    async def render(name: str, rows: int, steps: int) -> Any:
        return await renderer.render({"a": Slow(rows, noted(name, steps, order))}, context(name))

    await asyncio.gather(*(render(*response) for response in responses))
    return order


async def test_a_page_does_not_wait_for_a_larger_response() -> None:
    order = await rendered(("large", PAGE_ROWS + 1, 50), ("page", PAGE_ROWS, 5))
    assert order.index("page") <= 2
    assert len(order) - 1 - order[::-1].index("page") < 15


async def test_larger_responses_are_rendered_one_after_the_other() -> None:
    order = await rendered(("first", PAGE_ROWS + 1, 5), ("second", PAGE_ROWS + 1, 5))
    assert order == ["first"] * 5 + ["second"] * 5
