"""Long computations in pieces. Between two of them, the worker thread does other work."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

T = TypeVar("T")

# A computation that yields between its pieces, each of at most some 20 milliseconds for 300,000 rows, and returns its
# result.
Pieces = Generator[None, None, T]


def whole(pieces: Pieces[T]) -> T:
    """Return the result of all ``pieces``, computed one after the other."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: T = end.value
            return result


class Shared(Generic[T]):
    """A computation that several callers advance together, so that it is done once. Not thread-safe."""

    def __init__(self) -> None:
        self._running: Pieces[T] | None = None
        self._results: list[T] = []

    def pieces(self, start: Callable[[], Pieces[T]]) -> Pieces[T]:
        """Return the result of ``start()``, or of the same computation that another caller has started.

        A computation whose callers have left is continued by the next one.
        """
        while not self._results:
            if self._running is None:
                self._running = start()
            try:
                next(self._running)
            except StopIteration as end:
                self._results.append(end.value)
                self._running = None
            except BaseException:
                self._running = None
                raise
            else:
                yield
        return self._results[0]
