"""Log lines are batched per event-loop iteration, and none is lost."""

from __future__ import annotations

import asyncio
import io

from gateway.observability.logging import LineWriter


async def test_lines_of_one_loop_iteration_are_written_together_and_in_order() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.info("one")
    writer.error("two")
    assert stream.getvalue() == ""
    await asyncio.sleep(0)
    assert stream.getvalue() == "one\ntwo\n"


def test_without_a_running_loop_a_line_is_written_immediately() -> None:
    stream = io.StringIO()
    LineWriter(stream).info("one")
    assert stream.getvalue() == "one\n"


async def test_lines_from_other_threads_are_not_lost() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    await asyncio.gather(*(asyncio.to_thread(writer.info, str(number)) for number in range(50)))
    await asyncio.sleep(0)
    assert sorted(stream.getvalue().split()) == sorted(map(str, range(50)))
