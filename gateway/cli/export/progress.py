"""What a person sees of an export: a line that changes on a terminal, and otherwise only what must be known."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TextIO

# Characters of the bar (our choice: the whole line fits on 80).
BAR_CHARACTERS = 20


class Progress:
    """Rows, total, rate and time left, on a terminal alone. ``clock`` and ``sleep`` are in seconds."""

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
        self._noted: set[str] = set()

    def show(self, rows: int, total: int | None) -> None:
        """Show how far it is."""
        seconds = max(self._clock() - self._started, 0.001)
        rate = (rows - self._start_rows) / seconds
        if not total:
            self._rewrite(f"{rows:,} rows  {rate:,.0f} rows/s")
            return
        share = min(1.0, rows / total)
        bar = ("#" * math.floor(share * BAR_CHARACTERS)).ljust(BAR_CHARACTERS, ".")
        left = _duration(max(0, total - rows) / rate) if rate else "?"
        self._rewrite(f"[{bar}] {rows:,} of {total:,} rows  {share:.0%}  {rate:,.0f} rows/s  {left} left")

    async def wait(self, why: str, seconds: float) -> None:
        """Wait, with a countdown on a terminal and one line elsewhere."""
        if not self._is_terminal:
            self._stream.write(f"{why.rstrip('.')}; waiting {math.ceil(seconds)} s.\n")
            self._stream.flush()
            await self._sleep(seconds)
            return
        while seconds > 0:
            self._rewrite(f"{why.rstrip('.')}; going on in {math.ceil(seconds)} s")
            await self._sleep(min(1.0, seconds))
            seconds -= 1.0

    def note(self, text: str) -> None:
        """Say something once, on a line of its own."""
        if text not in self._noted:
            self._noted.add(text)
            self._rewrite("")
            self._stream.write(f"{text}\n")
            self._stream.flush()

    def end(self, rows: int) -> None:
        """Put what was reached in the place of the line that changes."""
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
