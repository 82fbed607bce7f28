"""The declaration of a sandbox dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    of the longest filters.
    """

    path: str
    fields: tuple[str, ...]
    measures: tuple[str, ...]
    index_field: str
    generate: Callable[[Account], Iterator[Row]]
