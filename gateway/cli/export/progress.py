"""The progress display of an export: a live line on a terminal, otherwise only waits and warnings."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TextIO

# Width of the bar in characters (our choice: the whole line fits into 80).
BAR_CHARACTERS = 20


class Progress:
    """Shows rows, total, rate and time left on a terminal. ``clock`` and ``sleep`` are in seconds."""

    def __init__(
        self,
        stream: TextIO,
        *,
        is_terminal: bool,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        start_rows: int = 0,
    ) -> None:
        self._stream = stream
        self._is_terminal = is_terminal
        self._clock = clock
        self._sleep = sleep
        self._start_rows = start_rows
        self._started = clock()
        self._is_reading = False
        self._noted: set[str] = set()

    def read_all_rows(self) -> None:
        """Say that all rows are read before the first one arrives. This time does not count towards the rate."""
        self._is_reading = True
        self._rewrite("Reading all rows first …")

    def show(self, rows: int, total: int | None) -> None:
        if self._is_reading:
            self._is_reading = False
            self._started, self._start_rows = self._clock(), rows
        seconds = max(self._clock() - self._started, 0.001)
        rate = (rows - self._start_rows) / seconds
        speed = f"  {rate:,.0f} rows/s" if rate else ""
        if not total:
            self._rewrite(f"{rows:,} rows{speed}")
            return
        share = min(1.0, rows / total)
        bar = ("#" * math.floor(share * BAR_CHARACTERS)).ljust(BAR_CHARACTERS, ".")
        left = f"  {_duration(max(0, total - rows) / rate)} left" if rate else ""
        self._rewrite(f"[{bar}] {rows:,} of {total:,} rows  {share:.0%}{speed}{left}")

    async def wait(self, reason: str, seconds: float) -> None:
        """Wait ``seconds``, with a countdown on a terminal and one line elsewhere."""
        if not self._is_terminal:
            self._stream.write(f"{reason.rstrip('.')}; waiting {math.ceil(seconds)} s.\n")
            self._stream.flush()
            await self._sleep(seconds)
            return
        while seconds > 0:
            self._rewrite(f"{reason.rstrip('.')}; continuing in {math.ceil(seconds)} s")
            await self._sleep(min(1.0, seconds))
            seconds -= 1.0

    def note(self, text: str) -> None:
        """Write a message on a separate line, once per text."""
        if text not in self._noted:
            self._noted.add(text)
            self._rewrite("")
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def end(self, rows: int) -> None:
        if self._is_terminal:
            self._rewrite(f"{rows:,} rows\n")

    def _rewrite(self, text: str) -> None:
        if self._is_terminal:
            # ECMA-48, EL: erase to the end of the line.
            self._stream.write(f"\r\x1b[K{text}")
            self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
