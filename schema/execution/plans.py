"""Plans: what an operation came to, kept so that asking it again needs neither parsing nor execution.

The first run of an operation goes the ordinary way. If it was one connection field answered from one block, what it
came to is a :class:`Plan`: the question, the paging arguments and the selection. Document, operation name and variables
decide all of that, so together they are the key. A plan holds no rows and no token. To answer, the caller's own fresh
block is looked up, and the block's own rendering of the selection is copied; where either is missing, the ordinary way
is taken again. Limits were checked then, and are the same now.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.page import Caller, KeptPages, Page
from gateway.paging.window import PageArguments
from gateway.query import PageQuery
from schema.execution.context import OperationContext
from schema.execution.projection import rendering_key

# Plans kept, and the longest key; together below about 20 MB.
KEPT_PLANS, MAX_KEY_CHARACTERS = 1_024, 16_384

# Document, operation name, and variables as their text.
PlanKey = tuple[str, str | None, bytes]


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operation came to. ``rendering`` names the connection in what its block keeps, ``head`` precedes it."""

    query: PageQuery
    arguments: PageArguments
    rendering: str
    head: bytes
    operation_name: str | None

    @property
    def name(self) -> tuple[bytes, str]:
        """What names the whole reply's JSON among what is made of its block."""
        return self.head, self.rendering

    def answer(self, kept: KeptPages, caller: Caller) -> tuple[bytes, Page] | None:
        """The whole reply's JSON and the block it is from, or None when the ordinary way must be taken."""
        page = kept.peek(self.query, caller)
        if page is None or page.renderings is None or page.warnings:
            return None
        rendering = page.renderings.get(self.rendering)
        return None if rendering is None else (b"".join((self.head, rendering, b"}}")), page)


class Plans:
    """The plans of the operations asked most recently."""

    def __init__(self) -> None:
        self._plans: OrderedDict[PlanKey, Plan] = OrderedDict()

    def find(self, key: PlanKey) -> Plan | None:
        """The plan of an operation that was run before."""
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
        return plan

    def learn(self, key: PlanKey, data: dict[str, Any], context: OperationContext, operation_name: str | None) -> None:
        """Keep the plan of an operation that ran without errors, if it is of the kind that has one."""
        if key in self._plans or len(data) != 1 or len(context.answers) != 1 or len(context.selections) != 1:
            return
        origin = context.answers[0].connection.origin
        if origin is None or len(key[0]) + len(key[2]) > MAX_KEY_CHARACTERS:
            return
        head = b'{"data":{' + msgspec.json.encode(next(iter(data))) + b":"
        rendering = rendering_key(context.selections[0], origin.arguments)
        self._plans[key] = Plan(origin.query, origin.arguments, rendering, head, operation_name)
        if len(self._plans) > KEPT_PLANS:
            self._plans.popitem(last=False)
