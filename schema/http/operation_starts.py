"""Turns to start operations, so that many large ones at once do not delay small ones.

The start of an operation reads the arguments of all its root fields in one step of the event loop, about half a
millisecond for each. Its upstream calls, which begin with it, take as much again.
"""

from __future__ import annotations

import asyncio

from gateway.errors import ServiceUnavailable
from gateway.scheduling.accepted_tokens import NO_OWNER
from gateway.scheduling.rotation import Rotation

# After each start, other requests have the event loop for as long as it took (our choice): the calls of the operation,
# and everybody else.
REST_SHARE = 1.0

# Operations with at most this many root fields do not wait for larger ones (our choice: a page of a frontend).
FEW_FIELDS = 3

RETRY_SECONDS = 5


class OperationStarts:
    """Gives turns to operations with several root fields, and to all of tokens that were never accepted.

    Other operations start at once. Tokens take turns.
    """

    def __init__(self) -> None:
        self._small_turns, self._large_turns = Rotation(rest_share=REST_SHARE), Rotation(rest_share=REST_SHARE)

    async def wait(self, owner: bytes, root_fields: int, timeout_seconds: float) -> None:
        """Wait until an operation of ``owner`` may start. Raises ServiceUnavailable if its turn does not come."""
        if owner != NO_OWNER and root_fields <= 1:
            return
        turns = self._small_turns if root_fields <= FEW_FIELDS else self._large_turns
        try:
            async with asyncio.timeout(timeout_seconds), turns.turn(owner):
                # The rotation counts what follows directly after the turn.
                pass
        except TimeoutError:
            raise ServiceUnavailable(
                "Too many operations are waiting to start. Retry later.", retry_after_seconds=RETRY_SECONDS
            ) from None
