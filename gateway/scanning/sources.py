"""Sources of rows: blocks and views."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.page import PageSource
from gateway.paging.block_sizes import BlockSizes
from gateway.paging.prefetch import Prefetch
from gateway.scanning.cached_views import CachedViews
from gateway.snapshots.differing_blocks import DifferingBlocks


@dataclass(frozen=True, slots=True)
class RowSources:
    """The blocks of a query from ``pages``, and ``views`` of whole queries. ``upstream`` identifies their upstream.

    ``prefetch`` is None if switched off.
    """

    pages: PageSource
    views: CachedViews
    sizes: BlockSizes
    upstream: str = ""
    differing: DifferingBlocks = field(default_factory=DifferingBlocks)
    prefetch: Prefetch | None = None
