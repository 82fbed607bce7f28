"""Find the names in a PromQL expression by pattern. Sufficient for our expressions; unknown words are errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# The words and functions of PromQL used here. Add new ones; a misspelled metric is still detected then.
WORDS = frozenset(
    {"sum", "max", "count", "topk", "rate", "increase", "histogram_quantile", "min_over_time", "absent"}
    | {"by", "or", "unless", "offset"}
)

_STRING = re.compile(r'"[^"]*"')
_MATCHERS = re.compile(r"(?:([a-zA-Z_:][\w:]*)\s*)?\{([^{}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPS = re.compile(r"\bby\s*\(([^()]*)\)")
_RANGE = re.compile(r"\[[^\]]*\]|\boffset\s+\w+")


@dataclass(frozen=True, slots=True)
class Matcher:
    """``label = value`` of one metric; each alternative of a regular expression is a separate matcher."""

    metric: str
    label: str
    values: tuple[str, ...]


def matchers(expression: str) -> Iterator[Matcher]:
    """Return every matcher of ``expression``."""
    for metric, inside in _MATCHERS.findall(expression):
        for label, operator, value in _MATCHER.findall(inside):
            yield Matcher(metric, label, tuple(value.split("|")) if "~" in operator else (value,))


def grouping_labels(expression: str) -> set[str]:
    """Return the labels in ``by (…)``."""
    return {label.strip() for group in _GROUPS.findall(expression) for label in group.split(",")}


def metrics(expression: str) -> set[str]:
    """Return the names in a metric's position."""
    text = _GROUPS.sub("", _RANGE.sub("", re.sub(r"\{[^{}]*\}", "", _STRING.sub('""', expression))))
    return set(re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*", text)) - WORDS
