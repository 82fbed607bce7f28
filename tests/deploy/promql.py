"""What a PromQL expression names, found by its shape: enough for our own, and strict about what it does not know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Words of the language and its functions that are used here; a new one is added, a slip of a metric's name is not.
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
    """``label = value`` of one metric; a regular expression's alternatives are told one by one."""

    metric: str
    label: str
    values: tuple[str, ...]


def matchers(expression: str) -> Iterator[Matcher]:
    """Every matcher of ``expression``."""
    for metric, inside in _MATCHERS.findall(expression):
        for label, operator, value in _MATCHER.findall(inside):
            yield Matcher(metric, label, tuple(value.split("|")) if "~" in operator else (value,))


def grouping_labels(expression: str) -> set[str]:
    """The labels in ``by (…)``."""
    return {label.strip() for found in _GROUPS.findall(expression) for label in found.split(",")}


def metrics(expression: str) -> set[str]:
    """The names that stand where a metric's does."""
    text = _GROUPS.sub("", _RANGE.sub("", re.sub(r"\{[^{}]*\}", "", _STRING.sub('""', expression))))
    return set(re.findall(r"(?<![\w.$])[a-zA-Z_:][\w:]*", text)) - WORDS
