"""The filter language of the Microsoft page: ``field eq|ne 'value'``, joined by ``and``, ``or`` and parentheses.

As in OData, ``and`` binds tighter than ``or``, and a quote inside a value is doubled. The parser is iterative, so no
input can exhaust the stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


def parse_filter(text: str, fields: Sequence[str]) -> Condition:
    """Parse a filter on ``fields``. Raises FilterError for a syntax error or an exceeded limit."""
    tokens = _FilterTokens(text)
    # One disjunction of conjunctions for the whole filter, and one for each open parenthesis.
    levels: list[list[list[Condition]]] = [[[]]]
    comparisons = 0
    while True:
        while tokens.take("("):
            levels.append([[]])
            if len(levels) > MAX_DEPTH + 1:
                raise FilterError(f"parentheses are nested more than {MAX_DEPTH} deep")
        levels[-1][-1].append(_comparison(tokens, fields))
        comparisons += 1
        if comparisons > MAX_COMPARISONS:
            raise FilterError(f"the filter has more than {MAX_COMPARISONS} comparisons")
        _close(tokens, levels)
        if tokens.take("or"):
            levels[-1].append([])
        elif not tokens.take("and"):
            break
    if len(levels) > 1 or not tokens.at_end:
        raise FilterError(f"expected 'and', 'or' or the end of the filter {tokens.place}")
    return _condition(levels[0])


def _close(tokens: _FilterTokens, levels: list[list[list[Condition]]]) -> None:
    while tokens.take(")"):
        if len(levels) == 1:
            raise FilterError(f"unexpected ')' before {tokens.place}")
        closed = _condition(levels.pop())
        levels[-1][-1].append(closed)


def _comparison(tokens: _FilterTokens, fields: Sequence[str]) -> ParsedComparison:
    name = tokens.expect(lambda token: token in fields, f"one of the fields {', '.join(fields)}")
    operator = tokens.expect(lambda token: token.lower() in ("eq", "ne"), "'eq' or 'ne'")
    value = tokens.expect(lambda token: token.startswith("'"), "a value in single quotes")
    return ParsedComparison(name, "eq" if operator.lower() == "eq" else "ne", value[1:-1].replace("''", "'"))


def _condition(alternatives: list[list[Condition]]) -> Condition:
    return _join("or", [_join("and", terms) for terms in alternatives])


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
        return f"at position {self._position}"

    def next(self) -> str:
        """Consume and return the next token; "" at the end."""
        token, self._ahead = self._ahead, next(self._stream, "")
        return token

    def expect(self, is_valid: Callable[[str], bool], wanted: str) -> str:
        """Consume and return the next token. Raises FilterError if it is invalid."""
        place = self.place
        token = self.next()
        if not is_valid(token):
            raise FilterError(f"expected {wanted} {place}")
        return token

    def take(self, word: str) -> bool:
        """Consume the next token if it equals ``word`` case-insensitively. Return whether it did."""
        if self._ahead.lower() != word:
            return False
        self.next()
        return True
