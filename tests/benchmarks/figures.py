"""Figures of repeated rounds: the median, and the quartiles as their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds, and the range that the middle half of them lies in."""

    median: float
    low: float
    high: float
    rounds: int

    @staticmethod
    def of(values: Sequence[float]) -> Figure:
        """Of at least one value."""
        if len(values) == 1:
            return Figure(values[0], values[0], values[0], 1)
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return Figure(middle, low, high, len(values))

    def __str__(self) -> str:
        if self.rounds == 1 or short(self.low) == short(self.high):
            return short(self.median)
        return f"{short(self.median)} ({short(self.low)}-{short(self.high)})"


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one contender in one case."""

    p50_ms: float
    p99_ms: float
    requests_per_second: float
    cpu_ms: float
    requests: int
    reply_bytes: int


@dataclass(frozen=True, slots=True)
class Series:
    """All rounds of one contender in one case, in order."""

    samples: tuple[Sample, ...]

    def values(self, name: str) -> list[float]:
        """One kind of figure, round by round."""
        return [getattr(sample, name) for sample in self.samples]

    def figure(self, name: str) -> Figure:
        """Median and spread of one kind of figure."""
        return Figure.of(self.values(name))

    @property
    def cpu_ms(self) -> float:
        """CPU time for one request over all rounds: the clock's steps are too coarse for one."""
        requests = sum(sample.requests for sample in self.samples)
        return sum(sample.cpu_ms * sample.requests for sample in self.samples) / requests


def ratio(over: Series, under: Series, name: str) -> Figure:
    """How many times as much, round by round: rounds run side by side, so the machine's drift falls out."""
    pairs = zip(over.values(name), under.values(name), strict=True)
    return Figure.of([one / other for one, other in pairs])


def short(value: float) -> str:
    """Three digits, never in powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
