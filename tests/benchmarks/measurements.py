"""Measurements of repeated rounds: the median, and the quartiles as its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds, and their quartiles."""

    median: float
    low: float
    high: float
    rounds: int

    @staticmethod
    def of(values: Sequence[float]) -> Figure:
        """Build the figure of at least one value."""
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
        """Return one attribute of each round."""
        return [getattr(sample, name) for sample in self.samples]

    def figure(self, name: str) -> Figure:
        """Return median and quartiles of one attribute."""
        return Figure.of(self.values(name))

    @property
    def cpu_ms(self) -> float:
        """Return CPU time per request over all rounds: the clock is too coarse for a single round."""
        requests = sum(sample.requests for sample in self.samples)
        return sum(sample.cpu_ms * sample.requests for sample in self.samples) / requests


def ratio(over: Series, under: Series, name: str) -> Figure:
    """Return the ratio of two series round by round, so that drift of the machine cancels out."""
    pairs = zip(over.values(name), under.values(name), strict=True)
    return Figure.of([one / other for one, other in pairs])


def short(value: float) -> str:
    """Format a number with three digits, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
