"""What is written in one turn of the loop leaves together, in order, and nothing stays behind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from gateway.one_write import OneWrite


class Wire:
    """A transport that notes each call."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.is_reading = True

    def write(self, data: bytes) -> None:
        self.calls.append(("write", data))

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.calls.append(("writelines", b"|".join(pieces)))

    def close(self) -> None:
        self.calls.append(("close", None))

    def pause_reading(self) -> None:
        self.is_reading = False


def wrapped() -> tuple[OneWrite, Wire]:
    wire = Wire()
    return OneWrite(cast(asyncio.Transport, wire), asyncio.get_running_loop()), wire


async def test_a_head_leaves_together_with_its_body() -> None:
    transport, wire = wrapped()
    transport.write(b"head")
    assert wire.calls == []
    transport.write(b"body")
    assert wire.calls == [("writelines", b"head|body")]
    await asyncio.sleep(0)
    assert len(wire.calls) == 1


async def test_what_nothing_follows_leaves_at_the_next_turn() -> None:
    """Such as 100 Continue, and the head of a reply to HEAD."""
    transport, wire = wrapped()
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await asyncio.sleep(0)
    assert wire.calls == [("write", b"HTTP/1.1 100 Continue\r\n\r\n")]


async def test_at_most_one_piece_is_held() -> None:
    transport, wire = wrapped()
    for piece in (b"1", b"2", b"3", b"4", b"5"):
        transport.write(piece)
    assert wire.calls == [("writelines", b"1|2"), ("writelines", b"3|4")]
    await asyncio.sleep(0)
    assert wire.calls[-1] == ("write", b"5")


async def test_closing_writes_what_is_held_first() -> None:
    transport, wire = wrapped()
    transport.write(b"last words")
    transport.close()
    await asyncio.sleep(0)
    assert wire.calls == [("write", b"last words"), ("close", None)]


async def test_an_empty_body_frees_the_head_and_is_none_itself() -> None:
    transport, wire = wrapped()
    transport.write(b"")
    await asyncio.sleep(0)
    assert wire.calls == []


async def test_everything_else_is_the_real_transports() -> None:
    transport, wire = wrapped()
    transport.pause_reading()
    assert not wire.is_reading
