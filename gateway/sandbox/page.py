"""A page as the endpoint returns it, before it is encoded."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.sandbox.links import NextLink


@dataclass(frozen=True, slots=True)
class SandboxPage:
    """The rows or groups of one response, the number of all rows or groups, and the link to the next page."""

    rows: list[dict[str, object]]
    total: int
    link: NextLink

    @property
    def has_next(self) -> bool:
        """Return whether there are rows after this page."""
        return self.link.next_skip < self.total
