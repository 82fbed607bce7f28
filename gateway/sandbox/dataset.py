"""The declaration of a sandbox dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.sandbox.accounts import Account


class Row(NamedTuple):
    """One row: the texts of the fields, and the measures as of the latest processed date.

    The row also appears in processed dates up to ``age_weeks`` weeks earlier.
    """

    texts: tuple[str | None, ...]
    measures: tuple[int, ...]
    age_weeks: int


@dataclass(frozen=True, slots=True)
class SandboxDataset:
    """One endpoint: its path below the API's root, the columns of its rows, and their generator.

    ``generate`` yields the rows of an account in upstream order, the same ones every time. ``index_field`` is the field
    of the longest filters. The measures have the names of the Microsoft page's example; ``table_names`` maps those that
    its table spells differently to its spelling. ``has_bare_example`` says that the example has neither link nor total;
    the account ``sample`` then has none, either.
    """

    path: str
    fields: tuple[str, ...]
    measures: tuple[str, ...]
    index_field: str
    generate: Callable[[Account], Iterator[Row]]
    table_names: Mapping[str, str] = field(default_factory=dict)
    has_bare_example: bool = False
