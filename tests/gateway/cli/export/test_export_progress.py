"""The progress display of an export."""

from __future__ import annotations

import asyncio
import io

from gateway.cli.export.progress import Progress
from tests.gateway.fakes import Clock
from tests.gateway.running import ROOT


def progress(*, is_terminal: bool, start_rows: int = 0) -> tuple[Progress, io.StringIO, Clock]:
    """Return a progress display whose waits advance its clock."""
    stream, clock = io.StringIO(), Clock()

    async def sleep(seconds: float) -> None:
        clock.seconds += seconds

    display = Progress(stream, is_terminal=is_terminal, clock=clock, sleep=sleep, start_rows=start_rows)
    return display, stream, clock


def test_rate_and_time_left_count_only_rows_of_this_run() -> None:
    """Rows of an earlier run do not count towards the rate."""
    display, stream, clock = progress(is_terminal=True, start_rows=100_000)
    clock.seconds += 10
    display.show(120_000, 250_000)
    line = "[#########...........] 120,000 of 250,000 rows  48%  2,000 rows/s  1:05 left"
    assert stream.getvalue() == f"\r\x1b[K{line}"
    assert f"\n{line}\n" in (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")


def test_the_time_in_which_all_rows_are_read_does_not_count() -> None:
    """The time that the first rows took is unknown, so they have no rate."""
    display, stream, clock = progress(is_terminal=True)
    display.read_all_rows()
    assert stream.getvalue() == "\r\x1b[KReading all rows first …"
    clock.seconds += 16
    display.show(10_000, 30_000)
    assert stream.getvalue().endswith("\r\x1b[K[######..............] 10,000 of 30,000 rows  33%")
    clock.seconds += 2
    display.show(20_000, 30_000)
    assert stream.getvalue().endswith(" 20,000 of 30,000 rows  67%  5,000 rows/s  0:02 left")


def test_an_unknown_or_too_low_total_is_handled() -> None:
    display, stream, clock = progress(is_terminal=True)
    clock.seconds += 1
    display.show(500, None)
    assert stream.getvalue().endswith("500 rows  500 rows/s")
    display.show(500, 400)
    assert "100%" in stream.getvalue()
    display.show(0, 0)


def test_long_durations_show_hours() -> None:
    display, stream, clock = progress(is_terminal=True)
    clock.seconds += 3_600
    display.show(1_000, 3_000)
    assert stream.getvalue().endswith("2:00:00 left")


def test_without_a_terminal_progress_is_not_shown() -> None:
    display, stream, _ = progress(is_terminal=False)
    display.show(10, 20)
    display.end(20)
    assert stream.getvalue() == ""


def test_a_wait_counts_down_on_a_terminal_and_is_one_line_elsewhere() -> None:
    display, stream, clock = progress(is_terminal=True)
    asyncio.run(display.wait("Throttled.", 2.5))
    assert clock.seconds == 1_000_002.5
    assert stream.getvalue().split("\r\x1b[K") == [
        "", "Throttled; continuing in 3 s", "Throttled; continuing in 2 s", "Throttled; continuing in 1 s",
    ]  # fmt: skip
    piped, stream, clock = progress(is_terminal=False)
    asyncio.run(piped.wait("Throttled.", 2.5))
    assert clock.seconds == 1_000_002.5
    assert stream.getvalue() == "Throttled; waiting 3 s.\n"


def test_a_note_is_shown_once() -> None:
    display, stream, _ = progress(is_terminal=False)
    display.note("Null.")
    display.note("Null.")
    assert stream.getvalue() == "Null.\n"
