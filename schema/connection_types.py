"""The GraphQL types of Relay connections."""

from __future__ import annotations

from typing import Generic, TypeVar

import strawberry

from schema.scalars import Long

Node = TypeVar("Node")
Totals = TypeVar("Totals")


@strawberry.type(description="Where a page lies among all rows. Exact in both directions.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="True when a row follows this page. Example: `true`.")
    has_previous_page: bool = strawberry.field(description="True when a row precedes this page. Example: `false`.")
    start_cursor: str | None = strawberry.field(
        description="Cursor of the first row, for `before`; null on an empty page."
    )
    end_cursor: str | None = strawberry.field(description="Cursor of the last row, for `after`; null on an empty page.")


@strawberry.type(description="A row with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(
        description="Opaque text that names this row in this question and snapshot; give it to `after` or `before`."
    )
    node: Node = strawberry.field(description="The row.")


@strawberry.type(description="A page of rows, after the Relay cursor connections specification.")
class Connection(Generic[Node, Totals]):
    edges: list[Edge[Node]] = strawberry.field(description="The rows of this page, each with its cursor.")
    nodes: list[Node] = strawberry.field(description="The rows of this page without cursors: shorter and quicker.")
    page_info: PageInfo = strawberry.field(description="Where this page lies, and the cursors to page on with.")
    total_count: Long | None = strawberry.field(
        description="All rows of the question, or groups when grouped; null if unknown. Example: `2`."
    )
    totals: Totals | None = strawberry.field(
        description="Totals over all rows of the question after `filter`, `search` and `having`, before paging; null if"
        " rows are missing, or if the measures must not be added up over all of them."
    )
