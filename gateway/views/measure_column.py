"""Measure columns: values, and why one is missing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The smaller first.
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64)

# Some rows of a table: a mask, or an array of row numbers.
Rows = NDArray[Any]


class State(IntEnum):
    """The knowledge of a value. Every state but KNOWN is null in a response.

    Sums skip NULL. UNKNOWN values exist but could not be read, or must not be added up. OUT_OF_RANGE values do not fit
    into 64 bits. A sum with either is as little known as its worst part; larger is worse.
    """

    KNOWN = 0
    NULL = 1
    UNKNOWN = 2
    OUT_OF_RANGE = 3


@dataclass(frozen=True, slots=True, eq=False)
class MeasureColumn:
    """A measure's values and their states; ``states`` is None if all values are known.

    Values that are not known are 0. ``stored`` are the values in any type of integers, or in float64.
    """

    stored: NDArray[Any]
    states: NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, values: NDArray[Any], states: NDArray[np.uint8]) -> MeasureColumn:
        """Return the column of ``values``, which it owns. Values that are not known become 0."""
        missing = states != State.KNOWN
        if not missing.any():
            return cls(values)
        values[missing] = 0
        return cls(values, states)

    def __len__(self) -> int:
        return len(self.stored)

    @property
    def values(self) -> NDArray[Any]:
        """The values as int64 or float64."""
        return self.stored if self.stored.dtype.kind == "f" else self.stored.astype(np.int64, copy=False)

    def compact(self) -> MeasureColumn:
        """Return the same integers in the smallest type that has room for them."""
        lowest, highest = int(self.stored.min(initial=0)), int(self.stored.max(initial=0))
        fitting = (size for size in _INTEGERS if np.iinfo(size).min <= lowest and highest <= np.iinfo(size).max)
        return MeasureColumn(self.stored.astype(next(fitting)), self.states)

    def take(self, rows: Rows | None) -> MeasureColumn:
        """Return the column of some rows, or of all for None."""
        if rows is None:
            return self
        return MeasureColumn(self.stored[rows], None if self.states is None else self.states[rows])

    def is_known(self) -> NDArray[np.bool_]:
        """Return for each row whether its value is known."""
        return np.ones(len(self), np.bool_) if self.states is None else self.states == State.KNOWN

    def full_states(self) -> NDArray[np.uint8]:
        """Return the states as an array."""
        return np.zeros(len(self), np.uint8) if self.states is None else self.states

    def out_of_range(self) -> int:
        """Count the values that do not fit into 64 bits."""
        return 0 if self.states is None else int(np.count_nonzero(self.states == State.OUT_OF_RANGE))

    def python_values(self) -> list[Any]:
        """Return the values as int or float, and as None where they are not known."""
        values: list[Any] = self.stored.tolist()
        if self.states is not None:
            for row in np.flatnonzero(self.states).tolist():
                values[row] = None
        return values

    @property
    def size_bytes(self) -> int:
        """Memory of the arrays."""
        return self.stored.nbytes + (0 if self.states is None else self.states.nbytes)
