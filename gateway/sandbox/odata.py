"""The filter language of the Microsoft page: ``field eq|ne 'value'``, joined by ``and``, ``or`` and parentheses.

As in OData, ``and`` binds tighter than ``or``, and a quote inside a value is doubled. The parser is iterative, so no
input can exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

# Limits of this project, not of Microsoft: far above handwritten filters, and within the limits of SQLite.
MAX_DEPTH: Final = 50
MAX_COMPARISONS: Final = 5_000

_TOKEN: Final = re.compile(r"\s*(?:(?P<text>'[^']*(?:''[^']*)*')|(?P<word>[A-Za-z_][\w.]*)|(?P<paren>[()]))")


class FilterError(ValueError):
    """An invalid filter. The message says where and why."""


@dataclass(frozen=True, slots=True)
class ParsedComparison:
    """``field eq 'value'`` or ``field ne 'value'``; the value is unescaped."""

    field: str
    operator: Literal["eq", "ne"]
    value: str


@dataclass(frozen=True, slots=True)
class ParsedJunction:
    """At least two conditions joined by one operator. A term is never a junction with the same operator."""

    operator: Literal["and", "or"]
    terms: tuple[Condition, ...]


Condition = ParsedComparison | ParsedJunction


@dataclass(slots=True)
class _Level:
    """The content of one pair of parentheses: a disjunction of conjunctions."""

    alternatives: list[list[Condition]] = field(default_factory=lambda: [[]])

    def condition(self) -> Condition:
        return _join("or", [_join("and", terms) for terms in self.alternatives])


def parse_filter(text: str, fields: Sequence[str]) -> Condition:
    """Parse a filter on ``fields``. Raises FilterError for a syntax error or an exceeded limit."""
    tokens = _FilterTokens(text)
    levels = [_Level()]
    comparisons = 0
    while True:
        while tokens.take("("):
            levels.append(_Level())
            if len(levels) > MAX_DEPTH + 1:
                raise FilterError(f"parentheses are nested more than {MAX_DEPTH} deep")
        levels[-1].alternatives[-1].append(_comparison(tokens, fields))
        comparisons += 1
        if comparisons > MAX_COMPARISONS:
            raise FilterError(f"the filter has more than {MAX_COMPARISONS} comparisons")
        _close(tokens, levels)
        if tokens.take("or"):
            levels[-1].alternatives.append([])
        elif not tokens.take("and"):
            break
    if len(levels) > 1 or not tokens.at_end:
        raise FilterError(f"expected 'and', 'or' or the end of the filter {tokens.place}")
    return levels[0].condition()


def _close(tokens: _FilterTokens, levels: list[_Level]) -> None:
    while tokens.take(")"):
        if len(levels) == 1:
            raise FilterError(f"unexpected ')' before {tokens.place}")
        closed = levels.pop().condition()
        levels[-1].alternatives[-1].append(closed)


def _comparison(tokens: _FilterTokens, fields: Sequence[str]) -> ParsedComparison:
    place = tokens.place
    name = tokens.next()
    if name not in fields:
        raise FilterError(f"expected one of the fields {', '.join(fields)} {place}")
    place = tokens.place
    operator = tokens.next().lower()
    if operator != "eq" and operator != "ne":
        raise FilterError(f"expected 'eq' or 'ne' {place}")
    place = tokens.place
    value = tokens.next()
    if not value.startswith("'"):
        raise FilterError(f"expected a value in single quotes {place}")
    return ParsedComparison(name, "eq" if operator == "eq" else "ne", value[1:-1].replace("''", "'"))


def _join(operator: Literal["and", "or"], terms: list[Condition]) -> Condition:
    flat: list[Condition] = []
    for term in terms:
        flat.extend(term.terms if isinstance(term, ParsedJunction) and term.operator == operator else (term,))
    return flat[0] if len(flat) == 1 else ParsedJunction(operator, tuple(flat))


class _FilterTokens:
    """The words, values and parentheses of a filter, with one token of lookahead."""

    def __init__(self, text: str) -> None:
        self._stream = self._scan(text)
        self._position = 0
        self._ahead = next(self._stream, "")

    def _scan(self, text: str) -> Iterator[str]:
        end = len(text.rstrip())
        position = 0
        while position < end:
            match = _TOKEN.match(text, position)
            if match is None:
                raise FilterError(f"unexpected {text[position:].lstrip()[:1]!r} near position {position}")
            self._position = match.start(match.lastgroup or 0)
            yield match[match.lastgroup or 0]
            position = match.end()
        self._position = end

    @property
    def at_end(self) -> bool:
        return not self._ahead

    @property
    def place(self) -> str:
        """The position of the token ahead, in words."""
        return f"at position {self._position}"

    def next(self) -> str:
        """Consume and return the next token; "" at the end."""
        token, self._ahead = self._ahead, next(self._stream, "")
        return token

    def take(self, word: str) -> bool:
        """Consume the next token if it equals ``word`` case-insensitively. Return whether it did."""
        if self._ahead.lower() != word:
            return False
        self.next()
        return True
