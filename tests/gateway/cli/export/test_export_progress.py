"""What a person sees of an export."""

from __future__ import annotations

import asyncio
import io

from gateway.cli.export.progress import Progress
from tests.gateway.fakes import Clock
from tests.gateway.running import ROOT


def progress(*, is_terminal: bool, start_rows: int = 0) -> tuple[Progress, io.StringIO, Clock]:
    """A progress whose waits move its clock."""
    stream, clock = io.StringIO(), Clock()

    async def sleep(seconds: float) -> None:
        clock.seconds += seconds

    made = Progress(stream, is_terminal=is_terminal, clock=clock, sleep=sleep, start_rows=start_rows)
    return made, stream, clock


def test_rate_and_time_left_count_what_this_run_has_read() -> None:
    """Rows that an earlier run has read were not read at this rate."""
    shown, stream, clock = progress(is_terminal=True, start_rows=100_000)
    clock.seconds += 10
    shown.show(120_000, 250_000)
    line = "[#########...........] 120,000 of 250,000 rows  48%  2,000 rows/s  1:05 left"
    assert stream.getvalue() == f"\r\x1b[K{line}"
    assert f"\n{line}\n" in (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


def test_a_total_that_nobody_knows_or_that_was_too_low_is_no_trouble() -> None:
    shown, stream, clock = progress(is_terminal=True)
    clock.seconds += 1
    shown.show(500, None)
    assert stream.getvalue().endswith("500 rows  500 rows/s")
    shown.show(500, 400)
    assert "100%" in stream.getvalue()
    shown.show(0, 0)


def test_hours_are_told_as_hours() -> None:
    shown, stream, clock = progress(is_terminal=True)
    clock.seconds += 3_600
    shown.show(1_000, 3_000)
    assert stream.getvalue().endswith("2:00:00 left")


def test_piped_it_says_nothing_of_progress() -> None:
    shown, stream, _ = progress(is_terminal=False)
    shown.show(10, 20)
    shown.end(20)
    assert stream.getvalue() == ""


def test_a_wait_counts_down_on_a_terminal_and_is_one_line_elsewhere() -> None:
    shown, stream, clock = progress(is_terminal=True)
    asyncio.run(shown.wait("Throttled.", 2.5))
    assert clock.seconds == 1_000_002.5
    assert stream.getvalue().split("\r\x1b[K") == [
        "", "Throttled; going on in 3 s", "Throttled; going on in 2 s", "Throttled; going on in 1 s",
    ]  # fmt: skip
    piped, stream, clock = progress(is_terminal=False)
    asyncio.run(piped.wait("Throttled.", 2.5))
    assert clock.seconds == 1_000_002.5
    assert stream.getvalue() == "Throttled; waiting 3 s.\n"


def test_a_note_is_said_once() -> None:
    shown, stream, _ = progress(is_terminal=False)
    shown.note("Null.")
    shown.note("Null.")
    assert stream.getvalue() == "Null.\n"
