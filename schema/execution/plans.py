"""Plans: what an operation reduces to, cached so that running it again needs neither parsing nor execution.

The first run of an operation takes the ordinary path. If it has one connection field that was read from one block, it
reduces to a :class:`Plan`: the query, the paging arguments and the selection. Document, operation name and variables
determine all three, so together they are the key. A plan contains neither rows nor tokens. To run it, the caller's own
fresh block is looked up in the cache, and the block's stored rendering of the selection is copied. If either is
missing, the ordinary path is taken. The limits need no second check: they do not change while the process runs.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.caller import Caller
from gateway.page import KeptPages, Page
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from schema.execution.context import OperationContext
from schema.execution.projection import rendering_key

# The number of cached plans, and the longest key; together below about 20 MB.
KEPT_PLANS, MAX_KEY_CHARACTERS = 1_024, 16_384

# Document, operation name, and variables as JSON text.
PlanKey = tuple[str, str | None, bytes]


def plan_key(text: str, operation_name: str | None, variables: msgspec.Raw) -> PlanKey | None:
    """Return the key of an operation's plan; None if it would be too long, so that there is no plan."""
    is_short = len(text) + len(variables) <= MAX_KEY_CHARACTERS
    return (text, operation_name, bytes(variables)) if is_short else None


@dataclass(frozen=True, slots=True)
class Plan:
    """The prepared form of one operation. The response's JSON is ``head`` followed by the connection's rendering.

    ``rendering`` is the key of that rendering among those of its block.
    """

    query: PageQuery
    arguments: PageArguments
    rendering: str
    head: bytes
    operation_name: str | None

    @property
    def name(self) -> tuple[bytes, str]:
        """The key of the whole response's JSON among the renderings of its block."""
        return self.head, self.rendering

    def run(self, cached_pages: KeptPages, caller: Caller) -> tuple[bytes, Page] | None:
        """Return the whole response's JSON and its block, or None if the ordinary path must be taken."""
        page = cached_pages.peek(self.query, caller)
        if page is None or page.renderings is None or page.warnings:
            return None
        rendering = page.renderings.get(self.rendering)
        return None if rendering is None else (b"".join((self.head, rendering, b"}}")), page)


class Plans:
    """The plans of the most recent operations, and the pages that they run with."""

    def __init__(self, cached_pages: KeptPages) -> None:
        self.cached_pages = cached_pages
        self._plans: OrderedDict[PlanKey, Plan] = OrderedDict()

    def find(self, key: PlanKey) -> Plan | None:
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
        return plan

    def learn(self, key: PlanKey, data: dict[str, Any], context: OperationContext, operation_name: str | None) -> None:
        """Store the plan of an operation that ran without errors, if it reduces to one."""
        if key in self._plans or len(data) != 1 or len(context.results) != 1 or len(context.selections) != 1:
            return
        origin = context.results[0].connection.origin
        if origin is None:
            return
        head = b'{"data":{' + msgspec.json.encode(next(iter(data))) + b":"
        rendering = rendering_key(context.selections[0], origin.arguments)
        self._plans[key] = Plan(origin.query, origin.arguments, rendering, head, operation_name)
        if len(self._plans) > KEPT_PLANS:
            self._plans.popitem(last=False)
