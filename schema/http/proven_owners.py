"""The tokens that have had rows: the upstream accepted them, perhaps some time ago.

A caller can invent any number of tokens. Where tokens take turns, all that have not had rows share one place.
"""

from __future__ import annotations

from collections import OrderedDict

from gateway.http.response_buffers import NO_OWNER

# A locator takes about 150 bytes: more tokens than a process is expected to serve (our choice).
MAX_OWNERS = 10_000


class ProvenOwners:
    """The locators of the tokens that had rows most recently."""

    def __init__(self, max_owners: int = MAX_OWNERS) -> None:
        self._max_owners = max_owners
        self._owners: OrderedDict[bytes, None] = OrderedDict()

    def note(self, owner: bytes) -> None:
        """Note that the token has had rows."""
        self._owners[owner] = None
        self._owners.move_to_end(owner)
        if len(self._owners) > self._max_owners:
            self._owners.popitem(last=False)

    def owner(self, owner: bytes) -> bytes:
        """Return ``owner`` if its token has had rows, else the one that all others share."""
        return owner if owner in self._owners else NO_OWNER
