"""A chart of the main cases: one dot per contender on a logarithmic axis, with its quartiles as a line.

The colors are readable on white and on black, so one file serves both themes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape

from tests.benchmarks.contenders import ALIASES, GATEWAY
from tests.benchmarks.measurements import Figure, Series, short
from tests.benchmarks.results import Results

# Case and its title in the chart.
PANELS = {
    "warm 10k": "10,000 rows, cached, selection asked before",
    "warm 10k, new selection": "10,000 rows, cached, selection never seen",
    "cold 10k": "10,000 rows, from the upstream",
    "warm 20, 16 clients": "20 rows, cached, 16 clients at once",
}
_WIDTH, _LEFT, _RIGHT = 760, 150, 80
_LINE, _TITLE, _GAP, _TOP, _BOTTOM = 22, 26, 14, 44, 34
_TEXT, _FAINT, _OTHER, _OURS = "#767d86", "#8b949e", "#8b949e", "#2f81f7"
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Axis:
    """Milliseconds to pixels, over whole powers of ten."""

    def __init__(self, values: list[float]) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))

    def x(self, value: float) -> float:
        """Return the position of ``value``."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    @property
    def marks(self) -> list[float]:
        """Return the powers of ten."""
        return [10.0**power for power in range(self.low, self.high + 1)]


def chart(results: Results) -> str | None:
    """Return the chart as SVG; None if none of its cases was measured."""
    panels = {title: _figures(results.cases[case]) for case, title in PANELS.items() if case in results.cases}
    if not panels:
        return None
    axis = Axis([value for rows in panels.values() for figure in rows.values() for value in (figure.low, figure.high)])
    height = _TOP + sum(_TITLE + _LINE * len(rows) + _GAP for rows in panels.values()) + _BOTTOM
    title = "Time to answer: median in milliseconds, shorter is better (logarithmic)"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(title)}" font-family="{_FONT}" font-size="13">',
        _text(0, 18, title, weight=600, size=15),
        *_grid(axis, height),
        *_panels(panels, axis),
        _text(0, height - 6, f"{results.date}, {results.machine['cpu']}, {results.machine['cores']} cores", size=11),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _figures(case: Mapping[str, Series]) -> dict[str, Figure]:
    """Return medians and quartiles, the fastest first."""
    figures = {name: series.figure("p50_ms") for name, series in case.items() if name not in ALIASES}
    return dict(sorted(figures.items(), key=lambda item: item[1].median))


def _grid(axis: Axis, height: int) -> Iterator[str]:
    for value in axis.marks:
        x = axis.x(value)
        yield (
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" y2="{height - _BOTTOM}" stroke="{_FAINT}"'
            ' stroke-opacity="0.25"/>'
        )
        yield _text(x, height - _BOTTOM + 14, f"{value:g} ms", anchor="middle", size=11)


def _panels(panels: Mapping[str, Mapping[str, Figure]], axis: Axis) -> Iterator[str]:
    y = _TOP
    for title, rows in panels.items():
        yield _text(0, y + 12, title, weight=600)
        y += _TITLE
        for name, figure in rows.items():
            yield from _row(name, figure, axis, y + _LINE // 2)
            y += _LINE
        y += _GAP


def _row(name: str, figure: Figure, axis: Axis, y: float) -> Iterator[str]:
    is_ours = name == GATEWAY
    color, weight = (_OURS, 600) if is_ours else (_OTHER, 400)
    x, low, high = axis.x(figure.median), axis.x(figure.low), axis.x(figure.high)
    yield _text(_LEFT - 12, y + 4, name, anchor="end", weight=weight, color=_OURS if is_ours else _TEXT)
    yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{color}" stroke-width="3"/>'
    yield f'<circle cx="{x:.1f}" cy="{y}" r="{6 if is_ours else 5}" fill="{color}"/>'
    yield _text(max(x, high) + 11, y + 4, short(figure.median), weight=weight, color=_OURS if is_ours else _TEXT)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", weight: int = 400, size: int = 13, color: str = _TEXT
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" text-anchor="{anchor}" font-weight="{weight}"'
        f' font-size="{size}">{escape(text)}</text>'
    )
